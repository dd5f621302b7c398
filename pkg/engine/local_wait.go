package engine

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// longestNap bounds one sleep: the clock of a suspended machine jumps.
const longestNap = 30 * time.Second

func (l *local) Sleep(key string, d time.Duration) error {
	return l.sleep(key, "", func() time.Time { return l.time.Now().Add(d) }, nil)
}

func (l *local) WaitUntil(key, message string, until time.Time, hint any) error {
	return l.sleep(key, message, func() time.Time { return until }, hint)
}

// sleep waits until a moment that is fixed, durably, the first time.
func (l *local) sleep(key, message string, moment func() time.Time, hint any) error {
	l.mu.Lock()
	until, known := l.sleeps[key]
	r, over := l.results[key]
	l.mu.Unlock()
	if over {
		return replay(r, nil)
	}
	if !known {
		until = moment()
		if err := l.append(journal.Record{Type: journal.TypeSleep, Key: key, Data: journal.Encode(journal.Until{Until: until, Message: message})}); err != nil {
			return err
		}
		l.mu.Lock()
		l.sleeps[key] = until
		l.mu.Unlock()
	}
	if err := l.waitFor(waiting{key, until, "waiting", hint, never}); err != nil {
		return err
	}
	if err := l.append(journal.Record{Type: journal.TypeDone, Key: key, Activity: "sleep"}); err != nil {
		return err
	}
	l.remember(key, journal.Result{Done: true, Activity: "sleep"})
	return nil
}

// waiting is one wait for a wall-clock moment, or for done.
type waiting struct {
	key   string
	until time.Time
	what  string // for people
	hint  any    // input of a glance, which says more
	done  func() bool
}

func never() bool { return false }

func (l *local) waitUntil(key string, until time.Time, what string, done func() bool) error {
	return l.waitFor(waiting{key, until, what, nil, done})
}

func (l *local) waitFor(w waiting) error {
	for {
		if err := l.mayGoOn(); err != nil {
			return err
		}
		if l.soft.Err() != nil {
			return ErrInterrupted
		}
		if l.lost.Err() != nil {
			return context.Cause(l.lost)
		}
		left := w.until.Sub(l.time.Now())
		if w.done() || left <= 0 {
			return nil
		}
		if l.detach > 0 && left > l.detach {
			return ErrDetached
		}
		if err := l.lookAt(w); err != nil {
			return err
		}
		nap := l.nap(w, left)
		ctx, cancel := l.untilStopped()
		_ = l.time.Sleep(ctx, nap) // why it ended early is seen above
		cancel()
	}
}

// lookAt tells what is waited for now.
func (l *local) lookAt(w waiting) error {
	if w.hint == nil {
		l.look(w.key, journal.LookData{Text: w.what, Until: w.until})
		return nil
	}
	said, err := l.perform(w.key, "glance", w.hint)
	if text, ok := said.(string); ok && err == nil {
		l.look(w.key, journal.LookData{Text: text})
	}
	if stopped(err) {
		return err
	}
	return nil // only what people see is missing
}

// soonOver is when a wait that tells what it waits for does so more often.
const soonOver = time.Minute

// nap is how long a wait may look away. A time that passes only where a run
// waits does not jump.
func (l *local) nap(w waiting, left time.Duration) time.Duration {
	_, machine := l.time.(WallClock)
	switch {
	case w.what != "waiting":
		return min(left, 250*time.Millisecond)
	case !machine:
		return left
	case w.hint != nil && left <= soonOver:
		return min(left, 5*time.Second)
	}
	return min(left, longestNap)
}

func (l *local) Await(key, message string, deadline time.Duration) (json.RawMessage, error) {
	l.mu.Lock()
	r, known := l.results[key]
	until, asked := l.sleeps[key]
	l.mu.Unlock()
	if known {
		var raw json.RawMessage
		err := replay(r, &raw)
		return raw, err
	}
	if !asked {
		until = l.time.Now().Add(deadline)
		if err := l.append(journal.Record{Type: journal.TypeAwait, Key: key, Data: journal.Encode(journal.Until{Until: until, Message: message})}); err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.sleeps[key] = until
		l.mu.Unlock()
	}
	var answer *journal.Signal
	err := l.waitUntil(key, until, "waiting for approval: "+message, func() bool {
		answer = l.answer(key)
		return answer != nil
	})
	if err != nil {
		return nil, err
	}
	if answer == nil {
		e := fail(classTimeout, "nobody approved in time")
		l.remember(key, journal.Result{Err: e})
		return nil, errors.Join(e, l.append(journal.Record{Type: journal.TypeFailed, Key: key, Activity: "await", Error: e}))
	}
	data := journal.Encode(*answer)
	if err := l.append(journal.Record{Type: journal.TypeSignal, Key: key, Activity: "await", Data: data}); err != nil {
		return nil, err
	}
	l.consume(answer.Message)
	l.remember(key, journal.Result{Done: true, Activity: "await", Data: data})
	return data, nil
}

// consume makes an answer count once: a step that is done anew asks anew. One
// that is left over, because this process dies here, is known from the journal.
func (s *shared) consume(name string) {
	if name == "" {
		return
	}
	s.mu.Lock()
	s.consumed[name] = true
	s.mu.Unlock()
	_ = journal.Consume(s.log.Dir(), name)
}

// answers reports whether a person who names a step, or a key, means the
// approval with that key: also where the step is tried again, as "go#2".
func answers(named, key string) bool {
	step := strings.TrimSuffix(key, ".answer")
	first := step
	if at := strings.LastIndex(step, "#"); at > strings.LastIndex(step, "/") {
		first = step[:at]
	}
	return named == key || strings.HasSuffix(step, "/"+named) || strings.HasSuffix(first, "/"+named)
}

// inbox returns the answer that somebody left for an approval, which is named
// by its key or by its step.
func (s *shared) inbox(key string) *journal.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.inboxed {
		if s.consumed[m.Name] {
			continue
		}
		if (m.Kind == journal.AskApprove || m.Kind == journal.AskDeny) && answers(m.Key, key) {
			return &journal.Signal{Approved: m.Kind == journal.AskApprove, By: m.By, Reason: m.Reason, Message: m.Name}
		}
	}
	return nil
}
