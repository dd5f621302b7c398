package slbtest

import (
	"maps"
	"time"
)

// Call is a request whose signature was good. They are in the order in which
// they were done.
type Call struct {
	At              time.Time
	Product, Action string            // "slb", "alb", "nlb" or "alidns"
	Params          map[string]string // of the action; no keys, signatures or tokens
	RequestID       string
	// Write: the action changes something. Applied: it did, or its job was
	// taken, also when the answer was lost.
	Write, Applied bool
	// Status and Code are the answer: 200 and "", a refusal, or 0 and "" for a
	// connection that was closed without an answer.
	Status int
	Code   string
}

// call is what an action may know about its request.
type call struct {
	*Call
	key   Key
	fault Fault
}

// Calls returns all calls so far.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]Call, len(s.calls))
	for i, c := range s.calls {
		calls[i] = *c
		calls[i].Params = maps.Clone(c.Params)
	}
	return calls
}

// Writes returns the calls that changed something, in order.
func (s *Server) Writes() []Call {
	var writes []Call
	for _, c := range s.Calls() {
		if c.Write && c.Applied {
			writes = append(writes, c)
		}
	}
	return writes
}

// ForgetCalls empties the log.
func (s *Server) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}
