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
	l.mu.Lock()
	until, known := l.sleeps[key]
	r, over := l.results[key]
	l.mu.Unlock()
	if over {
		return replay(r, nil)
	}
	if !known {
		until = l.time.Now().Add(d)
		if err := l.append(journal.Record{Type: journal.TypeSleep, Key: key, Data: journal.Encode(journal.Until{Until: until})}); err != nil {
			return err
		}
		l.mu.Lock()
		l.sleeps[key] = until
		l.mu.Unlock()
	}
	if err := l.waitUntil(key, until, "waiting", func() bool { return false }); err != nil {
		return err
	}
	if err := l.append(journal.Record{Type: journal.TypeDone, Key: key, Activity: "sleep"}); err != nil {
		return err
	}
	l.remember(key, journal.Result{Done: true, Activity: "sleep"})
	return nil
}

// waitUntil waits for a wall-clock moment, or for done.
func (l *local) waitUntil(key string, until time.Time, what string, done func() bool) error {
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
		left := until.Sub(l.time.Now())
		if done() || left <= 0 {
			return nil
		}
		if l.detach > 0 && left > l.detach {
			return ErrDetached
		}
		l.look(key, journal.LookData{Text: what, Until: until})
		nap := min(left, longestNap)
		if what != "waiting" {
			nap = min(nap, 250*time.Millisecond)
		}
		ctx, cancel := l.untilStopped()
		_ = l.time.Sleep(ctx, nap) // why it ended early is seen above
		cancel()
	}
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

// inbox returns the answer that somebody left for an approval, which is named
// by its key or by its step.
func (s *shared) inbox(key string) *journal.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.inboxed {
		if s.consumed[m.Name] {
			continue
		}
		if (m.Kind == journal.AskApprove || m.Kind == journal.AskDeny) && (m.Key == key || strings.HasSuffix(key, "/"+m.Key+".answer")) {
			return &journal.Signal{Approved: m.Kind == journal.AskApprove, By: m.By, Reason: m.Reason, Message: m.Name}
		}
	}
	return nil
}
