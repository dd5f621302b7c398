// Package rehearse runs a plan on twins of its targets in memory, kills the
// run at every record of its journal, and looks whether what is left can be
// carried on to the plan's end and taken back to where it began. It drives the
// engine that real runs use, over time that passes only where a run waits.
// Commands, gates and approvals are played, never executed.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// Options say what is rehearsed.
type Options struct {
	// Offline makes the targets' states up from the plan; else they are read,
	// once.
	Offline bool
	Live    string  // the side that is live, where the targets do not tell
	Faults  []Fault // beside the kill alone
	Seed    uint64  // the same seed rehearses the same
	Log     *slog.Logger

	noSweep, noCaches bool // see engine.Sim
}

// rehearsal is one plan being rehearsed.
type rehearsal struct {
	o       Options
	base    *engine.Program // bound, on the first twins
	genesis *world
	before  map[string]state.State
	clean   tape
	noUndo  map[string]bool // steps whose undo is none
	// milestones number the points of clean at which a step was done, forward
	// the tries from them without a fault.
	milestones map[string]int
	forward    map[int]int
	invents    []string
}

// Run rehearses a program that is open on its real targets. What makes it
// impossible to begin is an *engine.PreconditionError; what a rehearsal finds
// is in the report.
func Run(ctx context.Context, prog *engine.Program, w engine.World, o Options) (*Report, error) {
	began := time.Now()
	w.Log = slog.New(slog.DiscardHandler) // thousands of runs would fill it
	r := &rehearsal{o: o, noUndo: map[string]bool{}, forward: map[int]int{}}
	if err := r.stage(ctx, prog, w); err != nil {
		return nil, err
	}
	first, err := r.genesis.fork(r.rng(-1, None))
	if err != nil {
		return nil, err
	}
	r.clean, err = record(ctx, first, &memory{}, func(run *engine.Runner) (journal.End, error) {
		return run.Start(ctx, first.prog, options(r.o.Live))
	})
	switch {
	case err != nil:
		return nil, precondition(err)
	case r.clean.end.Outcome != journal.OutcomeDone:
		e := fmt.Errorf("the plan does not come to its end on twins of its targets, even when nothing goes wrong: it ended %s: step %q: %s", r.clean.end.Outcome, r.clean.end.Step, r.clean.end.Reason)
		return nil, &engine.PreconditionError{Err: hint.Wrap(e, "see flip plan")}
	}
	if r.milestones, err = r.clean.milestones(ctx); err != nil {
		return nil, err
	}
	if slices.Contains(o.Faults, Drift) {
		r.clean.findForeign(r.rng(-2, Drift))
	}
	jobs := r.jobs()
	more, err := r.wayBackJobs(ctx)
	if err != nil {
		return nil, err
	}
	report := r.report(ctx, append(jobs, more...))
	report.Took = time.Since(began).Seconds()
	return report, ctx.Err()
}

// precondition is why a rehearsal cannot begin; a plan that a run would refuse
// is refused the same way.
func precondition(err error) error {
	if _, ok := errors.AsType[*engine.PreconditionError](err); ok {
		return err
	}
	return fmt.Errorf("rehearse: %w", err)
}

// rng gives every try its own randomness, the same every time.
func (r *rehearsal) rng(n int, f Fault) *rand.Rand {
	return rand.New(rand.NewPCG(r.o.Seed, uint64(n)<<8|uint64(slices.Index(Faults(), f)+1)))
}

// stage makes the twins and binds the plan to them.
func (r *rehearsal) stage(ctx context.Context, prog *engine.Program, w engine.World) error {
	states, err := r.read(ctx, prog)
	if err != nil {
		return err
	}
	r.genesis = &world{base: w, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, rng: r.rng(-3, None), noSweep: r.o.noSweep, noCaches: r.o.noCaches}
	bind := func() error {
		r.genesis.prog, r.genesis.twins = onto(prog), map[string]*twin{}
		for name, s := range states {
			t := newTwin(name, prog.Infos[name], prog.Targets[name], s)
			t.world = r.genesis
			r.genesis.twins[name], r.genesis.prog.Targets[name] = t, t.driver()
		}
		_, err := engine.Bind(ctx, r.genesis.prog, w, r.o.Live)
		return err
	}
	if err := bind(); err != nil {
		return err
	}
	if r.o.Offline && invent(r.genesis.prog, states) {
		if err := bind(); err != nil {
			return err
		}
	}
	r.base = r.genesis.prog
	walk(prog.Plan.Steps, func(s plan.Step) {
		if s.NoUndo {
			r.noUndo[s.ID] = true
		}
	})
	r.before, err = r.genesis.states(ctx)
	return err
}

// read reads every target once, or makes its state up.
func (r *rehearsal) read(ctx context.Context, prog *engine.Program) (map[string]state.State, error) {
	if r.o.Offline {
		return r.madeUp(prog)
	}
	states := map[string]state.State{}
	for _, t := range prog.Plan.Targets {
		s, err := prog.Targets[t.Name].Read(ctx)
		if err != nil {
			err = fmt.Errorf("target %s: %s: %w", t.Name, t.Driver, err)
			return nil, &engine.PreconditionError{Err: hint.Wrap(err, "flip rehearse --offline needs no target: it makes their states up from the plan")}
		}
		states[t.Name] = s
	}
	return states, nil
}

func walk(steps []plan.Step, visit func(plan.Step)) {
	for _, s := range steps {
		visit(s)
		walk(s.Steps, visit)
		if s.Parallel != nil {
			walk(s.Parallel.Steps, visit)
		}
		if s.Each != nil {
			walk(s.Each.Do, visit)
		}
	}
}

// job is one try that is to be made.
type job struct {
	way   Way
	fault Fault
	step  string
	where string
	seq   int
	same  int // the job whose verdict this one shares, else -1
	try   func(context.Context) verdict
}

// jobs are all tries of the way forward: from every moment, with every fault,
// on and back; and every activity failing once.
func (r *rehearsal) jobs() []job {
	var jobs []job
	for _, f := range append([]Fault{None}, r.o.Faults...) {
		for _, way := range []Way{Forward, Back} {
			first := len(jobs)
			at := map[int]int{} // job of a point
			for i, p := range r.clean.points {
				if f == Drift && p.foreign == nil || f == LateWrite && !r.late() {
					continue
				}
				j := job{way: way, fault: f, step: p.step, where: p.where(), seq: p.record.Seq, same: -1, try: r.fromPoint(p, i, way, f)}
				if n, known := at[p.same]; known && f != Drift {
					j.same = n
				}
				at[i] = first + len(at)
				if f == None && way == Forward {
					r.forward[i] = at[i]
				}
				jobs = append(jobs, j)
			}
		}
	}
	for i, a := range r.clean.world.asked {
		effects := []bool{false}
		if a.name == "apply" {
			effects = []bool{false, true}
		}
		for _, after := range effects {
			jobs = append(jobs, job{way: Failing, step: a.step, where: failText(a, after), same: -1, try: r.failing(i, a, after)})
		}
	}
	return jobs
}

// late tells whether any target's calls may take effect late.
func (r *rehearsal) late() bool {
	for _, t := range r.genesis.twins {
		if t.maxInFlight > 0 {
			return true
		}
	}
	return false
}

func failText(a activity, after bool) string {
	if after {
		return a.name + " " + a.key + " takes effect and fails"
	}
	return a.name + " " + a.key + " fails"
}

func (r *rehearsal) fromPoint(p point, n int, way Way, f Fault) func(context.Context) verdict {
	return func(ctx context.Context) verdict {
		t, err := r.take(p, n, f)
		if err != nil {
			return verdict{why: err.Error()}
		}
		t.drive(ctx, way)
		foreign := p.foreign
		if f != Drift {
			foreign = nil
		}
		if way == Forward {
			return t.forward(ctx, len(p.records) > 0, foreign)
		}
		return t.back(ctx, foreign)
	}
}

// failing lets one activity fail, and all its retries. The run goes back by
// itself; where the plan says to go on or to pause, a person goes back.
func (r *rehearsal) failing(n int, a activity, after bool) func(context.Context) verdict {
	return func(ctx context.Context) verdict {
		w, err := r.genesis.fork(r.rng(n, None))
		if err != nil {
			return verdict{why: err.Error()}
		}
		w.fail = failing{plain(a.key), after}
		t := &trial{r: r, world: w, log: &memory{}}
		t.end, t.err = w.runner(t.log).Start(ctx, w.prog, options(r.o.Live))
		w.clock.settle()
		w.fail = failing{}
		if t.err == nil && t.ended(journal.OutcomeDone) || t.ended(journal.OutcomePaused) {
			t.drive(ctx, Back)
		}
		return t.back(ctx, nil)
	}
}

// wayBackJobs kill the way back from the plan's end at each of its records.
func (r *rehearsal) wayBackJobs(ctx context.Context) ([]job, error) {
	last := r.clean.points[len(r.clean.points)-1]
	w, err := r.clean.world.fork(r.rng(-4, None))
	if err != nil {
		return nil, err
	}
	back, err := record(ctx, w, &memory{records: slices.Clip(r.clean.log.records)}, func(run *engine.Runner) (journal.End, error) {
		return run.Rollback(ctx, runID, "rehearsed", options(""))
	})
	if err != nil {
		return nil, err
	}
	var jobs []job
	for i, p := range back.points {
		j := job{way: Again, step: last.step, where: "the way back, " + p.where(), seq: p.record.Seq, same: -1}
		j.try = r.fromPoint(p, i, Back, None)
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// report makes every try, on all processors, and tells what came of it.
func (r *rehearsal) report(ctx context.Context, jobs []job) *Report {
	verdicts := make([]verdict, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				verdicts[i] = jobs[i].try(ctx)
			}
		})
	}
	for i, j := range jobs {
		if j.same < 0 && ctx.Err() == nil {
			next <- i
		}
	}
	close(next)
	wg.Wait()
	rep := newReport(r)
	for i, j := range jobs {
		rep.add(j, r.resolve(i, jobs, verdicts))
	}
	return rep
}

// resolve follows a try to the one that its verdict is.
func (r *rehearsal) resolve(i int, jobs []job, verdicts []verdict) verdict {
	for {
		switch {
		case jobs[i].same >= 0:
			i = jobs[i].same
		case verdicts[i].met > 0:
			next := r.forward[verdicts[i].met-1]
			if next == i {
				return verdict{why: "rehearse: a point that meets itself"}
			}
			i = next
		default:
			return verdicts[i]
		}
	}
}
