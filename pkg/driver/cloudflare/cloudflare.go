// Package cloudflare sets record sets of a zone at Cloudflare.
//
// The API knows records by id and no compare-and-set. So a change lists the
// name, compares, sends one batch (one transaction there) and lists again. The
// batch is not atomic on its way to the name servers: a set is therefore
// replaced record by record in its place, never by taking all away and adding
// others. A proxied name answers with Cloudflare's own addresses: what is set
// on it cannot be seen by looking it up.
//
// https://developers.cloudflare.com/api/resources/dns/subresources/records/
package cloudflare

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that plans use.
const (
	Name    = "cloudflare"
	Proxied = "proxied"
)

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "record sets of a zone at Cloudflare, proxied ones included",
		Kinds: []driver.Kind{recordset.Kind(driver.Attribute{
			Name: Proxied, Type: driver.TypeBool,
			Doc: "the name answers with Cloudflare's addresses, with a TTL of 300, and the edge takes the traffic to the values; of A, AAAA and CNAME",
		})},
	}
}

// Target is one zone.
type Target struct{ *recordset.Target }

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	zone, err := recordset.ParseZone(cfg.Zone)
	if err != nil {
		return nil, err
	}
	base, err := cfg.base()
	if err != nil {
		return nil, err
	}
	servers, err := recordset.CheckServers(cfg.NameServers)
	if err != nil {
		return nil, err
	}
	transport := env.Transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone() // net/http promises the type
	}
	p := &provider{
		client:  &client{base: base, token: cfg.Token, secrets: env.Secrets, http: doer{&http.Client{Transport: transport, CheckRedirect: stay}}, log: log},
		zone:    zone,
		zoneID:  cfg.ZoneID,
		servers: servers,
		minTTL:  orElse(cfg.MinTTL, minTTL),
		seen:    map[string]extras{},
	}
	rs, err := recordset.New(recordset.Options{
		Driver: Name, Zone: zone, Provider: p, Records: cfg.Records,
		Scopes:  []string{"cloudflare://" + zone},
		Timeout: cfg.Timeout, SettleTimeout: cfg.SettleTimeout, Expect: 5 * time.Second,
		NameServers: p.nameServers, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return &Target{rs}, nil
}

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Apply makes the changes. A set that is created is not proxied unless a
// change says so.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	return t.Target.Apply(ctx, complete(changes))
}

// Check says what Apply would refuse.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	return t.Target.Check(ctx, now, complete(changes))
}

// complete adds what a new set has and no change tells.
func complete(changes []state.Change) []state.Change {
	told := map[string]bool{}
	for _, c := range changes {
		if c.Attribute == Proxied {
			told[c.Object] = true
		}
	}
	var all []state.Change
	for _, c := range changes {
		all = append(all, c)
		created := c.Attribute == recordset.Values && !c.From.Present() && c.To.Present()
		if n, err := recordset.ParseName(c.Object); created && !told[c.Object] && err == nil && settable(n.Type) {
			all = append(all, state.Change{Target: c.Target, Object: c.Object, Attribute: Proxied, To: state.Bool(false)})
		}
	}
	return all
}

// types are what flip sets at Cloudflare: what a move of traffic is about.
var types = []string{"A", "AAAA", "CNAME"}

func settable(typ string) bool { return typ == recordset.Both || slices.Contains(types, typ) }

// String names the record in messages.
func (r record) String() string { return fmt.Sprintf("%s %s %s", r.Name, r.Type, r.Content) }
