package engine

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// drain waits until members are quiet: nothing in flight, and nothing that
// began in between, over several samples. One sample of zero proves nothing: 23
// sessions were seen right after one.
func (x *Executor) drain(ctx context.Context, key string, in journal.Drain) (journal.Drained, error) {
	d, err := x.target(in.Target)
	if err != nil {
		return journal.Drained{}, err
	}
	counter, ok := driver.As[driver.Counter](d)
	if !ok {
		return journal.Drained{}, hint.Wrap(fail(classInvalid, "drain %s: driver %s cannot tell what is in flight", in.Target, x.Program.Infos[in.Target].Name),
			"name a metric of the members: drain: {group: ..., metric: {prometheus: {...}}}")
	}
	interval, err := time.ParseDuration(in.Interval)
	if err != nil {
		return journal.Drained{}, err
	}
	w := drainWatch{in: in, p: x.Program, clock: x.clock(), began: x.clock().Now()}
	for {
		flights, err := counter.InFlight(ctx, in.IDs)
		if w.sample(flights, err) {
			return journal.Drained{Quiet: true, Left: w.left, Text: w.text()}, nil
		}
		x.Look(key, w.look())
		if !in.Deadline.IsZero() && !x.clock().Now().Before(in.Deadline) {
			return journal.Drained{Left: w.left, Text: "deadline passed: " + w.text()}, nil
		}
		if err := x.pause(ctx, interval); err != nil {
			return journal.Drained{}, err
		}
	}
}

// drainWatch judges samples of what is in flight.
type drainWatch struct {
	in    journal.Drain
	p     *Program
	clock Clock
	began time.Time
	last  map[string]driver.Flight
	quiet int // samples in a row
	left  int
	err   error
}

// sample takes one look and reports whether the members are quiet.
func (w *drainWatch) sample(now map[string]driver.Flight, err error) bool {
	w.err = err
	if err != nil {
		w.quiet, w.last = 0, nil
		return false
	}
	w.left = 0
	steady := w.last != nil
	for _, id := range w.in.IDs {
		f := now[id]
		w.left += f.Now
		if was, ok := w.last[id]; w.last != nil && (!ok || (f.Total >= 0 && f.Total != was.Total)) {
			steady = false
		}
	}
	// Sessions that may stay go on making requests; only their number counts.
	steady = steady || w.in.Sessions > 0
	w.last = maps.Clone(now)
	switch {
	case w.left > w.in.Sessions:
		w.quiet = 0
	case !steady:
		w.quiet = 1
	default:
		w.quiet++
	}
	return w.quiet >= w.in.Samples
}

func (w *drainWatch) text() string {
	members := len(w.p.names(w.in.Target, w.in.IDs))
	took := w.clock.Now().Sub(w.began).Round(100 * time.Millisecond)
	if w.err != nil {
		return fmt.Sprintf("could not look at %s: %v", w.in.Target, w.err)
	}
	return fmt.Sprintf("%d in flight on %s after %s", w.left, count(members, "member"), took)
}

func (w *drainWatch) look() journal.LookData {
	d := journal.LookData{Text: w.text(), Until: w.in.Deadline, InFlight: map[string]int{}}
	if w.err == nil {
		for id, f := range w.last {
			d.InFlight[w.p.name(w.in.Target, id)] = f.Now
		}
	}
	return d
}

// kill ends what is still open on members, as the plan asked.
func (x *Executor) kill(ctx context.Context, in journal.Observe) error {
	d, err := x.target(in.Target)
	if err != nil {
		return err
	}
	k, ok := driver.As[driver.Killer](d)
	if !ok {
		return hint.Wrap(fail(classInvalid, "kill %s: driver %s cannot end open sessions", in.Target, x.Program.Infos[in.Target].Name),
			"use then: fail or then: continue")
	}
	if err := x.mayWrite(d); err != nil {
		return err
	}
	if err := k.Kill(ctx, in.IDs); err != nil {
		return x.path("kill", in.Target, err)
	}
	return nil
}
