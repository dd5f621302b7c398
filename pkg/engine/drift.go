package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// DriftReport compares what a run left with what is live now. Its JSON fields
// are stable.
type DriftReport struct {
	Run     string          `json:"run"`
	Plan    string          `json:"plan"`
	Outcome journal.Outcome `json:"outcome"`
	Since   time.Time       `json:"since"` // when the run came to its outcome
	Read    time.Time       `json:"read"`
	Checked int             `json:"checked"` // values that could be read
	Drift   []Moved         `json:"drift"`
	// Restarts are nodes that began a new life since: what is set at run time
	// does not survive that.
	Restarts []Restart `json:"restarts,omitempty"`
	// Unreadable says why targets or nodes could not be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Moved is one value that is not what the run left.
type Moved struct {
	state.Key
	Name     string      `json:"name"`
	Expected state.Value `json:"expected"`
	Now      state.Value `json:"now"`
}

// Restart is one node that is not the one that the run knew.
type Restart struct {
	Target string            `json:"target"`
	Node   string            `json:"node"`
	Was    state.Incarnation `json:"was"`
	Now    state.Incarnation `json:"now"`
}

// left is what a run left an attribute at. Where its last act was not seen to
// its end, both ends of that are.
type left struct{ value, or state.Value }

func (l left) explains(now state.Value) bool { return now == l.value || now == l.or }

// leftBy says what a run left: after a way back what was before, else the last
// value that it meant.
func leftBy(st journal.Status) map[state.Key]left {
	values := map[state.Key]left{}
	if st.Outcome == journal.OutcomeRolledBack || st.Outcome == journal.OutcomeIncomplete {
		for _, k := range st.Changed() {
			before, _ := st.FirstBefore(k)
			values[k] = left{before, before}
		}
		return values
	}
	for _, e := range st.Effects {
		for _, c := range e.Changes {
			l := left{c.To, c.To}
			if !e.Done && st.Outcome != journal.OutcomeDone {
				l.or = c.From
			}
			values[c.Key()] = l
		}
	}
	return values
}

// Drift compares what a run left with what is live. It takes no locks and
// writes nothing.
func (r *Runner) Drift(ctx context.Context, view journal.View) (DriftReport, error) {
	st, err := journal.Fold(view.Records())
	if err != nil {
		return DriftReport{}, err
	}
	rep := DriftReport{Run: view.ID(), Plan: st.Meta.Plan, Outcome: st.Outcome, Since: st.Since, Read: r.clock().Now(), Drift: []Moved{}}
	prog, err := r.Reload(ctx, view.Dir(), st)
	if err != nil {
		return rep, err
	}
	defer prog.Close()
	byTarget := map[string]map[state.Key]left{}
	for k, l := range leftBy(st) {
		if byTarget[k.Target] == nil {
			byTarget[k.Target] = map[state.Key]left{}
		}
		byTarget[k.Target][k] = l
	}
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		rep.target(ctx, prog, target, byTarget[target])
	}
	return rep, nil
}

// target compares the values of one target.
func (rep *DriftReport) target(ctx context.Context, p *Program, target string, values map[state.Key]left) {
	d, ok := p.Targets[target]
	if !ok {
		rep.Unreadable = append(rep.Unreadable, fmt.Sprintf("target %s: the plan has no such target", target))
		return
	}
	s, err := d.Read(ctx)
	var partial *driver.PartialError
	dead := map[string]error{}
	switch {
	case errors.As(err, &partial):
		dead = partial.Nodes
		for _, n := range slices.Sorted(maps.Keys(dead)) {
			rep.Unreadable = append(rep.Unreadable, fmt.Sprintf("target %s: node %s: %v", target, n, dead[n]))
		}
	case err != nil:
		rep.Unreadable = append(rep.Unreadable, fmt.Sprintf("target %s: %s: %v", target, p.Infos[target].Name, err))
		return
	}
	for _, k := range slices.SortedFunc(maps.Keys(values), state.Key.Compare) {
		if _, unknown := dead[p.Pins.Targets[target].Objects[k.Object].Node]; unknown {
			continue
		}
		rep.Checked++
		if now := s.Get(k.Object, k.Attribute); !values[k].explains(now) {
			rep.Drift = append(rep.Drift, Moved{k, p.name(target, k.Object), values[k].value, now})
		}
	}
	known := p.Pins.Targets[target].Nodes
	for _, node := range slices.Sorted(maps.Keys(known)) {
		if now, ok := s.Nodes[node]; ok && !now.Same(known[node]) {
			rep.Restarts = append(rep.Restarts, Restart{target, node, known[node], now})
		}
	}
}
