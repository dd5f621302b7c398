package engine_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/state"
)

// zoneOf is a plan over one zone whose name servers agree after two seconds.
func zoneOf(steps string) string {
	return `
flip: 1
name: zone
targets:
  zone: {driver: mem, name: zone, settle: 2s, negative: 30s, records: {"www.example.com A": {values: [192.0.2.1], ttl: 172800}, "www.example.com AAAA": {values: ["2001:db8::1"], ttl: 20}}}
views: {isp: {dns: 10.0.0.1}, office: {dns: 10.0.0.2}}
steps:
  - {id: first, set: {target: zone, record: www.example.com A, values: [192.0.2.2]}}
` + steps
}

// shortly is the same with a TTL of 20 minutes.
func shortly(steps string) string { return strings.Replace(zoneOf(steps), "172800", "1200", 1) }

// waits are the moments that waits of the run ended or end at, by step.
func (l *lab) waits() map[string]time.Time {
	out := map[string]time.Time{}
	for _, r := range l.records() {
		if r.Type == journal.TypeSleep {
			u, _ := journal.Decode[journal.Until](r)
			out[strings.TrimSuffix(strings.TrimPrefix(r.Key, "/steps/"), ".wait")] = u.Until
		}
	}
	return out
}

func answer(vantage string, ttl time.Duration, values ...string) resolve.Answer {
	return resolve.Answer{Vantage: vantage, Sample: 1, Values: values, HasTTL: true, MinTTL: ttl, MaxTTL: ttl}
}

func TestAWaitCountsFromWhenTheLastNameServerHadStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, shortly(`
  - {id: both, wait: {ttl: [www.example.com A, WWW.example.com. AAAA], slack: 5s}}
  - {id: six,  set: {target: zone, record: www.example.com AAAA, values: ["2001:db8::2"]}}
  - {id: only-six, wait: {ttl: www.example.com AAAA}}
  - {id: new,  set: {target: zone, record: new.example.com A, values: [192.0.2.9], ttl: 60}}
  - {id: seen, wait: {ttl: new.example.com A}}
  - {id: again, wait: {ttl: www.example.com A}}
`))
		l.text = strings.Replace(l.text, "  - {id: both", `  - {id: six-too, set: {target: zone, record: www.example.com AAAA, ttl: 30}}
  - {id: both`, 1)
		began := time.Now().UTC()
		l.run(journal.OutcomeDone)
		took := map[string]time.Duration{}
		for step, until := range l.waits() {
			took[step] = until.Sub(began)
		}
		both := 2*time.Second + 20*time.Minute + 5*time.Second // the A record's, though the AAAA record was changed later
		six := both + 2*time.Second + 30*time.Second + 2*time.Second
		want := map[string]time.Duration{
			"both": both, "only-six": six,
			"seen":  six + 2*time.Second + 30*time.Second + 2*time.Second, // "no such name" is kept for 30 s
			"again": 2*time.Second + 20*time.Minute + 2*time.Second,       // over long ago
		}
		same(t, "ends of waits", want, took)
		same(t, "it took", want["seen"], time.Since(began))
	})
}

func TestAWaitOfTwoDaysSurvivesAKillAndAnotherMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &death{}
		l := newLab(t, zoneOf("  - {id: caches, wait: {ttl: www.example.com A}}\n  - {id: last, set: {target: zone, record: www.example.com A, ttl: 60}}\n"))
		l.mortal(d, "zone")
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeLook && r.Key == "/steps/caches.wait" {
				d.mu.Lock()
				d.dead = d.record == 0 // kill -9 in the middle of the wait
				d.mu.Unlock()
			}
		}
		began := time.Now()
		soft, stop := contextWithCancel(t)
		time.AfterFunc(3*time.Hour, stop) // a dead process does not wait on; here it must end
		if _, err := l.start(engine.Options{Soft: soft}); !errors.Is(err, journal.ErrNotDurable) {
			t.Fatalf("the process did not die: %v", err)
		}
		l.onRecord = nil
		d.revive()
		floor := l.waits()["caches"]
		same(t, "the floor", 48*time.Hour+4*time.Second, floor.Sub(began))

		moved := quickDir(t)
		must(t, os.CopyFS(moved, os.DirFS(l.dir)))
		l.dir, l.host = moved, "another-machine"
		time.Sleep(time.Hour)
		end, err := l.resume(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeWaiting, end, err)
		same(t, "it left at once", 4*time.Hour, time.Since(began).Truncate(time.Minute))
		v, err := l.runner().Store.View(t.Context(), l.id)
		must(t, err)
		st, err := journal.Fold(v.Records())
		must(t, err)
		same(t, "the time to resume", floor, st.Waiting[0].Until)

		l.host = "a-third"
		time.Sleep(30 * time.Hour)
		end, err = l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "it ended when it should", 48*time.Hour+4*time.Second, time.Since(began).Truncate(time.Second)-2*time.Second)
		same(t, "waits that began", 1, strings.Count(strings.Join(l.lines(), "\n"), "\nsleep "))
	})
}

func TestTheCeilingOfAWaitDoesAsThePlanSays(t *testing.T) {
	stale := viewFunc(func() []resolve.Answer {
		return []resolve.Answer{answer("10.0.0.1:53", 37*time.Second, "192.0.2.1"), answer("10.0.0.1:53", 20*time.Second, "192.0.2.2")}
	})
	fine := viewFunc(func() []resolve.Answer {
		return []resolve.Answer{answer("10.0.0.2:53", time.Second, "192.0.2.2"), {Vantage: "[2001:db8::53]:53", Unknown: "no route", NoRoute: true}}
	})
	blocked := viewFunc(func() []resolve.Answer {
		return []resolve.Answer{{Vantage: "10.0.0.2:53", Unknown: "timeout after 5s"}}
	})
	const saw = "isp 1/2 still 192.0.2.1 (ttl 37); gone for office"
	for name, test := range map[string]struct {
		onMax  string
		office resolve.View
		want   journal.Outcome
		says   string
	}{
		"pause is the default":         {"", fine, journal.OutcomePaused, "after 1h: " + saw},
		"fail goes back":               {", on_max: fail", fine, journal.OutcomeRolledBack, "after 1h: " + saw},
		"continue goes on":             {", on_max: continue", fine, journal.OutcomeDone, ""},
		"who cannot be seen is no yes": {"", blocked, journal.OutcomePaused, "isp 1/2 still 192.0.2.1 (ttl 37); office unknown: 10.0.0.2:53: timeout after 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, shortly("  - {id: caches, on_fail: continue, wait: {ttl: www.example.com A, from: [isp, office], max: 1h, every: 1m"+test.onMax+"}}\n"))
				if test.want == journal.OutcomeRolledBack {
					l.text = strings.Replace(l.text, "on_fail: continue, ", "", 1)
				}
				l.sees(map[string]resolve.View{"isp": stale, "office": test.office})
				began := time.Now()
				end := l.run(test.want)
				contains(t, end.Reason, test.says)
				same(t, "it took", time.Hour, time.Since(began).Truncate(time.Minute))
				if test.want != journal.OutcomePaused {
					return
				}
				l.sees(map[string]resolve.View{"isp": fine, "office": fine})
				again := time.Now()
				end, err := l.resume(engine.Options{})
				l.ended(journal.OutcomeDone, end, err)
				same(t, "it looked again, twice", time.Minute, time.Since(again))
			})
		})
	}
}

func TestAnAnswerThatIsNotTheNewOneIsWaitedForWhereNothingIsRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, strings.Replace(shortly("  - {id: caches, wait: {ttl: www.example.com A, from: isp, every: 1m, passes: 1}}\n"), "values: [192.0.2.2]}}", "values: [192.0.2.1, 192.0.2.2], ttl: 60}}", 1))
		began := time.Now()
		l.sees(map[string]resolve.View{"isp": viewFunc(func() []resolve.Answer {
			switch since := time.Since(began) - 20*time.Minute; {
			case since < 5*time.Minute:
				return []resolve.Answer{answer("a", time.Second, "192.0.2.1")}
			case since < 10*time.Minute:
				return []resolve.Answer{answer("a", time.Hour, "192.0.2.1", "192.0.2.2")} // stretched
			}
			return []resolve.Answer{answer("a", time.Minute, "192.0.2.1", "192.0.2.2")}
		})})
		var looks []string
		l.onRecord = func(r journal.Record) {
			d, err := journal.Decode[journal.LookData](r)
			if r.Type == journal.TypeLook && err == nil && strings.HasPrefix(r.Key, "/steps/caches") {
				looks = append(looks, d.Text)
			}
		}
		l.run(journal.OutcomeDone)
		same(t, "it took", 30*time.Minute, time.Since(began).Truncate(time.Minute))
		contains(t, looks[0], "floor in 20m2s (ttl 1200 of ")
		contains(t, looks[0], "; isp 1/1 without 192.0.2.2 (ttl 1)")
		for _, text := range []string{"isp 1/1 without 192.0.2.2 (ttl 1)", "isp 1/1 kept from before (ttl 3600)", "gone for isp"} {
			if !slices.Contains(looks, text) {
				t.Errorf("no look says %q", text)
			}
		}
	})
}

func TestALookThatGoesOnLeavesAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, shortly("  - {id: caches, wait: {ttl: www.example.com A, from: isp, max: 96h}}\n"))
		old := true
		l.sees(map[string]resolve.View{"isp": viewFunc(func() []resolve.Answer {
			if old {
				return []resolve.Answer{answer("a", time.Second, "192.0.2.1")}
			}
			return []resolve.Answer{answer("a", time.Second, "192.0.2.2")}
		})})
		end, err := l.start(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeWaiting, end, err)
		time.Sleep(time.Hour)
		again := time.Now()
		end, err = l.resume(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeWaiting, end, err)
		same(t, "it looked for ten minutes", 10*time.Minute, time.Since(again).Truncate(time.Minute))
		old = false
		end, err = l.resume(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeDone, end, err)
	})
}

func TestAnEarlierRunsAnswersAreWaitedForToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, shortly(""))
		began := time.Now()
		l.run(journal.OutcomeDone)
		time.Sleep(10 * time.Minute)
		l.text = strings.Replace(shortly("  - {id: caches, wait: {ttl: www.example.com A}}\n"), "values: [192.0.2.2]}", "values: [192.0.2.3], ttl: 60}", 1)
		l.run(journal.OutcomeDone)
		same(t, "the floor is this run's", 30*time.Minute+6*time.Second, l.waits()["caches"].Sub(began))
		time.Sleep(time.Hour)
		l.text = strings.Replace(shortly("  - {id: caches, wait: {ttl: www.example.com A, retire: [192.0.2.1]}}\n"), "values: [192.0.2.2]}", "values: [192.0.2.4]}", 1)
		second := time.Now()
		l.run(journal.OutcomeDone)
		same(t, "answers that are over are not waited for", 2*time.Second, time.Since(second))
	})
}

func TestAWaitRefusesWhatItCannotMean(t *testing.T) {
	for name, test := range map[string]struct {
		steps string
		says  string
	}{
		"a value that is still given out": {"  - {id: caches, wait: {ttl: www.example.com A, retire: 192.0.2.2}}\n", "retire: 192.0.2.2 is still in www.example.com A"},
		"more time than max allows":       {"  - {id: caches, wait: {ttl: www.example.com A, from: isp, max: 1h}}\n", "caches need 48h0m2s, which is more than max: 1h allows"},
		"more time than the step has":     {"  - {id: caches, timeout: 1h, wait: {ttl: www.example.com A}}\n", "does not fit into what is left of the step's time"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, zoneOf(test.steps))
				_, err := l.start(engine.Options{})
				if _, before := errors.AsType[*engine.PreconditionError](err); !before {
					t.Fatalf("the run was not refused before anything changed: %v", err)
				}
				contains(t, err.Error(), test.says)
				same(t, "writes", []string(nil), l.writes())
			})
		})
	}
	for value, outcome := range map[string]journal.Outcome{
		"192.0.2.77": journal.OutcomeIncomplete, // which is left alone
		"192.0.2.1":  journal.OutcomeRolledBack, // what was before the run: there is nothing to put back
	} {
		t.Run("somebody else sets "+value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, zoneOf("  - {id: caches, wait: {ttl: www.example.com A}}\n"))
				l.onRecord = func(r journal.Record) {
					if s, _ := journal.Decode[journal.Step](r); r.Type == journal.TypeStep && s.Status == "done" && s.ID == "first" {
						l.outside("zone", wwwA, "values", state.List([]string{value}))
					}
				}
				end, err := l.start(engine.Options{})
				must(t, err)
				same(t, "the outcome", outcome, end.Outcome)
				contains(t, l.story(), "somebody else changed www.example.com A values")
			})
		})
	}
}
