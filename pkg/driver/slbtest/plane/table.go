// Package plane is the data plane of the Aliyun stand-in: what carries real
// requests to real members by the weights that the control plane has put into
// effect.
//
// Proxy is written here, for exact drains and websockets. HAProxy steers a real
// one through its runtime socket. Neither retries: what reaches a dead member
// fails at the client.
package plane

import "time"

// Table is everything that is in effect.
type Table struct{ Listeners []Listener }

// Listener is a port of a load balancer.
type Listener struct {
	// ID names it: an ALB or NLB listener id, "lb-1/http:80" for a CLB.
	ID string
	// Protocol is "http" (https too: nothing is encrypted here) or "tcp".
	Protocol string
	// Routes are tried in order; the first that matches is taken.
	Routes []Route
	// FailOpen sends to the weighted members of a pool when none of them is up.
	FailOpen bool
}

// Route is where matching requests go. TCP listeners have one that matches all.
type Route struct {
	// Host is a name or "*.name", Path a path or a prefix with "*" at its end; empty matches all.
	Host, Path string
	Pools      []Pool
	// Headers are set on requests on their way to the member.
	Headers map[string]string
	// Status, when it is not 0, is answered with Body and nothing is forwarded.
	Status int
	Body   string
}

// Pool is a server group in a route.
type Pool struct {
	ID      string
	Weight  int // among the pools of the route
	Members []Member
	// Drain cuts what is open on a member that long after it was removed or
	// went down; 0 cuts at once when DrainOn.
	DrainOn bool
	Drain   time.Duration
}

// Member is a server.
type Member struct {
	// ID is "GROUP/SERVER:PORT", Address where it listens.
	ID, Address string
	Weight      int
	Up          bool
}

// Plane carries traffic. Apply is called with the whole table whenever it
// changed, one call at a time; listeners that are not of this plane are ignored.
type Plane interface {
	Apply(Table) error
	Close() error
}
