// Package driver defines what flip asks of the systems that it changes. A
// driver reads and applies the state of one target; order, journal, read-back
// and undo are the engine's. What a driver can do beyond that it says with one
// small optional interface each, found with As.
package driver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// Driver reads and changes one target. It is safe for concurrent use and every
// call ends soon after ctx does. Package drivertest checks this contract.
type Driver interface {
	// Read returns every object of the target with the attributes that flip
	// can set. It changes nothing. When only some nodes answer it returns what
	// they hold together with a *PartialError.
	Read(ctx context.Context) (state.State, error)

	// Apply makes the changes, in order. Applying again is harmless. Changes
	// of one object stand together, so that a driver can send them as one
	// call. A live value that is neither From nor To is a *DriftError, and
	// nothing of that object is written. Apply may return nil before the
	// system shows the change: the caller reads back.
	//
	// A failed Apply may have changed any part. Errors that say nothing about
	// the outcome (timeout, lost answer) wrap ErrUnknown.
	Apply(ctx context.Context, changes []state.Change) error
}

// Health is what a system says about one member.
type Health struct {
	State HealthState
	// Detail is the system's own word: "L7OK", "DOWN 1/2 (L7STS 503)".
	Detail string
}

// HealthState is up, down or unknown (not checked).
type HealthState int

// The health of a member. A member that nobody checks is unknown, never up.
const (
	Unknown HealthState = iota
	Up
	Down
)

func (h HealthState) String() string { return [...]string{"unknown", "up", "down"}[h] }

// Healther reports the health of members by object id.
type Healther interface {
	Health(ctx context.Context, ids []string) (map[string]Health, error)
}

// Flight is what is in flight on one member.
type Flight struct {
	// Now counts sessions and queued requests at this moment.
	Now int
	// Total counts all that ever began, -1 where the system does not tell. A
	// zero Now with a Total that rises is not quiet.
	Total int64
}

// Counter reports what is in flight on members by object id. It fails when one
// of their nodes does not answer: what cannot be seen is not drained.
type Counter interface {
	InFlight(ctx context.Context, ids []string) (map[string]Flight, error)
}

// Traffic are the running totals of one member since its system started.
type Traffic struct {
	Answers int64 // answers of any status
	Errors  int64 // answers with a 5xx status, and connections that failed
	Queue   int   // requests waiting now
}

// Meter reports traffic totals of members by object id.
type Meter interface {
	Traffic(ctx context.Context, ids []string) (map[string]Traffic, error)
}

// Killer ends what is still open on members.
type Killer interface {
	Kill(ctx context.Context, ids []string) error
}

// Settler returns when consumers see the changes: subscribers of a registry,
// every authoritative name server, an asynchronous job.
type Settler interface {
	Settle(ctx context.Context, changes []state.Change) error
}

// Holder watches changes that the system may forget and makes them again. It
// returns when ctx ends.
type Holder interface {
	Hold(ctx context.Context, changes []state.Change) error
}

// Comer is a driver whose objects come and go by themselves: who is restarted
// is gone, and registers again a little later.
type Comer interface {
	// Coming says how long an object that is not there, and was once, is worth
	// waiting for; 0: not at all.
	Coming(id string) time.Duration
}

// Releaser is a Holder that writes more than the changes in order to hold them,
// such as for objects that are gone, and has to take that back.
type Releaser interface {
	// Inherit says, before anything else is asked, which changes earlier
	// processes of a run had made and not put back, and how their objects stood
	// when the run last looked at them before. It asks the target nothing.
	Inherit(seen state.State, held []state.Change)
	// Release takes back what is left of holding. It is called when every Hold
	// has returned, before a run ends or pauses; its error is told to people.
	Release(ctx context.Context) error
}

// Bounded says how long a request that was sent before its sender died may
// still take effect.
type Bounded interface {
	MaxInFlight() time.Duration
}

// Scoper names what the target changes, for locks. Two targets that share a
// scope exclude each other: "haproxy:///run/haproxy/admin.sock/be_web".
type Scoper interface {
	Scopes() []string
}

// Locator names the objects that would stand for something that need not exist
// yet: a new server on every node, a record set, a map key.
type Locator interface {
	// Locate returns objects without attributes, by id. Of a target that holds
	// more than anybody lists (a DNS zone), Read returns what was located.
	Locate(kind, name string) (map[string]state.Object, error)
}

// Comparer is a driver whose Apply reads the target and compares all changes
// right before it writes the first of them, so that its caller need not.
type Comparer interface {
	ComparesFirst()
}

// Matcher lets a plan name members by more than their names: an address range,
// a label.
type Matcher interface {
	// Match returns what pattern means, nil when it is a name or a pattern of
	// names. The objects that it is asked about have no attributes. It looks at
	// nothing else, so that a pattern means the same whenever it is asked.
	Match(pattern string) (func(state.Object) bool, error)
}

// Expecter says how long Settle takes when nothing is in the way, for previews.
type Expecter interface {
	Expect(changes []state.Change) time.Duration
}

// Permitter says whether flip may change the target at all: nil, or why not. It
// changes nothing.
type Permitter interface {
	Permit(ctx context.Context) error
}

// Cacher is a driver whose objects are answers that others keep for a while.
type Cacher interface {
	// CacheTime returns how long an answer of that object may be kept by
	// whoever asked, when its attributes are attrs. Without attributes it is the
	// time that "no such name" may be kept (RFC 2308).
	CacheTime(ctx context.Context, id string, attrs map[string]state.Value) (time.Duration, error)
}

// Authority is a driver of record sets that knows who serves them.
type Authority interface {
	// NameServers returns every address (host:port) that answers for name with
	// authority, IPv4 and IPv6.
	NameServers(ctx context.Context, name string) ([]string, error)
}

// Resolvable says whether what is set on an object can be seen by looking its
// name up: nil, or why not (a record that answers with a proxy's addresses).
type Resolvable interface {
	Resolvable(ctx context.Context, id string) error
}

// Checker says beforehand what Apply would refuse for a reason that lies in the
// target and not in a call: the last healthy instance of a service, a threshold
// that would be crossed. flip asks it before the first change of a run and in
// previews, so that a plan which cannot be carried out changes nothing at all.
//
// now is the whole target as it would stand right before the changes: what Read
// returned, with the changes of earlier steps made in it. The attributes in now
// decide, not the live ones; what is no attribute (health, a threshold) is
// taken as the system shows it at this moment. All changes are made together.
// Check writes nothing, may read, and ends soon after ctx.
//
// nil: nothing speaks against the changes. An error is the refusal as Apply
// would word it, with its hints. An error that wraps ErrUnknown says only that
// Check could not look; it refuses nothing.
type Checker interface {
	Check(ctx context.Context, now state.State, changes []state.Change) error
}

// Closer releases connections.
type Closer = io.Closer

// Env is what a driver is lent.
type Env struct {
	Log *slog.Logger
	// Transport carries HTTP; tests point it at a stand-in.
	Transport http.RoundTripper
	Secrets   *secret.Resolver
}

// As finds an optional interface of d, looking through decorators.
func As[T any](d Driver) (T, bool) {
	for {
		if t, ok := d.(T); ok {
			return t, true
		}
		u, ok := d.(interface{ Unwrap() Driver })
		if !ok {
			var none T
			return none, false
		}
		d = u.Unwrap()
	}
}

type progressKey struct{}

// WithProgress makes report receive what a long call waits for. Reports may be
// dropped; they are for people.
func WithProgress(ctx context.Context, report func(string)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// Progress tells whoever watches what the call now waits for.
func Progress(ctx context.Context, text string) {
	if report, ok := ctx.Value(progressKey{}).(func(string)); ok {
		report(text)
	}
}
