package recordset

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
)

// Provider holds the record sets of one zone. It is safe for concurrent use,
// and every call ends soon after ctx. Its errors say what the server said; the
// driver's name is put in front by Target. Errors that cannot pass are marked
// with driver.Permanent, a write of which nobody knows whether it took effect
// with driver.Uncertain.
type Provider interface {
	// Get returns the sets of those names as they are stored now, not as a
	// cache has them; an absent set may be missing. Without names it only finds
	// out whether the zone can be read.
	Get(ctx context.Context, names []Name) (map[Name]Set, error)

	// Swap changes record sets of one host, together if the provider can, and
	// otherwise adding before removing. It wraps ErrConflict, with nothing
	// written, when it sees that a set is not Old any more. It need not read
	// back: Target does.
	Swap(ctx context.Context, swaps []Swap) error

	// Limits are what the provider accepts. It may ask once and remember.
	Limits(ctx context.Context) (Limits, error)
}

// ErrConflict: a record set was not what Swap was told. Nothing was written.
var ErrConflict = errors.New("the record set is not what it was")

// Limits are what a provider accepts.
type Limits struct {
	// MinTTL and MaxTTL are in seconds; MaxTTL 0 is what the protocol allows.
	// Equal ones are a TTL that cannot be set.
	MinTTL, MaxTTL int
	// DefaultTTL is that of a set that a plan creates without one. 0: a plan has
	// to say it. What a plan does not say is not in the journal, and the way back
	// cannot tell it from what somebody else wrote.
	DefaultTTL int
	// Types are the types that can be set; empty means all.
	Types []string
	// Why is added to a refusal of a TTL: "the plan of the zone is free".
	Why string
}

// Refuser is a provider with rules of its own.
type Refuser interface {
	// Refuse says why swaps, which are of one host, cannot be made, nil if they
	// can. It sends nothing.
	Refuse(swaps []Swap) error
}

// Hider is a provider whose sets may be answered with other addresses.
type Hider interface {
	// Hidden says why the values of a set cannot be seen by looking the name
	// up, nil if they can.
	Hidden(name Name, set Set) error
}

// Options make a Target of a Provider.
type Options struct {
	Driver   string // its name
	Zone     string // canonical
	Provider Provider
	// Records are ids of sets that Read always returns. Others are read once
	// Locate or Apply has named them.
	Records []string
	// Ordered: the provider answers in the order of the values, and the order is
	// compared and set like the values. The driver's kind is OrderedKind.
	Ordered bool
	// Scopes are for locks; "dns://" and the zone when empty.
	Scopes []string
	// Timeout is how long one call of the provider may take in all, reading
	// back included; 30s when 0.
	Timeout time.Duration
	// MaxInFlight: see driver.Bounded.
	MaxInFlight time.Duration

	// Client asks name servers.
	Client wire.Client
	// NameServers are the addresses (host:port) that answer for a name with
	// authority. nil: who the system's resolver says.
	NameServers func(ctx context.Context, name string) ([]string, error)
	// Unseen: nobody else is asked whether a change is answered. Settle looks
	// at the provider alone.
	Unseen bool
	// Negative is how long "no such name" may be kept; nil asks a name server.
	Negative func(ctx context.Context) (time.Duration, error)
	// SettleTimeout is how long name servers may take to show a change; 2m
	// when 0.
	SettleTimeout time.Duration
	// Expect is how long that usually takes, for previews.
	Expect time.Duration
	// Shows is how long the provider may take to show what it has accepted;
	// 2s when 0.
	Shows time.Duration

	Log *slog.Logger
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
