package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// sampler looks once at what is in flight. What cannot be seen is an error: of
// everything, or of some members by their name.
type sampler func(ctx context.Context) (map[string]driver.Flight, map[string]error, error)

// drain waits until members are quiet: nothing in flight, and nothing that
// began in between, over several samples. One sample of zero proves nothing: 23
// sessions were seen right after one.
func (x *Executor) drain(ctx context.Context, key string, in journal.Drain) (journal.Drained, error) {
	look, w, err := x.drainSource(in)
	if err != nil && in.Count != "" && strings.HasPrefix(key, "/undo/") {
		return journal.Drained{Text: "could not ask: " + err.Error()}, nil // no reason to stay on the way back
	}
	if err != nil {
		return journal.Drained{}, err
	}
	interval, err := time.ParseDuration(in.Interval)
	if err != nil {
		return journal.Drained{}, err
	}
	for {
		if w.sample(look(ctx)) {
			return journal.Drained{Quiet: true, Left: w.left, Text: w.text()}, nil
		}
		if ctx.Err() != nil {
			return journal.Drained{}, context.Cause(ctx)
		}
		x.Look(key, w.look())
		now := x.clock().Now()
		switch {
		case !in.Deadline.IsZero() && !now.Before(in.Deadline):
			return journal.Drained{Left: w.left, Text: "deadline passed: " + w.text()}, nil
		case !in.Again.IsZero() && !now.Before(in.Again) && w.quiet == 0:
			return journal.Drained{Again: true, Left: w.left, Text: w.text()}, nil
		}
		if err := x.pause(ctx, interval); err != nil {
			return journal.Drained{}, err
		}
	}
}

// drainSource finds who tells what is in flight: the members, or the driver of
// their target.
func (x *Executor) drainSource(in journal.Drain) (sampler, *drainWatch, error) {
	w := &drainWatch{in: in, clock: x.clock(), began: in.Since}
	if w.began.IsZero() {
		w.began = x.clock().Now()
	}
	if in.Count != "" {
		counts, err := x.counts(in)
		for _, m := range in.Members {
			w.ids = append(w.ids, m.Label)
		}
		w.name, w.members = func(id string) string { return id }, len(w.ids)
		return counts.sample, w, err
	}
	d, err := x.target(in.Target)
	if err != nil {
		return nil, nil, err
	}
	counter, ok := driver.As[driver.Counter](d)
	if !ok {
		return nil, nil, hint.Wrap(fail(classInvalid, "drain %s: driver %s cannot tell what is in flight", in.Target, x.Program.Infos[in.Target].Name), "%s", countHint)
	}
	w.ids, w.members = in.IDs, len(x.Program.names(in.Target, in.IDs))
	w.name = func(id string) string { return x.Program.name(in.Target, id) }
	return func(ctx context.Context) (map[string]driver.Flight, map[string]error, error) {
		flights, err := counter.InFlight(ctx, in.IDs)
		return flights, nil, err
	}, w, nil
}

// drainWatch judges samples of what is in flight.
type drainWatch struct {
	in      journal.Drain
	ids     []string
	name    func(id string) string
	members int
	clock   Clock
	began   time.Time
	last    map[string]driver.Flight
	seen    bool // the last sample told of everything
	quiet   int  // samples in a row
	left    int
	failed  map[string]error // by id, of the last sample
	err     error
}

// sample takes one look and reports whether the members are quiet.
func (w *drainWatch) sample(now map[string]driver.Flight, failed map[string]error, err error) bool {
	w.err, w.failed = err, failed
	if err != nil {
		w.quiet, w.last, w.seen = 0, nil, false
		return false
	}
	w.left = 0
	steady := w.seen
	for _, id := range w.ids {
		f := now[id]
		w.left += f.Now
		if was, ok := w.last[id]; w.seen && (!ok || (f.Total >= 0 && f.Total != was.Total)) {
			steady = false
		}
	}
	// Sessions that may stay go on making requests; only their number counts.
	steady = steady || w.in.Sessions > 0
	w.last, w.seen = maps.Clone(now), len(failed) == 0
	switch {
	case w.left > w.in.Sessions, len(failed) > 0:
		w.quiet = 0
	case !steady:
		w.quiet = 1
	default:
		w.quiet++
	}
	return w.quiet >= w.in.Samples
}

func (w *drainWatch) text() string {
	took := w.clock.Now().Sub(w.began).Round(100 * time.Millisecond)
	if w.err != nil {
		return fmt.Sprintf("could not look at %s: %v", w.in.Target, w.err)
	}
	if len(w.failed) == 0 {
		return fmt.Sprintf("%d in flight on %s after %s", w.left, count(w.members, "member"), took)
	}
	var why []string
	for _, id := range slices.Sorted(maps.Keys(w.failed)) {
		why = append(why, fmt.Sprintf("%s did not tell: %v", w.name(id), w.failed[id]))
		if len(why) == 3 && len(w.failed) > 3 {
			why = append(why, fmt.Sprintf("and %d more", len(w.failed)-3))
			break
		}
	}
	told := ""
	if n := w.members - len(w.failed); n > 0 {
		told = fmt.Sprintf("%d in flight on %s after %s; ", w.left, count(n, "member"), took)
	}
	return told + strings.Join(why, "; ")
}

func (w *drainWatch) look() journal.LookData {
	d := journal.LookData{Text: w.text(), Until: w.in.Deadline, InFlight: map[string]int{}}
	if w.err != nil {
		return d
	}
	for id, f := range w.last {
		d.InFlight[w.name(id)] = f.Now
	}
	for id, err := range w.failed {
		if d.Unseen == nil {
			d.Unseen = map[string]string{}
		}
		d.Unseen[w.name(id)] = err.Error()
	}
	return d
}

// kill ends what is still open on members, as the driver can.
func (x *Executor) kill(ctx context.Context, in journal.Observe) error {
	d, err := x.target(in.Target)
	if err != nil {
		return err
	}
	k, ok := driver.As[driver.Killer](d)
	if !ok {
		return hint.Wrap(fail(classInvalid, "kill %s: driver %s cannot end open sessions", in.Target, x.Program.Infos[in.Target].Name), "%s", killHint)
	}
	if err := x.mayWrite(d); err != nil {
		return err
	}
	if err := k.Kill(ctx, in.IDs); err != nil {
		return x.path("kill", in.Target, err)
	}
	return nil
}
