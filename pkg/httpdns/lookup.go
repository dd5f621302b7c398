package httpdns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Event is what is to be logged of one look-up: who answered, with which
// addresses, which of them was used, and for whom.
type Event struct {
	Name string
	// Service and ServiceIP are those of the cluster that answered, also when
	// the answer was kept since; empty for the local DNS.
	Service   string
	ServiceIP netip.Addr
	IPs       []netip.Addr // returned
	// Used is the address that DialContext connected to. A Lookup leaves the
	// choice to its caller: it is zero then.
	Used     netip.Addr
	ClientIP netip.Addr
	Source   Source
	TTL      time.Duration
	Took     time.Duration
	Err      error
}

// Lookup returns the addresses of names, by the names as they are given.
// Several names are asked for in one request. Names that nobody knows are
// missing in the answer and in the error, which joins a *NameError for each.
func (c *Client) Lookup(ctx context.Context, names ...string) (map[string]Answer, error) {
	start := time.Now()
	answers := map[string]Answer{}
	spelled := map[string][]string{} // by what is asked for
	var errs []error
	var ask []string
	for _, name := range names {
		if a, ok := literal(name); ok {
			answers[name] = a
			continue
		}
		host, err := hostname(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if spelled[host] == nil {
			ask = append(ask, host)
		}
		if !slices.Contains(spelled[host], name) {
			spelled[host] = append(spelled[host], name)
		}
	}
	found, failed := c.get(ctx, ask)
	for _, host := range ask {
		a, err := found[host], failed[host]
		c.tell(event(host, a, start, err))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range spelled[host] {
			answers[name] = a
		}
	}
	return answers, errors.Join(errs...)
}

// lookup is Lookup of one name, untold.
func (c *Client) lookup(ctx context.Context, name string) (Answer, error) {
	if a, ok := literal(name); ok {
		return a, nil
	}
	host, err := hostname(name)
	if err != nil {
		return Answer{}, err
	}
	found, failed := c.get(ctx, []string{host})
	if err := failed[host]; err != nil {
		return Answer{Name: host}, err
	}
	return found[host], nil
}

func event(name string, a Answer, start time.Time, err error) Event {
	return Event{
		Name: name, Service: a.Service, ServiceIP: a.ServiceIP, IPs: slices.Clone(a.IPs), ClientIP: a.ClientIP,
		Source: a.Source, TTL: a.TTL, Took: time.Since(start), Err: err,
	}
}

// tell hands an event out.
func (c *Client) tell(e Event) {
	if c.o.OnLookup != nil {
		c.o.OnLookup(e)
	}
	attrs := []any{
		slog.String("name", e.Name), slog.String("source", string(e.Source)), slog.String("service_ip", text(e.ServiceIP)),
		slog.String("ips", fmt.Sprint(e.IPs)), slog.String("used_ip", text(e.Used)), slog.String("client_ip", text(e.ClientIP)),
		slog.Duration("ttl", e.TTL), slog.Duration("took", e.Took),
	}
	if e.Err != nil {
		c.o.Log.Warn("httpdns look-up failed", append(attrs, slog.Any("error", e.Err))...)
		return
	}
	c.o.Log.Info("httpdns look-up", attrs...)
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}
