package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// inherit tells drivers what earlier processes of the run had set and not put
// back (driver.Releaser).
func (s *session) inherit(st journal.Status) {
	standing := map[state.Key]state.Change{}
	for _, e := range st.Effects {
		for _, c := range e.Changes {
			switch {
			case e.Kind == journal.ActivityRestore:
				delete(standing, c.Key())
			case e.Done && e.Rollback == 0:
				standing[c.Key()] = c
			}
		}
	}
	changes := slices.SortedFunc(maps.Values(standing), func(a, b state.Change) int { return a.Key().Compare(b.Key()) })
	for _, part := range byTarget(changes) {
		if r, ok := driver.As[driver.Releaser](s.prog.Targets[part[0].Target]); ok {
			r.Inherit(observed(s.log.Records(), part[0].Target), part)
		}
	}
}

// observed is how the objects of a target stood when the run last looked at
// them before it changed anything of them.
func observed(records []journal.Record, target string) state.State {
	seen := state.State{Objects: map[string]state.Object{}}
	for _, r := range records {
		if r.Type != journal.TypeDone || r.Activity != "observe" || !strings.HasSuffix(r.Key, "."+target+".observe") {
			continue
		}
		out, err := journal.Decode[journal.Observed](r)
		if err != nil {
			continue // the fold refuses such a journal
		}
		for id, attrs := range out.Objects {
			if len(attrs) > 0 {
				seen.Objects[id] = state.Object{Attrs: attrs}
			}
		}
	}
	return seen
}

// letGo ends all watches and lets drivers take back what those left behind,
// while the run still has its locks.
func (s *session) letGo() {
	s.holds.close()
	for _, target := range slices.Sorted(maps.Keys(s.prog.Targets)) {
		r, ok := driver.As[driver.Releaser](s.prog.Targets[target])
		if !ok {
			continue
		}
		said := 0
		say := func(text string) { // each has a key of its own: none may be left out as a repetition
			said++
			s.ctx.look(fmt.Sprintf("/release/%s/%d", target, said), journal.LookData{Text: text})
		}
		if err := r.Release(driver.WithProgress(s.o.Hard, say)); err != nil {
			say(strings.Join(append([]string{target + ": " + err.Error()}, hint.Of(err)...), "; "))
		}
	}
}
