package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/ui"
)

// driveFlags are the flags of every command that drives a run.
type driveFlags struct {
	yes         bool
	onInterrupt string
	onDrift     string
	noRollback  bool
	detach      time.Duration
	lockWait    time.Duration
	undoTimeout time.Duration
}

func (d *driveFlags) add(f *pflag.FlagSet) {
	f.BoolVarP(&d.yes, "yes", "y", false, "do not ask")
	f.StringVar(&d.onInterrupt, "on-interrupt", "pause", "pause or rollback after a stop")
	f.StringVar(&d.onDrift, "on-drift", "skip", "on the way back, what somebody else changed: skip, stop or force")
	f.DurationVar(&d.undoTimeout, "undo-timeout", 2*time.Minute, "on the way back, wait this long for members to be healthy and for nodes that do not answer")
	f.DurationVar(&d.detach, "detach-on-wait", 0, "exit 13 rather than wait longer than this; go on with flip resume")
	f.DurationVar(&d.lockWait, "lock-wait", 0, "wait this long for another run's lock")
}

func (d *driveFlags) addForward(f *pflag.FlagSet) {
	f.BoolVar(&d.noRollback, "no-rollback", false, "pause instead of going back when a step fails")
}

func (d *driveFlags) check() error {
	if d.onInterrupt != "pause" && d.onInterrupt != "rollback" {
		return usage(fmt.Errorf("--on-interrupt %s: not pause or rollback", d.onInterrupt), "")
	}
	if d.lockWait < 0 || d.detach < 0 || d.undoTimeout < 0 {
		return usage(errors.New("--lock-wait, --detach-on-wait and --undo-timeout are not negative"), "")
	}
	switch engine.OnDrift(d.onDrift) {
	case engine.DriftSkip, engine.DriftStop, engine.DriftForce:
		return nil
	}
	return usage(fmt.Errorf("--on-drift %s: not skip, stop or force", d.onDrift), "")
}

// drive runs fn with a runner whose records are shown, and turns how it ended
// into an exit code.
func (a *App) drive(ctx context.Context, d driveFlags, past []journal.Record, steps []plan.Step, fn func(*engine.Runner, engine.Options) (journal.End, error)) error {
	if err := d.check(); err != nil {
		return err
	}
	if a.Driving != nil {
		a.Driving()
	}
	show := &screen{app: a, past: past, steps: stepIDs(steps)}
	runner, err := a.runner(show.record)
	if err != nil {
		return err
	}
	soft, hard, stop := a.stops(ctx, show)
	defer stop()
	o := engine.Options{
		Soft: soft, Hard: hard, RollbackOnStop: d.onInterrupt == "rollback", NoRollback: d.noRollback,
		OnDrift: engine.OnDrift(d.onDrift), Detach: d.detach, LockWait: d.lockWait, UndoTimeout: d.undoTimeout, Started: show.open,
	}
	end, err := fn(runner, o)
	show.close()
	if err != nil {
		if hard.Err() != nil && errors.Is(context.Cause(hard), engine.ErrHardStop) {
			return &exitError{ExitHardStop, fmt.Errorf("hard stop: run %s is in doubt; flip resume %s or flip rollback %s", show.id, show.id, show.id)}
		}
		return err
	}
	if end.Outcome == journal.OutcomeInterrupted && a.interactive() && a.ask("Roll back now? [r]oll back, [k]eep paused: ", "r") {
		return a.rollback(ctx, show.id, "the operator asked for it after a stop", d)
	}
	return &exitError{code: endCode(end)}
}

// stops turns signals into the two ways to stop a run.
func (a *App) stops(ctx context.Context, show *screen) (soft, hard context.Context, stop func()) {
	hard, kill := context.WithCancelCause(ctx)
	soft, pause := context.WithCancel(hard)
	done := make(chan struct{})
	var once sync.Once
	if a.Signals != nil {
		go func() {
			for n := 1; ; n++ {
				select {
				case <-done:
					return
				case <-a.Signals:
				}
				if n == 1 {
					show.say("stopping at the next safe point; once more stops hard and leaves the run in doubt")
					pause()
					continue
				}
				kill(engine.ErrHardStop)
				return
			}
		}()
	}
	return soft, hard, func() { once.Do(func() { close(done); pause(); kill(nil) }) }
}

// screen shows a run as it goes.
type screen struct {
	app   *App
	past  []journal.Record
	steps []string
	id    string

	mu   sync.Mutex
	sink ui.Sink
}

func (s *screen) open(id, dir string) {
	o := s.app.uiOptions()
	o.Run, o.Dir, o.Past, o.Steps = id, dir, s.past, s.steps
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
	out, errw := redactWriter{s.app.Out, s.app.redact}, redactWriter{s.app.Err, s.app.redact}
	switch {
	case s.app.settings.output == "json":
		s.sink = ui.NewJSON(out)
	case s.app.TTY:
		s.sink = ui.NewLive(s.app.Err, o)
	default:
		s.sink = ui.NewPlain(errw, o)
	}
}

func (s *screen) record(r journal.Record) {
	if s.app.OnRecord != nil {
		s.app.OnRecord(r)
	}
	s.mu.Lock()
	sink := s.sink
	s.mu.Unlock()
	if sink != nil {
		sink.Record(r)
	}
}

func (s *screen) say(text string) {
	fmt.Fprintln(s.app.Err, "flip: "+text)
}

func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil {
		s.sink.Close()
	}
	s.sink = nil
}

// commandLine is what to type, quoted where a shell needs it.
func commandLine(args ...string) string {
	words := []string{"flip"}
	for _, w := range args {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$`*?[](){}<>|&;#~!") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func stepIDs(steps []plan.Step) []string {
	var ids []string
	for _, s := range steps {
		ids = append(ids, s.ID)
	}
	return ids
}

// ask puts a question to the person at the terminal; want is the answer that
// counts as yes.
func (a *App) ask(question, want string) bool {
	fmt.Fprint(a.Err, question)
	line, _ := bufio.NewReader(a.In).ReadString('\n')
	return strings.EqualFold(strings.TrimSpace(line), want)
}

// confirm asks before something that cannot be taken back. Where nobody can be
// asked, --yes has to be given.
func (a *App) confirm(yes bool, question, want string, what string) error {
	if yes {
		return nil
	}
	if !a.interactive() {
		return usage(fmt.Errorf("%s needs a confirmation", what), "add --yes: %s --yes", commandLine(a.args...))
	}
	if !a.ask(question, want) {
		return usage(errors.New("not confirmed: flip did nothing"), "")
	}
	return nil
}
