package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// Executor performs activities on the real world. One executor drives one run.
type Executor struct {
	Program *Program
	Gates   *gate.Registry
	GateEnv gate.Env
	Secrets *secret.Resolver
	Log     *slog.Logger
	// Dir is the run's directory, for command output.
	Dir string
	// Clock is the time that the run lives in; nil is the machine's.
	Clock Clock
	// Look receives observations.
	Look func(key string, d journal.LookData)
	// Lease says whether this process may still change anything, for at least
	// as long as a call may take effect. It is asked before every change.
	Lease func(maxInFlight time.Duration) error
	// Uncertain hears of a call whose outcome is unknown: it may take effect
	// later.
	Uncertain func()
	// Detach: the looks of a wait end after that time, to be made again by
	// whoever resumes the run; 0: never.
	Detach time.Duration
	// holds keep what a system may forget; nil keeps nothing.
	holds  *holds
	recent recent
	// owed are members, by target, that an earlier process gave traffic and did
	// not see healthy.
	owed    map[string][]string
	takings takings
	missed  missed
}

// Do performs one activity. in is the activity's own input type.
func (x *Executor) Do(ctx context.Context, key, activity string, in any) (any, error) {
	if activity == "observe" {
		return x.observe(ctx, key, in.(journal.Observe))
	}
	known := x.recent.disturb()
	defer x.recent.settle()
	switch in := in.(type) {
	case journal.Observe:
		return nil, x.kill(ctx, in)
	case journal.Apply:
		return x.apply(ctx, key, in, known[in.Target])
	case journal.Restore:
		return x.restore(ctx, key, in)
	case journal.Drain:
		out, err := x.drain(ctx, key, in)
		return out, x.sameLives(ctx, key, err)
	case journal.Command:
		return x.run(ctx, key, in)
	case journal.Call:
		return x.ask(ctx, key, in)
	case gateIn:
		out, err := x.gate(ctx, key, in)
		return out, x.sameLives(ctx, key, err)
	case journal.Versions:
		return x.versions(ctx, in)
	case journal.Views:
		return x.views(ctx, key, in)
	case glance:
		return x.glance(ctx, in), nil
	}
	return nil, fmt.Errorf("engine: no activity %s for %T", activity, in)
}

func (x *Executor) target(name string) (driver.Driver, error) {
	d, ok := x.Program.Targets[name]
	if !ok {
		return nil, fmt.Errorf("no target %q", name)
	}
	return d, nil
}

// path puts target and driver in front of an error, from the outside in.
func (x *Executor) path(verb, target string, err error) error {
	return fmt.Errorf("%s %s: %w", verb, target, driver.Named(x.Program.Infos[target].Name, err))
}

func (x *Executor) observe(ctx context.Context, key string, in journal.Observe) (journal.Observed, error) {
	d, err := x.target(in.Target)
	if err != nil {
		return journal.Observed{}, err
	}
	l, turn := x.recent.get(in.Target)
	if !l.recent(x.clock().Now()) {
		l.at = x.clock().Now()
		if l.state, err = d.Read(ctx); err != nil {
			return journal.Observed{}, x.path("read", in.Target, err)
		}
		if compares(d) {
			x.recent.put(in.Target, l, turn)
		}
	}
	s := l.state
	if err := x.sameLife(in.Target, s); err != nil {
		return journal.Observed{}, err
	}
	s = x.arrived(ctx, key, in.Target, d, in.IDs, s)
	out := journal.Observed{Objects: map[string]map[string]state.Value{}, Nodes: s.Nodes}
	for _, id := range in.IDs {
		out.Objects[id] = s.Objects[id].Attrs
	}
	return out, nil
}

// sameLives is asked when a gate, a hold or a drain has come to its end with
// err: what it saw is worth nothing when a node has forgotten the run's values
// meanwhile, and then that is the reason for a no. What cannot be read is left
// to who needs it.
func (x *Executor) sameLives(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil || strings.HasPrefix(key, "/undo/") {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(x.Program.Targets)) {
		if len(x.Program.Pins.Targets[name].Nodes) == 0 {
			continue
		}
		s, rerr := x.Program.Targets[name].Read(ctx)
		if rerr != nil && !isPartial(rerr) {
			continue
		}
		if lerr := x.sameLife(name, s); lerr != nil {
			return lerr
		}
	}
	return err
}

// sameLife refuses to go on with a node that has forgotten its runtime state.
func (x *Executor) sameLife(target string, s state.State) error {
	for node, was := range x.Program.Pins.Targets[target].Nodes {
		now, ok := s.Nodes[node]
		if !ok || now.Same(was) {
			continue
		}
		e := fail(classReload, "%s: node %s was restarted or reloaded since this run began (was %s, now %s): values set at run time may be lost",
			target, node, was.ID, now.ID)
		e.Hints = []string{"look at `flip get` and at who reloaded it, then start a new run"}
		return e
	}
	return nil
}
