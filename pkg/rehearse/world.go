package rehearse

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// world is everything outside of the run: the twins, the time, and which
// commands were run. Forking one is cheap.
type world struct {
	base  engine.World
	prog  *engine.Program
	clock *clock
	twins map[string]*twin
	rng   *rand.Rand
	// calls are the writes that twins took, commands what was run.
	calls    []call
	commands []command
	// fail is the activity that fails, without and with its effect; asked are
	// the activities that could.
	fail    failing
	asked   []activity
	noSweep bool
	// noCaches leaves out waits of the way back, see engine.Sim.
	noCaches bool
	// answers are what caches may hold, broken what somebody who holds one
	// would find.
	answers []answer
	broken  string
}

// call is one write on one target.
type call struct {
	target  string
	changes []state.Change
}

// command is one command that was run, or one that undoes another.
type command struct {
	step string
	text string
	undo string // of the way forward: what undoes it; empty is nothing
	back bool   // it is an undo
}

// activity is something that a run does to the world.
type activity struct{ key, name, step string }

// failing is one activity that goes wrong.
type failing struct {
	key   string
	after bool // it takes effect before
}

func (w *world) fork(rng *rand.Rand) (*world, error) {
	f := &world{
		base: w.base, prog: onto(w.prog), clock: &clock{now: w.clock.now}, twins: map[string]*twin{}, rng: rng,
		calls: slices.Clip(w.calls), commands: slices.Clip(w.commands), noSweep: w.noSweep, noCaches: w.noCaches,
		answers: slices.Clip(w.answers), broken: w.broken,
	}
	for name, t := range w.twins {
		copied, err := t.fork(f)
		if err != nil {
			return nil, err
		}
		f.twins[name] = copied
		f.prog.Targets[name] = copied.driver()
	}
	return f, nil
}

// onto is a program without its targets.
func onto(p *engine.Program) *engine.Program {
	return &engine.Program{Plan: p.Plan, Pins: p.Pins, Infos: p.Infos, Targets: map[string]driver.Driver{}, Views: p.Views}
}

// states reads every twin.
func (w *world) states(ctx context.Context) (map[string]state.State, error) {
	all := map[string]state.State{}
	for name, t := range w.twins {
		s, err := t.Read(ctx)
		if err != nil {
			return nil, err
		}
		all[name] = s
	}
	return all, nil
}

// runner drives a run in this world.
func (w *world) runner(log *memory) *engine.Runner {
	log.clock = w.clock
	return &engine.Runner{
		World: w.base, Store: log, Version: "rehearsal", Who: "rehearsal",
		Sim: engine.Sim{
			Clock:   w.clock,
			Perform: func(real engine.Performer) engine.Performer { return &stage{w, real} },
			Hold:    func([]string) engine.Lease { return lease{} },
			Program: w.prog,
			Answer:  w.answer,
			Turn:    func(n int) int { return w.rng.IntN(n) },
			NoSweep: w.noSweep, NoCaches: w.noCaches,
		},
	}
}

func options(live string) engine.Options {
	return engine.Options{Soft: context.Background(), Hard: context.Background(), Live: live}
}

// answer is what people say: yes, unless the approval is to fail.
func (w *world) answer(key string) *journal.Signal {
	w.note(activity{key, "await", stepOf(key)})
	return &journal.Signal{Approved: !w.failsAt(key), By: "rehearsal", Reason: "rehearsed"}
}

func (w *world) note(a activity) {
	if !slices.Contains(w.asked, a) {
		w.asked = append(w.asked, a)
	}
}

// failsAt reports whether the activity of that key is to fail, at its first
// attempt and at all others.
func (w *world) failsAt(key string) bool { return w.fail.key != "" && plain(key) == w.fail.key }

// plain is a key without the number of the attempt: /steps/a#2.run is
// /steps/a.run.
func plain(key string) string {
	for {
		at := strings.IndexByte(key, '#')
		if at < 0 {
			return key
		}
		end := at + 1
		for end < len(key) && key[end] >= '0' && key[end] <= '9' {
			end++
		}
		key = key[:at] + key[end:]
	}
}

// late makes changes land some time after now, while a call may be in flight.
func (w *world) late(target string, changes []state.Change) {
	t := w.twins[target]
	if t.maxInFlight <= 0 {
		return
	}
	changes = slices.Clone(changes)
	delay := time.Duration(w.rng.Int64N(int64(t.maxInFlight))) + 1
	w.clock.after(delay, func() { t.land(changes) })
}

// stage stands around the engine's executor: what would leave the twins is
// played.
type stage struct {
	w    *world
	real engine.Performer
}

// Do does an activity on the twins, or plays it.
func (s *stage) Do(ctx context.Context, key, name string, in any) (any, error) {
	if name != "observe" && name != "restore" && !strings.HasPrefix(key, "/undo/") {
		s.w.note(activity{plain(key), name, stepOf(key)})
	}
	fails := s.w.failsAt(key)
	switch in := in.(type) {
	case journal.Command:
		return s.run(key, in, fails), nil
	case engine.HoldEnd:
		return s.gate(ctx, in, fails)
	case journal.Views:
		if fails {
			return journal.Seen{Text: "rehearsed: the old answer is still seen"}, nil
		}
		return journal.Seen{Pass: true, Text: "rehearsed as gone"}, nil
	case journal.Drain:
		if fails {
			return journal.Drained{Left: 1, Text: "rehearsed: 1 in flight at the deadline"}, nil
		}
		if in.Count != "" {
			return journal.Drained{Quiet: true, Text: "rehearsed as quiet"}, nil // nobody asks the members
		}
	case journal.Call:
		if fails {
			return nil, errFails
		}
		return journal.Called{Text: "rehearsed: " + in.What}, nil
	}
	if fails && !s.w.fail.after {
		return nil, errFails
	}
	out, err := s.real.Do(ctx, key, name, in)
	if err == nil && fails {
		return nil, errFails
	}
	return out, err
}

// errFails is a step's own failure.
var errFails = &journal.Error{Text: "rehearsed failure"}

func (s *stage) gate(ctx context.Context, in engine.HoldEnd, fails bool) (any, error) {
	if fails {
		return nil, &journal.Error{Class: "gate", Text: "rehearsed: the gate said no"}
	}
	if until := in.HoldsUntil(); !until.IsZero() {
		if err := s.w.clock.Sleep(ctx, until.Sub(s.w.clock.now)); err != nil {
			return nil, err
		}
	}
	return journal.Verdict{Text: "rehearsed as passing"}, nil
}

// run plays a command: it is remembered, nothing is executed.
func (s *stage) run(key string, in journal.Command, fails bool) journal.Exit {
	c := command{step: in.Env["FLIP_STEP"], text: text(in), back: strings.HasPrefix(key, "/undo/")}
	if in.Undo != nil {
		c.undo = text(*in.Undo)
	}
	s.w.commands = append(s.w.commands, c)
	if fails {
		return journal.Exit{Code: 1, Output: "rehearsed failure"}
	}
	return journal.Exit{Outputs: map[string]string{}}
}

func text(c journal.Command) string {
	if c.Shell != "" {
		return c.Shell
	}
	return strings.Join(c.Argv, " ")
}

// stepOf is the id of the innermost step that a key belongs to:
// "/steps/shift/5.web.raise" is shift's.
func stepOf(key string) string {
	rest, ok := strings.CutPrefix(plain(key), "/steps/")
	if !ok {
		return ""
	}
	parts := strings.Split(rest, "/")
	for _, part := range slices.Backward(parts) {
		id, _, _ := strings.Cut(part, ".")
		id, _, _ = strings.Cut(id, "[")
		if id != "" && (id[0] < '0' || id[0] > '9') {
			return id
		}
	}
	return parts[0]
}
