package slbtest

import "time"

// bucket holds the calls that are left.
type bucket struct {
	left float64
	at   time.Time
}

// take needs mu. It is false when there is no call left under key.
func (s *Server) take(key string, l Limit) bool {
	if l.Calls <= 0 || l.Per <= 0 {
		return true
	}
	now := time.Now()
	b := s.buckets[key]
	if b == nil {
		b = &bucket{left: float64(l.Calls), at: now}
		s.buckets[key] = b
	}
	b.left = min(float64(l.Calls), b.left+float64(now.Sub(b.at))/float64(l.Per)*float64(l.Calls))
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// throttle needs mu. Limits are per account and action: all keys of an account
// share them.
func (s *Server) throttle(account, product, action string) error {
	if !s.take("", s.o.Global) {
		return fail(errThrottledAPI)
	}
	name := product + "." + action
	limit, ok := s.o.Actions[name]
	if !ok {
		limit, ok = s.o.Actions[action]
	}
	if !ok {
		limit = s.o.Throttle
	}
	if !s.take(account+" "+name, limit) {
		return fail(errThrottled)
	}
	return nil
}
