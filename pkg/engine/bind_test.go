package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

func TestWhatAPlanNamesIsCheckedWithoutAnyConnection(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"an unknown driver":           {"targets: {web: {driver: men, name: web}}\nsteps: [{id: s, wait: 1s}]", `unknown driver "men"; did you mean "mem"?`},
		"an unknown key of a driver":  {"targets: {web: {driver: mem, nome: web}}\nsteps: [{id: s, wait: 1s}]", `nome`},
		"an unknown attribute":        {one + "steps: [{id: s, set: {target: web, wieght: 1}}]", `unknown attribute "wieght" for mem; did you mean "weight"?`},
		"a value out of range":        {one + "steps: [{id: s, set: {target: web, weight: 300}}]", "0..256"},
		"an unknown kind of gate":     {one + "steps: [{id: s, gate: {skript: {name: x}}}]", `unknown kind of gate "skript"; did you mean "script"?`},
		"an unknown key of a gate":    {one + "gates: {g: {script: {nam: x}}}\nsteps: [{id: s, gate: g}]", `nam`},
		"a policy that cannot be met": {one + "gates: {g: {script: {name: x}, passes: 9, every: 1m, timeout: 1m}}\nsteps: [{id: s, gate: g}]", "9 passes every 1m take 8m"},
		"a TTL without any record":    {one + "steps: [{id: s, wait: {ttl: www.example.com A}}]", "wait: ttl"},
		"two things at once":          {one + "steps: [{id: s, set: {target: web, wieght: 1}}, {id: r, set: {target: web, stat: ready}}]", `unknown attribute "stat"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := test.text
			if !strings.Contains(text, "flip: 1") {
				text = "flip: 1\nname: check\n" + text
			}
			l := newLab(t, text)
			p, err := plan.Load([]byte(text), plan.Options{File: "plan.yaml"})
			if err == nil {
				_, err = engine.Open(t.Context(), p, l.world())
			}
			if err == nil {
				t.Fatal("it was accepted")
			}
			contains(t, err.Error(), test.want)
			same(t, "targets that were opened", 0, len(l.mems))
		})
	}
}

func TestTheLiveSideIsReadAndNeverGuessed(t *testing.T) {
	tests := map[string]struct {
		edge, web string // the side that serves there
		live      string // given on the command line
		want      string
		table     string
	}{
		"they agree":                  {"a", "a", "", "a", ""},
		"on the other":                {"b", "b", "", "b", ""},
		"they do not":                 {"a", "b", "", "", "web     lb1/a1 0, lb2/a1 0  lb1/b1 100, lb2/b1 100"},
		"nobody serves":               {"", "", "", "", "edge    a1 0  "},
		"both serve":                  {"ab", "ab", "", "", "edge    a1 100"},
		"a person decides":            {"a", "b", "b", "b", ""},
		"a person names another side": {"a", "a", "c", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, pair+"steps: [{id: s, set: {group: live, weight: 1}}]\n")
			prog := l.program()
			defer prog.Close()
			for _, side := range []string{"a", "b"} {
				weight := func(serving string) state.Value {
					if strings.Contains(serving, side) {
						return state.Int(100)
					}
					return state.Int(0)
				}
				l.outside("edge", side+"1", "weight", weight(test.edge))
				l.outside("web", "lb1/"+side+"1", "weight", weight(test.web))
				l.outside("web", "lb2/"+side+"1", "weight", weight(test.web))
			}
			b, err := engine.Bind(t.Context(), prog, l.world(), test.live)
			if test.want != "" {
				must(t, err)
				same(t, "live", test.want, b.Pins.Live)
				return
			}
			if err == nil {
				t.Fatalf("%s is live, it says", b.Pins.Live)
			}
			var pre *engine.PreconditionError
			if test.table != "" && errors.As(err, &pre) {
				contains(t, pre.Table, test.table)
				contains(t, err.Error(), "which side is live? edge says")
			}
		})
	}
}

func TestAPreviewShowsWhatARunWouldDoAndTouchesNothing(t *testing.T) {
	l := newLab(t, `
flip: 1
name: preview
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 100, sessions: 7}, b1: {weight: 0}}}
groups: {a: {web: [a1]}, b: {web: [b1]}}
guards: [{target: web, min_serving: 1}]
gates: {up: {script: {name: up}, passes: 3, every: 1s, timeout: 30s}}
steps:
  - {id: deploy, run: "touch DIR/ran", undo: [undo-deploy, now]}
  - {id: up, gate: up}
  - {id: shift, ramp: {from: a, to: b, percent: [5, 100], hold: 1m}, gate: up}
  - {id: quiet, drain: {group: a, timeout: 5m}}
  - {id: ask, approve: go, timeout: 1h}
  - {id: never, set: {group: a, weight: 0}, when: 1 == 2}
  - {id: many, parallel: [{id: p1, set: {group: a, state: maint}}, {id: p2, wait: 1s}]}
  - {id: members, each: b, do: [{id: m, set: {weight: 90}}]}
`)
	l.text = strings.ReplaceAll(l.text, "DIR", l.dir)
	prog := l.program()
	defer prog.Close()
	b, err := engine.Bind(t.Context(), prog, l.world(), "")
	must(t, err)
	p := engine.NewPreview(t.Context(), b)
	must(t, p.Err)
	same(t, "writes", []string(nil), l.writes())
	if ran, _ := filepath.Glob(filepath.Join(l.dir, "ran")); len(ran) > 0 {
		t.Error("the command ran")
	}
	same(t, "the way back", []string{"undo-deploy now"}, p.Undos)
	same(t, "attributes", 3, p.Keys)
	var lines []string
	for _, s := range p.Steps {
		line := strings.Repeat("  ", s.Depth) + s.ID + ": " + s.What
		if s.Note != "" {
			line += " (" + s.Note + ")"
		}
		if s.Skipped {
			line += " (skipped)"
		}
		for _, tr := range s.Ramps() {
			line += " | " + prog.Name("web", tr.Key.Object) + " " + tr.Key.Attribute
			for _, v := range tr.Values {
				line += " " + v.String()
			}
		}
		lines = append(lines, line)
	}
	same(t, "steps", []string{
		"deploy: run touch " + l.dir + "/ran", "up: gate up: script",
		"shift: ramp a -> b 5, 100 % | b1 weight 0 5 100 | a1 weight 100 95 0",
		"quiet: drain a to 0 sessions (now 7)", "ask: approve: go", "never: when is false (skipped)",
		"many: 2 steps at once", "  p1: set a: state maint | a1 state ready maint", "  p2: wait 1s",
		"members: each of b", "  m: set b1: weight 90 | b1 weight 100 90",
	}, lines)
	if p.Shortest > p.Longest || p.Shortest < 0 {
		t.Errorf("it takes from %s to %s", p.Shortest, p.Longest)
	}
	same(t, "serving after the ramp", [2]int{1, 2}, p.Steps[2].Serving["web"])
	same(t, "guard", 1, engine.GuardOf(prog.Plan, "web"))
}

func TestMembersThatAreNotThereAreNamed(t *testing.T) {
	tests := map[string]struct{ groups, step, want string }{
		"a name":              {"{a: {web: [a9]}}", "{id: s, set: {group: a, weight: 1}}", `target web has no member "a9"`},
		"a pattern":           {`{a: {web: ["x*"]}}`, "{id: s, set: {group: a, weight: 1}}", `no member of target web matches "x*"`},
		"a member of a step":  {"{a: {web: [a1]}}", "{id: s, set: {target: web, members: [zz], weight: 1}}", `target web has no member "zz"`},
		"a record's odd name": {"{a: {web: [a1]}}", "{id: s, set: {target: web, record: nonsense, ttl: 5}}", "does not name a record set"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, one+"groups: "+test.groups+"\nsteps: ["+test.step+"]\n")
			_, err := l.start(engine.Options{})
			if _, ok := errors.AsType[*engine.PreconditionError](err); !ok {
				t.Fatalf("got %v", err)
			}
			contains(t, err.Error(), test.want)
			same(t, "locks", []string(nil), l.locked())
		})
	}
}

func TestWhatARunLeftIsComparedWithWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+"steps: [{id: half, set: {group: a, weight: 50}}]\n")
		l.run(journal.OutcomeDone)
		report := func() engine.DriftReport {
			r := l.runner()
			v, err := r.Store.View(context.Background(), l.id)
			must(t, err)
			rep, err := r.Drift(context.Background(), v)
			must(t, err)
			return rep
		}
		rep := report()
		same(t, "at first", [2]int{3, 0}, [2]int{rep.Checked, len(rep.Drift)})
		l.outside("web", "lb2/a1", "weight", state.Int(37))
		rep = report()
		same(t, "moved", []engine.Moved{{Key: state.Key{Target: "web", Object: "lb2/a1", Attribute: "weight"}, Name: "lb2/a1", Expected: "50", Now: "37"}}, rep.Drift)
		must(t, l.mems["web"].Restart("lb1"))
		rep = report()
		same(t, "restarts", 1, len(rep.Restarts))
		must(t, l.mems["web"].Break("lb1", "no route to host"))
		rep = report()
		same(t, "unreadable", []string{"target web: node lb1: no route to host"}, rep.Unreadable)
		must(t, l.mems["web"].Mend("lb1"))
		must(t, l.mems["edge"].Break("", "down"))
		same(t, "all of a target", 1, len(report().Unreadable))
	})
}

func TestAnEditedPlanIsTakenOnlyWhenAPersonSaysSoAndNothingBegunIsDifferent(t *testing.T) {
	const text = one + `
groups: {all: {web: [a1]}}
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}}
  - {id: check, gate: {script: {name: check}, timeout: 5s}, on_fail: pause}
  - {id: zero, set: {target: web, members: [a1], weight: 0}}
`
	tests := map[string]struct {
		edit   [2]string
		accept bool
		want   string // "" is done
		a1     string
	}{
		"nobody accepts it":            {[2]string{"weight: 0}}", "weight: 5}}"}, false, "was edited since the run began", "50"},
		"what comes later may change":  {[2]string{"weight: 0}}", "weight: 5}}"}, true, "", "5"},
		"so may the step that failed":  {[2]string{"name: check}", "name: other}"}, true, "", "0"},
		"what was done may not":        {[2]string{"weight: 50", "weight: 51"}, true, `step "half" was edited`, "50"},
		"groups may not":               {[2]string{"[a1]}}\nsteps", "[a2]}}\nsteps"}, true, "its groups were edited", "50"},
		"comments are no change to it": {[2]string{"steps:\n", "steps:\n  # half of it\n"}, true, "", "0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, text)
				file := filepath.Join(l.dir, "plan.yaml")
				l.file = file
				writeText(t, file, text)
				bad := true
				l.gates["check"] = func(int) (gate.Result, error) { return gate.Result{Pass: !bad, Detail: "looked"}, nil }
				l.run(journal.OutcomePaused)
				bad = false
				edited := strings.Replace(text, test.edit[0], test.edit[1], 1)
				if edited == text {
					t.Fatal("nothing was edited")
				}
				writeText(t, file, edited)
				end, err := l.resume(engine.Options{AcceptPlanChange: test.accept})
				switch {
				case test.want == "":
					l.ended(journal.OutcomeDone, end, err)
				case err == nil:
					t.Errorf("it was taken: %s", end.Outcome)
				default:
					contains(t, err.Error(), test.want)
				}
				same(t, "a1", test.a1, l.live("web")["a1"])
			})
		})
	}
}
