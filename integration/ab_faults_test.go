package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/journal"
)

// abTrouble is what happens to a release: once to the write behind each intent
// of at, or to all of them, between the intent and the write.
type abTrouble struct {
	name string
	at   string // key of an intent; every write when it is empty
	hit  func(l *abLab, w abWrite)
	vars []string // "name=value"
	code int
	// again are the writes that took effect a second time, and had none: where
	// the first one was said to have failed.
	again int
	// back is what brings everything back when flip alone could not, "" when it
	// did; says is what flip has to tell then.
	back, says string
}

func (x abTrouble) args() []string {
	var args []string
	for _, v := range x.vars {
		args = append(args, "--var", v)
	}
	return args
}

// abWrite is an intended write.
type abWrite struct{ key, target, side string }

func abWriteOf(r journal.Record) (abWrite, bool) {
	if r.Type != journal.TypeIntent || r.Activity != "apply" {
		return abWrite{}, false
	}
	w := abWrite{key: strings.TrimPrefix(r.Key, "/steps/"), side: "a"}
	if strings.HasSuffix(w.key, ".raise") || strings.HasPrefix(w.key, "edge-out") || strings.HasPrefix(w.key, "registry-out") {
		w.side = "b"
	}
	w.target = strings.Split(w.key, ".")[1]
	return w, true
}

// api is the product and the action that write to a target.
func (w abWrite) api() (product, action string) {
	if w.target == "slb" {
		return "slb", "SetVServerGroupAttribute"
	}
	return "alb", "UpdateServerGroupServersAttribute"
}

// cloudly injects a fault into writes of load balancers.
func cloudly(f slbtest.Fault) func(*abLab, abWrite) {
	return func(l *abLab, w abWrite) {
		if w.target == "users" {
			return
		}
		once := f
		once.Product, once.Action = w.api()
		once.Times = 1
		l.cloud.Inject(once)
	}
}

// only is cloudly for one target.
func only(target string, f slbtest.Fault) func(*abLab, abWrite) {
	return func(l *abLab, w abWrite) {
		if w.target == target {
			cloudly(f)(l, w)
		}
	}
}

// busily answers with busy codes of the product: the n-th one to the first
// write, then the others in turn.
func busily(n int) func(*abLab, abWrite) {
	return func(l *abLab, w abWrite) {
		if w.target == "users" {
			return
		}
		all := slbtest.Busy(w.api())
		l.cloud.Inject(all[n%len(all)])
		n++
	}
}

// registrarly injects a fault into writes of the registry.
func registrarly(f nacostest.Fault) func(*abLab, abWrite) {
	f.Times, f.Method, f.On = max(f.Times, 1), http.MethodPut, "/instance"
	return func(l *abLab, w abWrite) {
		if w.target == "users" {
			l.users.Fail(f)
		}
	}
}

// edited has somebody else change the weight of the first member of the write.
func (l *abLab) edited(w abWrite, weight int) {
	id := map[string]string{"slb": "i-gw-", "ws": "i-ws-"}[w.target] + w.side + "1"
	l.cloud.Edit(func(e *slbtest.Estate) {
		for _, g := range []slbtest.Group{e.CLB[0].Groups[0], e.ALBGroups[0]} {
			for i := range g.Members {
				if g.Members[i].ServerID == id {
					g.Members[i].Weight = weight
				}
			}
		}
	})
}

// renewed is a new key, in the files where flip finds it.
func (l *abLab) renewed() {
	l.keys++
	k := abKey
	k.ID, k.Token = fmt.Sprint(abKey.ID, l.keys), fmt.Sprint(abKey.Token, l.keys)
	l.cloud.SetKey(k)
	l.has(k)
}

// abTroubles are met by every write of one run, one fault a write, and are
// survived.
func abTroubles() []abTrouble {
	quick := []string{"patience=6s"} // how long a write without an answer may still take effect
	all := []abTrouble{
		{name: "throttled", hit: cloudly(slbtest.Fault{Kind: slbtest.Throttled})},
		{name: "503", vars: quick, hit: cloudly(slbtest.Fault{Kind: slbtest.Unavailable})},
		{name: "a gateway's HTML", vars: quick, hit: cloudly(slbtest.Fault{Kind: slbtest.HTMLGateway})},
		{name: "garbage", vars: quick, hit: cloudly(slbtest.Fault{Kind: slbtest.Garbage})},
		{name: "slow", hit: cloudly(slbtest.Fault{Kind: slbtest.Slow, After: 200 * time.Millisecond})},
		{name: "slb: answered after the timeout", vars: quick, hit: only("slb", slbtest.Fault{Kind: slbtest.SlowAnswer, After: 6500 * time.Millisecond})},
		{name: "alb: answered after the timeout", vars: quick, hit: only("ws", slbtest.Fault{Kind: slbtest.SlowAnswer, After: 6500 * time.Millisecond})},
		{name: "dropped before", vars: quick, hit: cloudly(slbtest.Fault{Kind: slbtest.DropBefore})},
		{name: "applied, answer lost", hit: cloudly(slbtest.Fault{Kind: slbtest.DropAfter})},
		{name: "applied late", hit: cloudly(slbtest.Fault{Kind: slbtest.LateApply, After: 300 * time.Millisecond})},
		{name: "half a batch", vars: quick, hit: cloudly(slbtest.Fault{Kind: slbtest.Partial, Entries: 1}), again: 14},
		{name: "job failed", again: 7, hit: only("ws", slbtest.Fault{Kind: slbtest.JobFails, Code: "SystemBusy"})},
		{name: "key expired, renewed", hit: func(l *abLab, w abWrite) {
			cloudly(slbtest.Fault{Kind: slbtest.ExpireKey, Do: l.renewed})(l, w)
		}},
		{name: "edited right before the write", hit: func(l *abLab, w abWrite) {
			cloudly(slbtest.Fault{Do: func() { l.edited(w, 33) }})(l, w)
		}},
		{name: "nacos: hangs", hit: registrarly(nacostest.Fault{Kind: nacostest.Hang}), again: 3, vars: quick},
		{name: "nacos: no leader", vars: quick, hit: registrarly(nacostest.RaftFailure), again: 3},
		{name: "nacos: 503", vars: quick, hit: registrarly(nacostest.Fault{Kind: nacostest.Status, Code: http.StatusServiceUnavailable}), again: 3},
		{name: "nacos: garbage", vars: quick, hit: registrarly(nacostest.Fault{Kind: nacostest.Garbage, Text: "<html>"}), again: 3},
		{name: "nacos: applied, answer lost", vars: quick, hit: registrarly(nacostest.Fault{Kind: nacostest.LoseAnswer})},
		{name: "nacos: token expired", hit: func(l *abLab, w abWrite) {
			if w.target == "users" {
				l.users.ExpireTokens()
			}
		}},
	}
	most := max(len(slbtest.Busy("slb", "")), len(slbtest.Busy("alb", "")))
	for n := range most {
		if !soak() && n%4 > 0 {
			continue
		}
		all = append(all, abTrouble{name: fmt.Sprintf("busy, from code %d of %d on", n+1, most), hit: busily(n)})
	}
	return all
}

// abLetdowns end a release, each at one write.
func abLetdowns(writes []abWrite) []abTrouble {
	refused := slbtest.Fault{Kind: slbtest.Refuse, Code: "InvalidParameter"}
	forbidden := slbtest.Fault{Kind: slbtest.Refuse, Status: http.StatusForbidden, Code: "Forbidden.RAM"}
	var all []abTrouble
	for i, w := range writes {
		lost := abTrouble{name: "key expired, renewed on the way back", at: w.key, code: 10, hit: func(l *abLab, w abWrite) {
			l.back = l.renewed
			cloudly(slbtest.Fault{Kind: slbtest.ExpireKey})(l, w)
		}}
		if w.target != "users" && (soak() || i == 0 || w.key == "edge-in/100.ws.lower") {
			all = append(all, lost)
		}
		some := []abTrouble{
			{name: "refused", hit: cloudly(refused), code: 10},
			{name: "forbidden", hit: cloudly(forbidden), code: 10},
			{name: "edited before", hit: func(l *abLab, w abWrite) { l.edited(w, 33) }, code: 12, says: "33", back: "rollback --yes --on-drift=force"},
		}
		if w.target == "users" {
			some = []abTrouble{{name: "nacos: refused for good", hit: registrarly(nacostest.Fault{Kind: nacostest.Status, Code: http.StatusBadRequest, Text: "no such thing"}), code: 10}}
			if strings.HasSuffix(w.key, "raise") {
				some[0].again = 1 // the way back sets what the refused write would have set
			}
		}
		if i == 0 { // nothing was changed yet: there is no way back to go
			some = some[:2]
			some[0].code, some[1].code = 1, 1
		}
		for j, t := range some {
			if t.at = w.key; soak() || w.target == "users" || i%len(some) == j {
				all = append(all, t)
			}
		}
	}
	return all
}

// TestEveryFaultOfTheCloudEndsAReleaseAtItsGoalOrWhereItBegan has every fault
// of the stand-ins meet every write of plans/ab-release.yaml. The run ends at
// its goal, or everything is as before, or flip says what is needed; what the
// stand-ins show is what flip says, and nothing is applied twice.
func TestEveryFaultOfTheCloudEndsAReleaseAtItsGoalOrWhereItBegan(t *testing.T) {
	t.Parallel()
	s, dir, began := newSquad(t), memoryDir(t), time.Now()
	whole := newABLab(t, filepath.Join(dir, "whole"), s)
	whole.wants([]int{0}, whole.args...)
	if diff := cmp.Diff(abAfter(), whole.sight()); diff != "" {
		t.Fatalf("without any fault (-want +got):\n%s", diff)
	}
	var writes []abWrite
	for _, r := range whole.records() {
		if w, ok := abWriteOf(r); ok {
			writes = append(writes, w)
		}
	}
	if len(writes) != 17 { // 2 and 1 out, 1 in, 12 of the ramp, 1 out
		t.Fatalf("%d writes: %v", len(writes), writes)
	}
	all := slices.Concat(abTroubles(), abLetdowns(writes))
	rows := make([]string, len(all))
	together(len(all), 32, func(i int) {
		l := newABLab(t, filepath.Join(dir, fmt.Sprint(i)), s)
		defer l.end()
		rows[i] = l.suffer(all[i])
	})
	t.Logf("%-36s %-27s exit  writes  twice  s\n%s", "fault", "at", strings.Join(rows, "\n"))
	t.Logf("%d runs in %s", len(all), time.Since(began).Round(time.Second))
}

// suffer runs a release that meets trouble.
func (l *abLab) suffer(x abTrouble) string {
	l.Helper()
	name := strings.TrimSpace(x.name + " " + x.at)
	var once sync.Map
	hits, began := 0, time.Now()
	got := l.with(func(app *flip.App) {
		app.OnRecord = func(r journal.Record) {
			if r.Type == journal.TypeRollback && l.back != nil {
				l.back()
			}
			w, ok := abWriteOf(r)
			if _, done := once.LoadOrStore(w.key, true); ok && !done && (x.at == "" || x.at == w.key) {
				hits++
				x.hit(l, w)
			}
		}
	}, append(l.args, x.args()...)...)
	if got.code != x.code || hits == 0 || l.cloud.Pending() > 0 {
		l.Errorf("%s: want exit %d, %d hits, %d faults did not happen: %s", name, x.code, hits, l.cloud.Pending(), got)
	}
	l.cloud.Heal()
	l.users.Heal()
	twice := len(l.twice())
	if twice != x.again {
		l.Errorf("%s: %d writes had no effect, want %d:\n%s", name, twice, x.again, strings.Join(l.twice(), "\n"))
	}
	row := fmt.Sprintf("%-36s %-27s %4d  %6d  %5d  %.0f", x.name, x.at, got.code, len(l.cloud.Writes())+len(l.users.Writes()), twice, time.Since(began).Seconds())
	want := map[int]map[string]string{0: abAfter(), 1: abBefore(), 10: abBefore(), 12: nil}[got.code]
	if x.back != "" {
		if !strings.Contains(got.err, x.says) {
			l.Errorf("%s: it does not say %q: %s", name, x.says, got)
		}
		l.wants([]int{0}, strings.Fields(x.back)...)
		want = abBefore()
	}
	if diff := cmp.Diff(want, l.sight()); diff != "" {
		l.Errorf("%s: exit %d, but there is (-want +got):\n%s\n%s", name, got.code, diff, got)
	}
	said := l.flip("drift", "--detailed-exitcode")
	for range 3 {
		if said.code == 4 { // a stand-in did not answer in time on a busy machine
			said = l.flip("drift", "--detailed-exitcode")
		}
	}
	if agreed := map[int]int{1: 3}[got.code]; said.code != agreed { // a run that changed nothing is nothing to compare with
		l.Errorf("%s: flip and the stand-ins do not agree: %s", name, said)
	}
	return row
}
