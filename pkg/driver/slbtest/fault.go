package slbtest

import "time"

// FaultKind is a way in which a call goes wrong.
type FaultKind int

// The kinds of faults. Unless a kind says otherwise nothing is applied.
const (
	// NoFault only counts and runs Do: an edit by somebody else right before the call.
	NoFault FaultKind = iota
	// Throttled answers Throttling.User.
	Throttled
	// Unavailable answers 503 ServiceUnavailable, or Status and Code.
	Unavailable
	// HTMLGateway answers 502 with HTML, as a proxy on the way does.
	HTMLGateway
	// Garbage answers 200 with HTML.
	Garbage
	// Slow waits for After and does all as it should.
	Slow
	// SlowAnswer applies, and answers After that.
	SlowAnswer
	// DropBefore closes the connection without an answer.
	DropBefore
	// DropAfter applies and closes the connection without an answer.
	DropAfter
	// LateApply closes the connection without an answer and applies After that.
	LateApply
	// Refuse answers Status (400) and Code, for instance a busy code.
	Refuse
	// SoftRefuse answers 200 with Success:false and Code; NLB only.
	SoftRefuse
	// JobFails takes the call; its job fails with Code and changes nothing.
	JobFails
	// Partial applies the first Entries of a batch and fails: CLB with 500
	// InternalError, ALB and NLB in the job.
	Partial
	// ExpireKey ends the key of the call, for this call and all that follow.
	ExpireKey
)

// Fault happens to calls with a good signature.
type Fault struct {
	Kind    FaultKind
	Product string // "slb", "alb", "nlb", "alidns"; empty is all
	Action  string // empty is all
	Skip    int    // leave the first calls that match alone
	Times   int    // how often; 0 is always
	After   time.Duration
	Status  int
	Code    string
	Message string
	Entries int
	// Do runs before the call, with any kind. It may use the Server.
	Do func()
}

// Inject adds a fault. The first that matches a call and is not used up
// happens to it.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &pending{Fault: f})
}

// Heal ends all faults. Keys that have expired stay so.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Pending counts the faults with Times that have not happened that often yet:
// 0 proves that a test met what it injected.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.faults {
		if f.Times > f.done {
			n += f.Times - f.done
		}
	}
	return n
}

// ExpireKey ends a key now.
func (s *Server) ExpireKey(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireKey(id)
}

// SetKey adds a key or replaces the one with its id, for instance after a renewal.
func (s *Server) SetKey(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	orElse(&k.Account, "1")
	s.keys[k.ID] = k
}

func (s *Server) expireKey(id string) {
	if k, ok := s.keys[id]; ok {
		k.Expires = s.o.Now().Add(-time.Second)
		s.keys[id] = k
	}
}

// pending is a fault and how often it has been met.
type pending struct {
	Fault
	seen, done int
}

// due needs mu.
func (s *Server) due(product, action string) Fault {
	for _, f := range s.faults {
		if (f.Product != "" && f.Product != product) || (f.Action != "" && f.Action != action) || (f.Times > 0 && f.done == f.Times) {
			continue
		}
		if f.seen++; f.seen > f.Skip {
			f.done++
			return f.Fault
		}
	}
	return Fault{}
}
