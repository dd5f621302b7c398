// Package httpdns looks names up over HTTP, past the resolvers on the way: a
// client of the HTTPDNS services of content delivery networks, for
// applications and for flip's own gates.
//
// A Client asks its clusters in order of preference, then the local DNS, five
// seconds each. It keeps answers for their TTL, asks again at 75 % of it while
// the old answer is still served, and starts over when the network changes.
// Client.DialContext puts it below an http.Transport: the connection goes to an
// address from HTTPDNS, Host and the name in TLS stay those of the URL.
//
// The protocol is the one of Wangsu's client document: GET
// /v1/httpdns/clouddns?ws_domain=NAME&ws_ret_type=json&ws_cli_IP=ADDRESS. A
// connection over IPv4 is answered with IPv4 addresses, one over IPv6 with
// IPv6 addresses.
package httpdns

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Values of Options that say nothing.
const (
	DefaultTimeout  = 5 * time.Second
	DefaultRefresh  = 0.75
	DefaultLocalTTL = 30 * time.Second
	DefaultBatch    = 10
)

// ErrClosed: the client was closed.
var ErrClosed = errors.New("httpdns: the client is closed")

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Options configure a Client. Clusters is required, the rest has defaults.
type Options struct {
	// Clusters are asked in this order, each only when the ones before it gave
	// no usable answer.
	Clusters []Cluster
	// Timeout bounds one try: at a cluster, at the local DNS, and of one
	// connection in DialContext. 5 s when zero.
	Timeout time.Duration

	// Local is asked when no cluster helps; nil is the machine's resolver.
	Local func(ctx context.Context, name string) ([]netip.Addr, error)
	// NoLocal makes it an error when no cluster helps.
	NoLocal bool
	// LocalTTL is how long a local answer, which has no TTL, is kept before the
	// clusters are asked again. 30 s when zero.
	LocalTTL time.Duration

	// ClientIP is sent as ws_cli_IP: answer as for a client with that address.
	// Without it the service takes the address that it sees.
	ClientIP netip.Addr
	// Plain asks for lines "IP TTL" instead of JSON. They do not tell which
	// name they belong to, so every name is asked for by itself.
	Plain bool
	// RawSemicolon sends the ';' between names as it is, not as %3B.
	RawSemicolon bool
	// Batch is how many names one request holds at most. 10 when zero.
	Batch int

	// RefreshAt is the part of the TTL after which an answer that is in use is
	// asked for again. 0.75 when zero.
	RefreshAt float64
	// NoCache keeps nothing: every look-up asks.
	NoCache bool

	// WatchNetwork is how often the addresses of the machine's interfaces are
	// compared; a difference is a NetworkChanged. 0: never.
	WatchNetwork time.Duration
	// Addresses lists them; nil is net.InterfaceAddrs.
	Addresses func() ([]net.Addr, error)

	// Dial opens every connection; nil is a net.Dialer. No proxy is ever used:
	// the service would see the proxy's address.
	Dial DialFunc

	// OnLookup hears of every look-up and every connection. Calls may overlap.
	OnLookup func(Event)
	// Log gets the same at level info, and clusters that failed at level warn;
	// nil logs nothing.
	Log *slog.Logger
}

// Source says where an answer came from.
type Source string

// The sources of answers.
const (
	FromCluster Source = "cluster"
	FromCache   Source = "cache"
	FromLocal   Source = "local"
	FromLiteral Source = "literal" // the name was an address
)

// Answer is what is known of one name.
type Answer struct {
	Name string // lower case, without a final dot
	// IPs in the order of the service; at least one.
	IPs []netip.Addr
	// TTL as it was given; of a local answer Options.LocalTTL. 0: not kept.
	TTL    time.Duration
	Source Source
	// Service is the URL of the cluster that answered, ServiceIP the address
	// that was connected to; empty for a local answer.
	Service   string
	ServiceIP netip.Addr
	// ClientIP is the address that the answer is for: what was sent as
	// ws_cli_IP, else this end of the connection.
	ClientIP netip.Addr
	Fetched  time.Time // when it was asked for
}

// Expires is when the answer must not be used any more.
func (a Answer) Expires() time.Time { return a.Fetched.Add(a.TTL) }

// Client looks names up. It is safe for concurrent use; Close it.
type Client struct {
	o        Options
	clusters []*cluster

	// work is for goroutines; it ends with Close.
	work sync.WaitGroup
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	root   context.Context
	// network ends when the network changes: what was asked in the old one is
	// not waited for.
	network context.Context
	left    context.CancelFunc
	cache   map[string]*entry
	calls   map[string]*call
}

// New returns a client. Nothing is asked yet.
func New(o Options) (*Client, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.LocalTTL = cmp.Or(o.LocalTTL, DefaultLocalTTL)
	o.Batch = cmp.Or(o.Batch, DefaultBatch)
	o.RefreshAt = cmp.Or(o.RefreshAt, DefaultRefresh)
	o.Clusters = slices.Clone(o.Clusters)
	o.ClientIP = o.ClientIP.Unmap()
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Local == nil {
		o.Local = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if o.Addresses == nil {
		o.Addresses = net.InterfaceAddrs
	}
	c := &Client{o: o, cache: map[string]*entry{}, calls: map[string]*call{}}
	for _, spec := range o.Clusters {
		cl, err := newCluster(spec, o.Dial)
		if err != nil {
			return nil, err
		}
		c.clusters = append(c.clusters, cl)
	}
	c.root, c.stop = context.WithCancel(context.Background())
	c.network, c.left = context.WithCancel(c.root)
	if o.WatchNetwork > 0 {
		c.work.Go(c.watchNetwork)
	}
	return c, nil
}

func (o Options) validate() error {
	switch {
	case len(o.Clusters) == 0:
		return hint.Wrap(errors.New("httpdns: no cluster"), "name at least one service address")
	case o.Timeout < 0, o.LocalTTL < 0, o.WatchNetwork < 0:
		return errors.New("httpdns: timeouts and intervals cannot be negative")
	case o.Batch < 0:
		return errors.New("httpdns: the batch cannot be negative")
	case o.RefreshAt < 0 || o.RefreshAt > 1:
		return hint.Wrap(errors.New("httpdns: RefreshAt is not between 0 and 1"), "0.75 is 75 %% of the TTL")
	}
	return nil
}

// Close ends everything that the client does by itself and the look-ups that
// are under way. It waits for them.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, e := range c.cache {
		e.timer.Stop()
	}
	clear(c.cache)
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
	for _, cl := range c.clusters {
		cl.client.CloseIdleConnections()
	}
	return nil
}
