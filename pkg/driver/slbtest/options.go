package slbtest

import (
	"fmt"
	"net"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// Key is an access key. With a Token it is an STS key: requests need the same
// SecurityToken, in the signature.
type Key struct {
	ID, Secret, Token string
	// Account is what requests are counted by for throttling; default "1".
	Account string
	// Expires, when set, is the end of the key.
	Expires time.Time
}

// Limit is a token bucket: Calls per Per, and not more than Calls at once. The
// zero value does not limit.
type Limit struct {
	Calls int
	Per   time.Duration
}

// Timing is how slow the cloud is. Zero means the default; no value has a
// source.
type Timing struct {
	// Job is how long an ALB or NLB job runs; default 20ms.
	Job time.Duration
	// Lag is how much later traffic follows what the API shows; default 5ms.
	Lag time.Duration
	// Overlap is for how long after a CLB write another one to the same load
	// balancer is refused as busy; default none.
	Overlap time.Duration
	// ReadLag is for how long after a CLB write reads show the old weights;
	// default none.
	ReadLag time.Duration
	// Idempotence is for how long a repeated ClientToken is answered with
	// IdempotenceProcessing before it gets the first answer; default none.
	Idempotence time.Duration
	// Probe is the pause between health checks; default 50ms. ProbeTimeout is
	// what one may take; default 1s.
	Probe, ProbeTimeout time.Duration
	// DNS is the lag of the first name server, twice that of the second, and so
	// on; default 20ms. ZoneOverlap is for how long after a write to a zone the
	// next one is answered with LastOperationNotFinished; default none.
	DNS, ZoneOverlap time.Duration
}

// Options describe a stand-in. The zero value serves an empty estate over TLS
// only, to the key DefaultKey.
type Options struct {
	Estate Estate
	Keys   []Key
	// Region is the only one there is; default "cn-hangzhou".
	Region string
	// PlainHTTP serves requests over plain HTTP too. Without it they get
	// InvalidProtocol.NeedSsl.
	PlainHTTP bool
	// Addr and TLSAddr are loopback addresses to listen on; default free ports of 127.0.0.1.
	Addr, TLSAddr string
	Timing        Timing
	// Planes carry the traffic. The server applies to them and closes them.
	Planes []plane.Plane
	// NameServers is how many DNS servers answer for the zones, each on a free
	// port with UDP and TCP; default 1 when there is a zone.
	NameServers int

	// Throttle limits every action of an account; Actions has the limits of
	// some, by "Action" or "product.Action"; Global limits all together.
	Throttle, Global Limit
	Actions          map[string]Limit
	// FailOpenCLB and FailOpenNLB: these too send to weighted members when none
	// is healthy, as ALB does (no source for either).
	FailOpenCLB, FailOpenNLB bool
	// ParkedAbnormal shows CLB members with weight 0 behind TCP and UDP
	// listeners as abnormal, as documents until 2021 said.
	ParkedAbnormal bool
	// RejectZeroTuple refuses weight 0 for a server group in an ALB rule, as
	// some accounts seem to have seen.
	RejectZeroTuple bool
	// Now is the clock of timestamps and key expiry; default time.Now.
	Now func() time.Time
}

// DefaultKey is the key of a server that was given none.
var DefaultKey = Key{ID: "LTAI5tStandInKeyOnly", Secret: "stand-in-secret"}

// withDefaults fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	if len(o.Keys) == 0 {
		o.Keys = []Key{DefaultKey}
	}
	orElse(&o.Region, "cn-hangzhou")
	orElse(&o.Addr, "127.0.0.1:0")
	orElse(&o.TLSAddr, "127.0.0.1:0")
	orElse(&o.Timing.Job, 20*time.Millisecond)
	orElse(&o.Timing.Lag, 5*time.Millisecond)
	orElse(&o.Timing.Probe, 50*time.Millisecond)
	orElse(&o.Timing.ProbeTimeout, time.Second)
	orElse(&o.Timing.DNS, 20*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, addr := range []string{o.Addr, o.TLSAddr} {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return o, fmt.Errorf("address %q: %w", addr, err)
		}
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return o, fmt.Errorf("address %q: not a loopback address", addr)
		}
	}
	return o, nil
}

func orElse[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
