// Package resolve looks names up from several places at once: the name servers
// with authority, resolvers, DNS over HTTPS, HTTPDNS for clients of any
// network, this machine. Each place is a View. What a view cannot see is
// unknown with the reason: it is neither a yes nor a no, because a blocked port
// says nothing about a record.
package resolve

import (
	"context"
	"time"
)

// View is a place, or several alike, from where a name is looked up. It is safe
// for concurrent use.
type View interface {
	// Look asks now, every vantage of the view at once, and returns one answer
	// for each in a fixed order, at least one. It returns soon after ctx ends;
	// what was not answered by then is unknown. Nothing is kept from one look
	// to the next.
	Look(ctx context.Context, q Question) []Answer
}

// Answer is what one vantage saw.
type Answer struct {
	View string
	// Vantage names who was asked, or for whom, the same in every look:
	// "10.0.0.2:53", "client 1.1.1.1".
	Vantage string
	// Server is who answered, where that is not the vantage: the HTTPDNS
	// cluster. Client is for whom, where that is not this machine.
	Server, Client string
	// Sample counts the answers of one vantage from 1.
	Sample int

	// Unknown is why nothing was seen, "" when something was: a timeout, a
	// refused connection, SERVFAIL. The fields up to Latency mean nothing then.
	Unknown string
	// NoRoute: nothing was seen because this machine cannot send to the
	// address at all, as without IPv6. It says nothing about the server.
	NoRoute bool

	// Values are the record set's values in canonical form, sorted; none is an
	// answer too.
	Values []string
	// Empty says what kind of answer one without values is.
	Empty Emptiness
	// Alias is the chain of CNAMEs that led to the values, in order.
	Alias []string
	// HasTTL: the vantage tells how long its answer may be kept (the machine's
	// resolver does not).
	HasTTL bool
	// MinTTL and MaxTTL are the remaining times of all records of the answer,
	// aliases among them; of an empty one how long that may be kept (RFC 2308).
	MinTTL, MaxTTL time.Duration
	// FullTTL: the times above are told to whoever asks, whenever that is, and
	// do not count down. Who asked just before keeps the answer for all of it.
	FullTTL bool
	// Authoritative is the AA bit.
	Authoritative bool

	Latency time.Duration
	At      time.Time // when the answer came
}

// Known reports whether the vantage saw anything.
func (a Answer) Known() bool { return a.Unknown == "" }

// Emptiness is the kind of an answer without values.
type Emptiness string

// The kinds of empty answers.
const (
	NXDomain Emptiness = "NXDOMAIN" // there is no such name
	NoData   Emptiness = "NODATA"   // the name has no records of the type
	// Nothing is either: the vantage does not tell them apart.
	Nothing Emptiness = "nothing"
)

// Limits of looking.
const (
	// DefaultTimeout bounds one vantage.
	DefaultTimeout = 5 * time.Second
	// atOnce is how many vantages of a view are asked at the same time.
	atOnce = 16
	// mostVantages bounds the answers of one look at a view.
	mostVantages = 512
)
