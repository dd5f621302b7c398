package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// estate is two sides of two members behind two targets. POOLS are what stands
// there at first.
const estate = `
flip: 1
name: estate
targets:
  edge: {driver: mem, name: edge, pool: {EDGE}}
  web:  {driver: mem, name: web, nodes: [n1, n2], pool: {a1: {weight: 100}, a2: {weight: 100}, b1: {weight: 0}, b2: {weight: 0}}}
groups: {a: {edge: [a1, a2], web: [a1, a2]}, b: {edge: [b1, b2], web: [b1, b2]}MORE}
alternate: [a, b]
steps: [{id: s, set: {group: live, weight: 1}}]
`

func TestASideIsLiveOnlyWhereNothingSpeaksAgainstIt(t *testing.T) {
	const clear = "a1: {weight: 100}, a2: {weight: 100}, b1: {weight: 0}, b2: {weight: 0}"
	tests := map[string]struct {
		edge, groups, alternate string
		web                     map[string]state.Value // weights by object, where they are others
		live                    string                 // given by a person
		want                    string                 // the live side
		says, hint, table       string
	}{
		"all agree":                          {edge: clear, want: "a"},
		"idle members may be out in any way": {edge: "a1: {weight: 100}, a2: {weight: 100}, b1: {weight: 100, state: maint}, b2: {weight: 0}", want: "a"},
		"one of the live side is in maintenance": {
			edge:  "a1: {weight: 100}, a2: {weight: 100, state: maint}, b1: {weight: 0}, b2: {weight: 0}",
			says:  "is a live? edge: a2 takes no traffic (maint); nothing was changed",
			hint:  "bring it in line, or take it out of its group, or decide it with --live a",
			table: "edge    a1 100, a2 maint",
		},
		"that one may be told": {
			edge: "a1: {weight: 100}, a2: {weight: 100, state: maint}, b1: {weight: 0}, b2: {weight: 0}", live: "a", want: "a",
		},
		"weights of one side differ": {
			edge: "a1: {weight: 100}, a2: {weight: 50}, b1: {weight: 0}, b2: {weight: 0}",
			says: "is a live? edge: members of a take unequal shares (a1 100, a2 50); nothing was changed",
			hint: "alternate: {groups: [a, b], unequal: true}",
		},
		"weights that differ on purpose": {
			edge: "a1: {weight: 100}, a2: {weight: 50}, b1: {weight: 0}, b2: {weight: 0}", alternate: "{groups: [a, b], unequal: true}", want: "a",
		},
		"even then a member is the same on all of its nodes": {
			edge: clear, alternate: "{groups: [a, b], unequal: true}", web: map[string]state.Value{"n2/a1": "50"},
			says: "is a live? web: members of a take unequal shares (n1/a1 100, n2/a1 50); nothing was changed",
		},
		"somebody left a ramp halfway": {
			edge: "a1: {weight: 75}, a2: {weight: 75}, b1: {weight: 25}, b2: {weight: 25}",
			says: "which side is live? edge says both, web says a; nothing was changed",
			hint: "bring them in line, or decide it with --live a or --live b",
		},
		"both sides are at full": {
			edge: "a1: {weight: 100}, a2: {weight: 100}, b1: {weight: 100}, b2: {weight: 100}", web: map[string]state.Value{"n1/b1": "100", "n2/b1": "100", "n1/b2": "100", "n2/b2": "100"},
			says: "which side is live? edge says both, web says both; nothing was changed",
			hint: "name the one that goes on serving while the other is released: --live a or --live b",
		},
		"a side is mixed where the other serves too": {
			edge: "a1: {weight: 100}, a2: {weight: 0}, b1: {weight: 100}, b2: {weight: 0}",
			says: "which side is live? edge says both, web says a; edge: a2 takes no traffic (0); edge: b2 takes no traffic (0); nothing was changed",
		},
		"targets disagree": {
			edge:  "a1: {weight: 0}, a2: {weight: 0}, b1: {weight: 100}, b2: {weight: 100, health: down}",
			says:  "which side is live? edge says b, web says a; nothing was changed",
			table: "b1 100, b2 100 down",
		},
		"a member that no group names": {
			edge: clear + ", c1: {weight: 0}, c2: {weight: 0}",
			says: "target edge has 2 members that no group names: c1, c2; nothing was changed",
			hint: "groups: {spare: {edge: [c1, c2]}}",
		},
		"a member that no group names, whatever a person says": {
			edge: clear + ", c1: {weight: 0}", live: "a",
			says: "target edge has 1 member that no group names: c1; nothing was changed",
		},
		"a member of a group that stays out": {edge: clear + ", c1: {weight: 0}", groups: ", spare: {edge: [c1]}", want: "a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("EDGE", test.edge, "MORE", test.groups).Replace(estate)
			if test.alternate != "" {
				text = strings.Replace(text, "alternate: [a, b]", "alternate: "+test.alternate, 1)
			}
			l := newLab(t, text)
			prog := l.program()
			defer prog.Close()
			for id, v := range test.web {
				l.outside("web", id, "weight", v)
			}
			b, err := engine.Bind(t.Context(), prog, l.world(), test.live)
			if test.want != "" {
				must(t, err)
				same(t, "live", test.want, b.Pins.Live)
				return
			}
			pre, ok := errors.AsType[*engine.PreconditionError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			same(t, "says", test.says, err.Error())
			contains(t, strings.Join(hint.Of(err), "; "), test.hint)
			contains(t, pre.Table, test.table)
		})
	}
}

func TestManyMembersThatAreAlikeAreCountedInTheTable(t *testing.T) {
	var pool, a, b []string
	for i := range 20 {
		w := 100
		if i == 7 {
			w = 0
		}
		pool = append(pool, fmt.Sprintf("a%02d: {weight: %d}, b%02d: {weight: 0}", i, w, i))
		a, b = append(a, fmt.Sprintf("a%02d", i)), append(b, fmt.Sprintf("b%02d", i))
	}
	l := newLab(t, fmt.Sprintf(`
flip: 1
name: many
targets: {web: {driver: mem, name: web, pool: {%s}}}
groups: {a: {web: [%s]}, b: {web: [%s]}}
alternate: [a, b]
steps: [{id: s, set: {group: live, weight: 1}}]
`, strings.Join(pool, ", "), strings.Join(a, ", "), strings.Join(b, ", ")))
	_, err := l.start(engine.Options{})
	pre, ok := errors.AsType[*engine.PreconditionError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	contains(t, pre.Table, "web     19 at 100, a07 0  20 at 0")
}

// careful refuses to take its last member out, as a registry does.
type careful struct {
	driver.Driver
	asked int
	err   error
}

func (c *careful) Unwrap() driver.Driver { return c.Driver }

func (c *careful) Check(_ context.Context, now state.State, changes []state.Change) error {
	c.asked++
	if c.err != nil {
		return c.err
	}
	for _, o := range now.With(changes).Objects {
		if w, _ := o.Attrs["weight"].Int(); w > 0 {
			return nil
		}
	}
	return hint.Wrap(errors.New("no member would be left"), "bring another one in first")
}

func TestWhatADriverWouldRefuseIsRefusedBeforeTheFirstChange(t *testing.T) {
	const head = `
flip: 1
name: last
targets:
  edge: {driver: mem, name: edge, pool: {a1: {weight: 100}}}
  web:  {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}}}
steps:
  - {id: first, set: {target: edge, weight: 50}}
`
	tests := map[string]struct {
		steps   string
		err     error
		refused bool // before anything is changed
		noted   bool // in a preview
	}{
		"both at once":                           {"  - {id: out, set: {target: web, weight: 0}}\n", nil, true, false},
		"one after the other":                    {"  - {id: one, set: {target: web, members: [a1], weight: 0}}\n  - {id: out, set: {target: web, members: [a2], weight: 0}}\n", nil, true, false},
		"one of them":                            {"  - {id: out, set: {target: web, members: [a1], weight: 0}}\n", nil, false, false},
		"after a command, which may change that": {"  - {id: fix, run: \"true\", undo: none}\n  - {id: out, set: {target: web, weight: 0}}\n", nil, false, true},
		"a look that failed refuses nothing":     {"  - {id: out, set: {target: web, weight: 0}}\n", driver.Uncertain(errors.New("no route to host")), false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, head+test.steps)
			c := &careful{err: test.err}
			l.wrap["web"] = func(d driver.Driver) driver.Driver { c.Driver = d; return c }
			prog := l.program()
			defer prog.Close()
			b, err := engine.Bind(t.Context(), prog, l.world(), "")
			must(t, err)
			p := engine.NewPreview(t.Context(), b)
			same(t, "refused by the preview", test.refused, p.Err != nil)
			same(t, "noted by the preview", test.noted, p.Steps[len(p.Steps)-1].Refused != "")
			end, err := l.start(engine.Options{})
			if !test.refused {
				l.ended(journal.OutcomeDone, end, err)
				return
			}
			if _, ok := errors.AsType[*engine.PreconditionError](err); !ok {
				t.Fatalf("got %s, %v", end.Outcome, err)
			}
			contains(t, err.Error(), `step "out": web: mem: no member would be left`)
			if own, ok := errors.AsType[*journal.Error](err); ok {
				same(t, "hints", []string{"bring another one in first"}, own.Hints)
			}
			same(t, "writes", []string(nil), l.writes())
			same(t, "asked", true, c.asked > 0)
		})
	}
}
