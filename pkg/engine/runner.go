package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// Runner drives runs on this machine: it holds the locks, writes the journal
// and decides what a run's end is.
type Runner struct {
	World
	Store   Store
	Locks   *journal.Locks
	Version string
	Who     string
	GateEnv gate.Env
	// Lease and Beat say how locks are held; zero is the default of LockOptions.
	Lease, Beat time.Duration
	// Sim is another world, for rehearsals.
	Sim Sim
}

// Options say how a run is driven.
type Options struct {
	// Soft ends at the operator's first stop, Hard at the second.
	Soft, Hard context.Context
	// RollbackOnStop goes back after a first stop instead of pausing.
	RollbackOnStop bool
	NoRollback     bool
	OnDrift        OnDrift
	Detach         time.Duration // leave waits that are longer than this
	UndoTimeout    time.Duration // of one restore on the way back; 0: 2 minutes
	LockWait       time.Duration
	Live           string
	// AcceptPlanChange lets a resumed run follow the plan as it was edited
	// since, when the steps that are behind it are unchanged.
	AcceptPlanChange bool
	// Started hears of the run's id as soon as there is one.
	Started func(id, dir string)
}

// Start begins a run of the program. The locks are taken first, then the live
// systems are read: nobody can move them in between.
func (r *Runner) Start(ctx context.Context, prog *Program, o Options) (journal.End, error) {
	id := r.Store.NewID()
	held, err := r.acquire(ctx, prog, id, prog.Plan.Name, o)
	if err != nil {
		return journal.End{}, err
	}
	read := r.clock().Now()
	bound, err := Bind(ctx, prog, r.World, o.Live)
	if err == nil {
		bound.Pins.Cached = r.earlier(ctx, bound, id)
		err = admit(ctx, bound)
	}
	var log journal.Log
	if err == nil {
		log, err = r.create(ctx, id, bound)
	}
	if err != nil {
		return journal.End{}, errors.Join(err, held.Release())
	}
	s := r.session(prog, log, held, o, journal.Status{})
	defer s.close()
	s.saw(bound.States, read)
	if o.Started != nil {
		o.Started(id, log.Dir())
	}
	meta := journal.Meta{
		Plan: prog.Plan.Name, File: prog.Plan.File, Description: prog.Plan.Description, Hash: hashOf(prog.Plan.Source),
		Flip: r.Version, Interpreter: InterpreterVersion, Live: prog.Pins.Live, Idle: prog.Pins.Idle,
		Scopes: scopesOf(prog), Started: r.clock().Now(),
	}
	for _, t := range prog.Plan.Targets {
		meta.Targets = append(meta.Targets, t.Name)
	}
	if err := s.begin("run", journal.Record{Type: journal.TypeRun, Data: journal.Encode(meta)}); err != nil {
		return journal.End{}, err
	}
	return s.forward()
}

// admit runs the plan on copies first: what is certain to fail is refused
// before anything is changed.
func admit(ctx context.Context, b *Bound) error {
	p := dryRun(ctx, b)
	switch classOf(p.Err) {
	case classGuard, classInvalid, classRefused:
		return &PreconditionError{Err: hint.Wrap(p.Err, "nothing was changed; see flip plan")}
	}
	return permitted(ctx, b, p.Changes)
}

func (r *Runner) holder(run, plan string) journal.LockInfo {
	return journal.LockInfo{Run: run, Plan: plan, Who: r.Who}
}

// scopesOf are what the program may change.
func scopesOf(p *Program) []string {
	var scopes []string
	for _, t := range p.Plan.Targets {
		if sc, ok := driver.As[driver.Scoper](p.Targets[t.Name]); ok {
			scopes = append(scopes, sc.Scopes()...)
		} else {
			scopes = append(scopes, t.Driver+"://"+t.Name)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// longestCall is how long any call of the program may still take effect after
// its sender died.
func longestCall(p *Program) time.Duration {
	longest := time.Duration(0)
	for _, d := range p.Targets {
		longest = max(longest, maxInFlight(d))
	}
	return longest
}
