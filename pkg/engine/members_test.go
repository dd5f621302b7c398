package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// both is a service that two targets know: each member is one.
const both = `
flip: 1
name: both
targets:
  edge: {driver: mem, name: edge, pool: {a1: {weight: 100, address: "a1:80"}, a2: {weight: 100, address: "a2:80"}, b1: {weight: 100, address: "b1:80"}}}
  web:  {driver: mem, name: web, nodes: [n1, n2], pool: {w1: {weight: 100, address: "a1:80"}, w2: {weight: 100, address: "a2:80"}, w3: {weight: 100, address: "b1:80"}}}
groups: {a: {edge: [a1, a2], web: [w1, w2]}, b: {edge: [b1], web: [w3]}}
steps:
  - {id: out, set: {group: a, weight: 0}}
  - {id: drain, drain: {group: a, timeout: 1m, count: {http: {url: "http://${{ member.address }}/stats", value: body.in_flight}}MORE}}
`

func counting(more string) string { return strings.Replace(both, "MORE", more, 1) }

func TestADrainAsksEachMemberOnceHoweverManyTargetsKnowIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, counting(""))
		f := fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": open(12, 3, 0), "a2:80": open(0)})
		var looks []map[string]int
		l.onRecord = func(r journal.Record) {
			if d, _ := journal.Decode[journal.LookData](r); r.Type == journal.TypeLook && d.InFlight != nil {
				looks = append(looks, d.InFlight)
			}
		}
		began := time.Now()
		l.run(journal.OutcomeDone)
		same(t, "looks", []map[string]int{{"a1": 12, "a2": 0}, {"a1": 3, "a2": 0}, {"a1": 0, "a2": 0}, {"a1": 0, "a2": 0}}, looks)
		same(t, "asked", [2]int{5, 5}, [2]int{f.looks("a1:80"), f.looks("a2:80")})
		same(t, "text", "0 in flight on 2 members after 4s", stepText(l, "drain"))
		same(t, "time", 4*time.Second, time.Since(began))
	})
}

func TestAMemberThatDoesNotTellIsNotQuiet(t *testing.T) {
	fails := func(after int) http.HandlerFunc {
		n := 0
		return func(w http.ResponseWriter, r *http.Request) {
			if n++; n > after {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			fmt.Fprint(w, `{"in_flight": 0}`)
		}
	}
	for name, test := range map[string]struct {
		a2   http.HandlerFunc
		says string
	}{
		"it is gone":               {nil, "a2 did not tell: connect a2:80: connection refused"},
		"it fails after a zero":    {fails(2), "a2 did not tell: status 503"},
		"it says something else":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, "a2 did not tell: the answer has no body.in_flight"},
		"it takes too long to say": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "a2 did not tell: no answer within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, counting(""))
				answers := map[string]http.HandlerFunc{"a1:80": open(0)}
				if test.a2 != nil {
					answers["a2:80"] = test.a2
				}
				fleetOf(t, l, answers)
				end := l.run(journal.OutcomeRolledBack)
				contains(t, end.Reason, "deadline passed: 0 in flight on 1 member after ")
				contains(t, end.Reason, test.says)
			})
		})
	}
}

func TestMembersAreAskedToEndWhatTheyHaveWhenADrainBegins(t *testing.T) {
	tests := map[string]struct {
		more  string
		a1    []int
		want  journal.Outcome
		asked []string
		says  string
	}{
		"once": {
			`, ask: {http: {url: "http://${{ member.address }}/drain"}}`,
			[]int{5, 0},
			journal.OutcomeDone,
			[]string{"POST a1:80/drain", "POST a2:80/drain"},
			"0 in flight on 2 members after 3s",
		},
		"again and again": {
			`, ask: {http: {url: "http://${{ member.address }}/drain", method: DELETE}, every: 4s}`,
			[]int{5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 0},
			journal.OutcomeDone,
			[]string{"DELETE a1:80/drain", "DELETE a1:80/drain", "DELETE a1:80/drain", "DELETE a2:80/drain", "DELETE a2:80/drain", "DELETE a2:80/drain"},
			"0 in flight on 2 members after 10s",
		},
		"who refuses fails the step": {
			`, ask: {http: {url: "http://${{ member.address }}/drain", status: 204}}`,
			[]int{0},
			journal.OutcomeRolledBack,
			[]string{"POST a1:80/drain", "POST a2:80/drain"},
			"2 of 2 members did not do what they were asked: a1: POST http://a1:80/drain: status 202; a2: POST http://a2:80/drain: status 202",
		},
		"unless that is fine": {
			`, ask: {http: {url: "http://${{ member.address }}/drain", status: 204}, optional: true}`,
			[]int{0},
			journal.OutcomeDone,
			[]string{"POST a1:80/drain", "POST a2:80/drain"},
			"0 in flight on 2 members after 2s",
		},
		"and made to end it at the deadline": {
			`, then: kill, kill: {http: {url: "http://${{ member.address }}/kill", method: PUT}}`,
			append(slices.Repeat([]int{7}, 61), 0), journal.OutcomeDone,
			[]string{"PUT a1:80/kill", "PUT a2:80/kill"},
			"deadline passed: ended 7 in flight",
		},
		"or left alone": {
			`, then: continue, ask: {http: {url: "http://${{ member.address }}/drain"}}`,
			[]int{7},
			journal.OutcomeDone,
			[]string{"POST a1:80/drain", "POST a2:80/drain"},
			"deadline passed: 7 in flight on 2 members after 1m0s; the plan goes on",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, counting(test.more))
				f := fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": open(test.a1...), "a2:80": open(0)})
				end := l.run(test.want)
				asked := f.asked()
				slices.Sort(asked)
				same(t, "asked", test.asked, asked)
				if test.want == journal.OutcomeDone {
					same(t, "text", test.says, stepText(l, "drain"))
				} else {
					contains(t, end.Reason, test.says)
				}
			})
		})
	}
}

func TestMembersAreAskedByACommand(t *testing.T) {
	l := newLab(t, counting(`, ask: {run: "echo $FLIP_MEMBER ${{ member.host }} >> `+"FILE"+`"}`))
	l.text = strings.ReplaceAll(l.text, "FILE", l.dir+"/asked")
	fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": open(0), "a2:80": open(0)})
	l.text = strings.Replace(l.text, "timeout: 1m", "timeout: 1m, interval: 1ms", 1)
	l.run(journal.OutcomeDone)
	lines := strings.Fields(readText(t, l.dir+"/asked"))
	slices.Sort(lines)
	same(t, "asked", []string{"a1", "a1", "a2", "a2"}, lines)
}

func TestADrainInsideAnEachAsksItsMemberOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, strings.Replace(counting(`, ask: {http: {url: "http://${{ member.address }}/drain"}}`), `  - {id: drain, drain: {group: a, `, `  - id: rolling
    each: a
    do:
      - {id: drain, drain: {`, 1))
		f := fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": open(1, 0), "a2:80": open(0)})
		l.run(journal.OutcomeDone)
		same(t, "asked", []string{"POST a1:80/drain", "POST a2:80/drain"}, f.asked())
		same(t, "looks", [2]int{4, 3}, [2]int{f.looks("a1:80"), f.looks("a2:80")})
	})
}

func TestLintRefusesADrainThatNobodyCouldEnd(t *testing.T) {
	const two = `
flip: 1
name: two
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 1}}}
  reg: {driver: mute, name: reg, pool: {a1: {weight: 1}}}
groups: {a: {web: [a1], reg: [a1]}, w: {web: [a1]}, r: {reg: [a1]}}
gates: {g: {script: {name: g}}}
steps:
  - {id: out, set: {group: a, weight: 0}}
  - STEP
`
	const stats = `count: {http: {url: "http://${{ member.host }}/stats", value: body.n}}`
	tests := map[string]struct{ step, want string }{
		"a driver that cannot count":      {"{id: d, drain: {group: r}}", "drain d: nobody tells what is in flight on reg (mute)"},
		"one of two drivers":              {"{id: d, drain: {group: a}}", "drain d: nobody tells what is in flight on reg (mute)"},
		"a target":                        {"{id: d, drain: {target: reg}}", "drain d: nobody tells what is in flight on reg (mute)"},
		"inside an each":                  {"{id: e, each: r, do: [{id: d, drain: {}}]}", "drain d: nobody tells what is in flight on reg (mute)"},
		"then kill":                       {"{id: d, drain: {group: r, then: kill, " + stats + "}}", "drain d: then: kill, but nobody can end what is open on reg (mute)"},
		"an unknown way to count":         {"{id: d, drain: {group: r, count: {htpp: {}}}}", `unknown way to count "htpp"; did you mean "http"?`},
		"an unknown key of a count":       {"{id: d, drain: {group: r, count: {http: {urll: x}}}}", `urll`},
		"a count without a value":         {`{id: d, drain: {group: r, count: {http: {url: "http://${{ member.host }}/"}}}}`, "count: value is missing"},
		"a sum that is a query":           {`{id: d, drain: {group: r, count: {metrics: {url: "http://${{ member.host }}/", sum: rate(x)}}}}`, "is no selector of series"},
		"a call to nowhere":               {"{id: d, drain: {group: w, ask: {http: {url: nowhere}}}}", "neither http nor https"},
		"what can be counted":             {"{id: d, drain: {group: r, " + stats + "}}", ""},
		"what a gate tells":               {"{id: d, drain: {group: r, metric: g}}", ""},
		"where the driver can":            {"{id: d, drain: {group: a, on: web}}", ""},
		"an each where the driver can":    {"{id: e, each: w, do: [{id: d, drain: {}}]}", ""},
		"a kill of its own":               {"{id: d, drain: {group: r, then: kill, " + stats + ", kill: {run: ./kill}}}", ""},
		"then kill where the driver can":  {"{id: d, drain: {group: w, then: kill}}", ""},
		"then kill that a gate waits for": {"{id: d, drain: {group: w, then: kill, metric: g}}", "then: kill has no members"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, strings.Replace(two, "STEP", test.step, 1))
			p := l.load()
			err := engine.Check(&p, l.world().Drivers, l.world().Gates)
			switch {
			case test.want == "":
				must(t, err)
			case err == nil:
				t.Error("it was accepted")
			default:
				contains(t, err.Error(), test.want)
			}
		})
	}
}

func TestTheWayBackLetsWhatIsInFlightEndBeforeACommandIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: back
targets: {web: {driver: mute, name: web, pool: {a1: {weight: 100, address: "a1:80"}, b1: {weight: 0, address: "b1:80"}}}}
steps:
  - {id: install, run: "true", undo: "touch FILE"}
  - {id: in, set: {target: web, members: [b1], weight: 100}}
  - {id: drain, drain: {target: web, members: [a1], timeout: 1m, count: {http: {url: "http://${{ member.address }}/", value: body.in_flight}}}}
  - {id: bad, gate: {script: {name: bad}, timeout: 5s}}
`)
		l.text = strings.ReplaceAll(l.text, "FILE", l.dir+"/undone")
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return plain{d} }
		l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
		early := false
		busy := open(3, 2, 1, 0)
		f := fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": open(0), "b1:80": func(w http.ResponseWriter, r *http.Request) {
			if _, err := os.Stat(l.dir + "/undone"); err == nil {
				early = true
			}
			busy(w, r)
		}})
		l.run(journal.OutcomeRolledBack)
		same(t, "looks at b1", 6, f.looks("b1:80"))
		same(t, "undone while something was in flight", false, early)
		readText(t, l.dir+"/undone")
	})
}

func TestAPreviewOfADrainSaysWhoCountsAndWhatIsAsked(t *testing.T) {
	l := newLab(t, strings.Replace(counting(`, then: continue, ask: {http: {url: "http://${{ member.address }}/drain"}, every: 30s}`), "http://${{ member.address }}/stats", "STATS/${{ member.name }}", 1))
	answers := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answers++
		if r.URL.Path == "/a2" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, `{"in_flight": 214}`)
	})
	l.text = strings.ReplaceAll(l.text, "STATS", s)
	prog := l.program()
	defer prog.Close()
	b, err := engine.Bind(t.Context(), prog, l.world(), "")
	must(t, err)
	p := engine.NewPreview(t.Context(), b)
	must(t, p.Err)
	got := p.Steps[len(p.Steps)-1]
	same(t, "note", "now 214; 1 of 2 did not tell", got.Note)
	same(t, "answers", 2, answers)
	want := &engine.DrainPreview{
		Source: "http " + s + "/${{ member.name }} body.in_flight", Ask: "POST http://${{ member.address }}/drain",
		Every: 30 * time.Second, Then: "continue", Deadline: time.Minute, Members: []string{"a1", "a2"},
	}
	same(t, "drain", want, got.Drain)
	same(t, "time", time.Minute, got.Longest)
}

func TestWhatMembersAreAskedSurvivesACrash(t *testing.T) {
	text := counting(`, then: kill, ask: {http: {url: "http://${{ member.address }}/drain"}, every: 10s}, kill: {http: {url: "http://${{ member.address }}/kill"}}`)
	text = strings.Replace(text, "timeout: 1m", "timeout: 15s", 1)
	killed := func() http.HandlerFunc {
		dead := false
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/kill" {
				dead = true
			}
			fmt.Fprintf(w, `{"in_flight": %d}`, map[bool]int{false: 3, true: 0}[dead])
		}
	}
	lab := func(t *testing.T, d *death) (*lab, *fleet) {
		l := newLab(t, text)
		l.mortal(d, "edge", "web")
		return l, fleetOf(t, l, map[string]http.HandlerFunc{"a1:80": killed(), "a2:80": killed()})
	}
	var b baseline
	synctest.Test(t, func(t *testing.T) {
		l, f := lab(t, &death{})
		l.run(journal.OutcomeDone)
		b.after, b.records = l.image(), l.records()
		same(t, "asked without a crash", 6, len(f.asked())) // twice to drain, once to kill, two members
	})
	var m matrix
	deaths(b, func(name string, d *death, at journal.Record) {
		synctest.Test(t, func(t *testing.T) {
			l, f := lab(t, d)
			die(t, l, d)
			end, err := l.resume(engine.Options{})
			over := at.Seq == 1 && !d.after || at.Type == journal.TypeEnd && d.after
			if !over && (err != nil || end.Outcome != journal.OutcomeDone) {
				m.at(name, fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason))
				return
			}
			if at.Seq == 1 && !d.after {
				return
			}
			// A call whose answer was not written down is made again, and a drain
			// that is taken up again has its time anew.
			wrong := differs(b.after, l.image())
			if n := len(f.asked()); n < 6 || n > 12 {
				wrong += fmt.Sprintf("asked %d times", n)
			}
			m.at(name, wrong)
		})
	})
	m.report(t)
	if m.points < 20 && !testing.Short() {
		t.Errorf("only %d points", m.points)
	}
}
