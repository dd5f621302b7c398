package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/journal"
)

// meddle runs the quickstart while a second operator sends lines to HAProxy at one record.
func (s *scaffold) meddle(h *home, at int, lines []string, flags ...string) answer {
	s.Helper()
	return h.with(func(app *flip.App) {
		app.OnRecord = func(r journal.Record) {
			if r.Seq == at {
				s.tell(lines...)
			}
		}
	}, append(s.args, flags...)...)
}

// driftStage is the quickstart with a deploy that does nothing, and its records.
func driftStage(t *testing.T) (*scaffold, []string, []journal.Record) {
	s := quickstartStage(t)
	s.more = nil
	s.pre = s.servers()
	s.args = append(slices.Clone(s.args), "--var", "deploy=true")
	h := s.home()
	h.wants([]int{0}, s.args...)
	done := s.servers()
	s.back()
	return s, done, h.records()
}

// recordOf is the first record of a type whose key ends so.
func recordOf(tb testing.TB, records []journal.Record, kind journal.Type, end string) int {
	tb.Helper()
	i := slices.IndexFunc(records, func(r journal.Record) bool { return r.Type == kind && strings.HasSuffix(r.Key, end) })
	if i < 0 {
		tb.Fatalf("no %s record of %s", kind, end)
	}
	return records[i].Seq
}

// with1 is the state of servers where web1 has another weight.
func with1(servers []string, weight int) []string {
	all := slices.Clone(servers)
	i := slices.IndexFunc(all, func(s string) bool { return strings.HasPrefix(s, "web1 weight ") })
	all[i] = fmt.Sprintf("web1 weight %d admin 0", weight)
	return all
}

// TestASecondOperatorIsNeverOverwritten lets somebody else set a weight at every record of the quickstart on a real
// HAProxy. Before the shift looks, that is how things were. While it shifts, the run stops, goes back and leaves the value
// (exit 12). After it, the run does not end as done (exit 11), and the rollback finds the value.
func TestASecondOperatorIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	s, done, records := driftStage(t)
	looked := recordOf(t, records, journal.TypeDone, "shift.web.observe")
	shifted := recordOf(t, records, journal.TypeDone, "shift/100.web.lower")
	const foreign = 37
	n := map[int]int{}
	for _, p := range points(records[:len(records)-1], 0) {
		at := p.order.KillAt
		if at == 0 || !soak() && !p.change && at%3 != 0 && records[at-1].Type != journal.TypeStep {
			continue
		}
		h := s.home()
		got := s.meddle(h, at, []string{fmt.Sprintf("set server be_web/web1 weight %d", foreign)})
		n[got.code]++
		switch {
		case at < looked:
			s.ends(p.name, got, 0, done)
			s.ends(p.name, h.flip("rollback"), 0, with1(s.pre, foreign))
		case at < shifted:
			s.ends(p.name, got, 12, with1(s.pre, foreign))
			saysAll(t, got, "somebody else changed web1 weight", "web1", "now 37", "ROLLBACK INCOMPLETE")
		default:
			saysAll(t, got, "not everything is as this run left it", "now 37")
			s.ends(p.name, got, 11, with1(done, foreign))
			back := h.flip("rollback")
			s.ends(p.name, back, 12, with1(s.pre, foreign))
			saysAll(t, back, "37", "ROLLBACK INCOMPLETE")
		}
		s.back()
	}
	t.Logf("points %d (exit code: runs) %v", n[0]+n[11]+n[12], n)
}

// ends compares how a flip ended and what HAProxy has then.
func (s *scaffold) ends(at string, got answer, code int, want []string) {
	s.Helper()
	if diff := cmp.Diff(want, s.servers()); diff != "" || got.code != code {
		s.Errorf("somebody wrote at %s: want exit %d, got %s\nservers (-want +got):\n%s", at, code, got, diff)
	}
}

// TestWhatHappensToDriftIsChosen writes in the hold at 25 %, where web1 has 75 of its 100.
func TestWhatHappensToDriftIsChosen(t *testing.T) {
	t.Parallel()
	s, _, records := driftStage(t)
	at := recordOf(t, records, journal.TypeDone, "shift/25.web.lower")
	for name, c := range map[string]struct {
		weight int
		flag   string
		code   int
		want   []string
	}{
		"left, and all else put back":              {37, "skip", 12, with1(s.pre, 37)},
		"left, with all that is not yet undone":    {37, "stop", 12, nil},
		"overwritten":                              {37, "force", 10, s.pre},
		"the value from before":                    {100, "skip", 10, s.pre},
		"the value from before, stop finds none":   {100, "stop", 10, s.pre},
		"a value that the run had given it before": {95, "skip", 10, s.pre},
		// Without web1 the way back may not take web3 and web4 out: they stay as the failed step left them.
		"left, where a guard then needs the others": {0, "skip", 12, []string{"web1 weight 0 admin 0", "web2 weight 100 admin 0", "web3 weight 50 admin 0", "web4 weight 50 admin 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.TB = t
			h := s.home()
			got := s.meddle(h, at, []string{fmt.Sprintf("set server be_web/web1 weight %d", c.weight)}, "--on-drift="+c.flag, "--yes")
			if c.want == nil {
				// What was not judged yet stands; the value that somebody wrote does in any case.
				if now := s.servers(); got.code != c.code || !slices.Contains(now, fmt.Sprintf("web1 weight %d admin 0", c.weight)) {
					t.Errorf("got %s\nservers %q", got, now)
				}
				saysAll(t, got, "stopped at the first value that somebody else changed")
				s.ends("a rollback that overwrites", h.flip("rollback", "--on-drift=force", "--yes"), 0, s.pre)
			} else {
				s.ends(name, got, c.code, c.want)
			}
			s.back()
		})
	}
}
