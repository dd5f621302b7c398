package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// local is the Context over a journal on this machine. A resumed run is the
// same interpreter running again: what is recorded is not done a second time.
type local struct {
	*shared
	// branch ends when a sibling of a parallel step failed.
	branch context.Context
	// turn gives way to other branches, nil where they run at once.
	turn branchTurn
}

// shared is what all branches of one process have in common.
type shared struct {
	exec Performer
	time Clock
	log  journal.Log
	// answer is what somebody said to an approval, turns who of several
	// branches goes on; see Sim.
	answer func(key string) *journal.Signal
	turns  func(n int) int
	// hard ends everything at once: the second Ctrl-C, a fence, a full disk.
	hard context.Context
	// soft ends waits, gates and drains, and stops at the next safe point. On
	// the way back it never ends.
	soft   context.Context
	detach time.Duration // leave rather than wait longer; 0: never

	mu      sync.Mutex
	results map[string]journal.Result
	sleeps  map[string]time.Time
	steps   map[string]stepMark // by path
	undos   undos
	doing   map[string]string // activity by key, of what goes on now
	// lost ends when something that the run had set could not be kept. What
	// can be interrupted fails with its cause; the way back does not look.
	lost       context.Context
	cancelLost context.CancelCauseFunc
	retried    string // the step that a resumed run does anew
	inboxed    []journal.Message
	consumed   map[string]bool // messages that were journaled, by name
	// uncertain: some call's outcome was unknown, so its effect may come late.
	uncertain bool
}

// stepMark is what is recorded of a step.
type stepMark struct {
	status string
	began  time.Time
}

// interruptible activities end at an operator's stop and are simply done again
// later. All others are finished first: they change something.
func interruptible(activity string) bool {
	switch activity {
	case "gate", "hold", "drain", journal.ActivityViews, "glance":
		return true
	}
	return false
}

// durable activities are journaled before they act.
func durable(activity string) bool {
	switch activity {
	case "apply", "restore", "run", "kill", journal.ActivityAsk:
		return true
	}
	return false
}

func (l *local) Do(key, activity string, in, out any) error {
	l.mu.Lock()
	r, known := l.results[key]
	l.mu.Unlock()
	if known {
		return replay(r, out)
	}
	if activity == "step" {
		return l.step(key, in.(journal.Step))
	}
	if err := l.mayGoOn(); err != nil {
		return err
	}
	if activity == "clock" {
		return l.clock(key, in.(clockIn), out.(*journal.Until))
	}
	if durable(activity) {
		in = l.conceal(key, in)
		if err := l.append(journal.Record{Type: journal.TypeIntent, Key: key, Activity: activity, Data: journal.Encode(in)}); err != nil {
			return err
		}
	}
	result, err := l.perform(key, activity, in)
	if err != nil {
		if stopped(err) {
			return err
		}
		e := toJournal(err)
		if aerr := l.append(journal.Record{Type: journal.TypeFailed, Key: key, Activity: activity, Error: e}); aerr != nil {
			return aerr
		}
		l.remember(key, journal.Result{Activity: activity, Err: e})
		return e
	}
	var data json.RawMessage
	if result != nil {
		data = journal.Encode(result)
	}
	if err := l.append(journal.Record{Type: journal.TypeDone, Key: key, Activity: activity, Data: data}); err != nil {
		return err
	}
	l.remember(key, journal.Result{Done: true, Activity: activity, Data: data})
	assign(out, result)
	return nil
}

// killed is why this process must not touch anything any more. A context that
// its caller ended plainly is a hard stop as well, never a step's failure.
func (l *local) killed() error {
	cause := context.Cause(l.hard)
	if fatal(cause) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrHardStop, cause)
}

// mayGoOn says whether another activity may begin.
func (l *local) mayGoOn() error {
	if l.hard.Err() != nil {
		return l.killed()
	}
	if l.branch.Err() != nil {
		return errAborted
	}
	return nil
}

func (l *local) perform(key, activity string, in any) (any, error) {
	l.mu.Lock()
	l.doing[key] = activity
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.doing, key)
		l.mu.Unlock()
	}()
	ctx := l.hard
	if interruptible(activity) {
		merged, cancel := l.untilStopped()
		defer cancel()
		ctx = merged
	}
	if l.lost.Err() != nil {
		return nil, context.Cause(l.lost)
	}
	result, err := l.exec.Do(ctx, key, activity, in)
	if err != nil && ctx.Err() != nil {
		// Not the activity's failure: this process is to stop.
		if l.hard.Err() != nil {
			return nil, l.killed()
		}
		cause := context.Cause(ctx)
		if stopped(cause) || l.lost.Err() != nil && cause == context.Cause(l.lost) { //nolint:errorlint // the very cause
			return nil, cause
		}
	}
	return result, err
}

// lose makes the run fail: a value that it relies on could not be kept.
func (s *shared) lose(err error) { s.cancelLost(err) }

// untilStopped ends with the process, at an operator's stop and when another
// branch failed.
func (l *local) untilStopped() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(l.hard)
	soft := context.AfterFunc(l.soft, func() { cancel(ErrInterrupted) })
	branch := context.AfterFunc(l.branch, func() { cancel(errAborted) })
	lost := context.AfterFunc(l.lost, func() { cancel(context.Cause(l.lost)) })
	return ctx, func() { soft(); branch(); lost(); cancel(nil) }
}

// look records an observation of what goes on now.
func (l *local) look(key string, d journal.LookData) {
	l.mu.Lock()
	activity := l.doing[key]
	l.mu.Unlock()
	l.log.Look(journal.Record{Type: journal.TypeLook, Time: l.time.Now(), Key: key, Activity: activity, Data: journal.Encode(d)})
}

func replay(r journal.Result, out any) error {
	if r.Err != nil {
		return r.Err
	}
	if out == nil || len(r.Data) == 0 {
		return nil
	}
	return json.Unmarshal(r.Data, out)
}

func (l *local) step(key string, s journal.Step) error {
	if err := l.hard.Err(); err != nil {
		return l.killed()
	}
	now := l.time.Now()
	path := key[:len(key)-len(s.Status)-1]
	l.mu.Lock()
	mark, known := l.steps[path]
	if known && !mark.again(path, s.Status, l.retried) {
		l.mu.Unlock()
		return nil
	}
	if s.Status == "begin" {
		mark.began = now
	} else if !mark.began.IsZero() {
		s.Took = now.Sub(mark.began).Seconds()
	}
	mark.status = s.Status
	l.steps[path] = mark
	l.mu.Unlock()
	return l.append(journal.Record{Type: journal.TypeStep, Key: path, Activity: "step", Data: journal.Encode(s)})
}

// again reports whether a status is news: a replay passes over what is known.
func (m stepMark) again(path, status, retried string) bool {
	switch {
	case m.status == "begin":
		return status != "begin"
	case m.status == "failed" && status == "begin":
		return retried != "" && strings.HasPrefix(retried, path)
	}
	return m.status != status && status != "begin"
}

// clock fixes a moment in UTC. The end of a hold is durable; an activity's
// deadline is not: it begins anew when the activity does.
func (l *local) clock(key string, in clockIn, out *journal.Until) error {
	d, err := time.ParseDuration(in.After)
	if err != nil {
		return err
	}
	out.Until = l.time.Now().Add(d)
	result := journal.Result{Done: true, Activity: "clock", Data: journal.Encode(*out)}
	if strings.HasSuffix(key, ".until") {
		if err := l.append(journal.Record{Type: journal.TypeDone, Key: key, Activity: "clock", Data: result.Data}); err != nil {
			return err
		}
	}
	l.remember(key, result)
	return nil
}

func (l *local) remember(key string, r journal.Result) {
	l.mu.Lock()
	l.results[key] = r
	l.mu.Unlock()
}

// append writes a record. A failure to write ends everything: nothing may be
// changed that the journal does not know of.
func (l *local) append(r journal.Record) error {
	_, err := l.log.Append(l.hard, r)
	if err != nil && !fatal(err) && l.hard.Err() == nil {
		err = fmt.Errorf("%w: %w", journal.ErrNotDurable, err)
	}
	if err == nil && l.turn != nil {
		l.turn()
	}
	return err
}

func (l *local) Stopping(string) bool { return l.soft.Err() != nil }

func (l *local) Parallel(_ string, n, limit int, fn func(Context, int) error) error {
	if limit <= 0 || limit > n {
		limit = n
	}
	branch, abort := context.WithCancel(l.branch)
	defer abort()
	if l.turns != nil {
		return firstError(l.inTurns(branch, abort, n, limit, fn))
	}
	errs := make([]error, n)
	slots := make(chan struct{}, max(limit, 1))
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		if branch.Err() != nil {
			errs[i] = errAborted
			<-slots
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			if errs[i] = fn(&local{l.shared, branch, nil}, i); errs[i] != nil {
				abort()
			}
		})
	}
	wg.Wait()
	return firstError(errs)
}

// firstError prefers a reason over those that only stopped because of it.
func firstError(errs []error) error {
	var aborted error
	for _, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, errAborted):
			aborted = err
		default:
			return err
		}
	}
	return aborted
}
