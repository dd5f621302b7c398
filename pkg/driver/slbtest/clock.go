package slbtest

import (
	"context"
	"time"
)

// later needs mu; fn runs with it, not before Release when the cloud is held.
func (s *Server) later(d time.Duration, fn func()) {
	if s.stopped {
		return
	}
	s.moving++
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.timers, t)
		if s.held {
			s.waiting = append(s.waiting, fn)
			return
		}
		s.happen(fn)
	})
	s.timers[t] = true
}

// happen needs mu.
func (s *Server) happen(fn func()) {
	s.moving--
	if !s.stopped {
		fn()
	}
}

// Hold stops what takes time: jobs stay Processing, traffic and DNS stay as
// they are, late writes do not land, until Release. Health checks go on.
func (s *Server) Hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// Release lets everything happen that Hold has kept back, in order.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	waiting := s.waiting
	s.waiting = nil
	for _, fn := range waiting {
		s.happen(fn)
	}
}

// Quiet returns when no job runs and traffic and DNS follow everything that
// was changed, or with ctx.
func (s *Server) Quiet(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		quiet := s.moving == 0 && s.steered == s.versions
		err := s.planeErr
		s.mu.Unlock()
		if quiet || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
