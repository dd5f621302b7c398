package httpdns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// DialContext connects to a host whose addresses come from HTTPDNS, trying all
// of them in the order of the answer. It is made for http.Transport:
//
//	&http.Transport{DialContext: client.DialContext}
//
// The Host header and the name in TLS stay those of the URL. An answer of which
// no address can be reached is not used again. An address instead of a name is
// connected to directly.
func (c *Client) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	start := time.Now()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("httpdns: %w", err)
	}
	a, err := c.lookup(ctx, host)
	if err != nil {
		c.tell(event(host, a, start, err))
		return nil, err
	}
	ips := ofNetwork(network, a.IPs)
	if len(ips) == 0 {
		err := fmt.Errorf("httpdns: %s has no address for %s, only %v", host, network, a.IPs)
		c.tell(event(host, a, start, err))
		return nil, err
	}
	conn, used, err := c.tryAll(ctx, network, ips, port)
	e := event(host, a, start, err)
	e.Used = used
	c.tell(e)
	if err != nil && ctx.Err() == nil {
		c.forget(a.Name, a)
	}
	return conn, err
}

// tryAll connects to the first address that accepts.
func (c *Client) tryAll(ctx context.Context, network string, ips []netip.Addr, port string) (net.Conn, netip.Addr, error) {
	var errs []error
	for i, ip := range ips {
		conn, err := c.try(ctx, network, net.JoinHostPort(ip.String(), port), len(ips)-i)
		if err == nil {
			return conn, ip, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, netip.Addr{}, errors.Join(errs...)
}

// try gives one of several addresses its share of the time that is left.
func (c *Client) try(ctx context.Context, network, address string, left int) (net.Conn, error) {
	limit := c.o.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/time.Duration(left))
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.o.Dial(timed, network, address)
}

// ofNetwork keeps the addresses that a network can reach.
func ofNetwork(network string, ips []netip.Addr) []netip.Addr {
	var fit []netip.Addr
	for _, ip := range ips {
		if network == "tcp4" && !ip.Is4() || network == "tcp6" && !ip.Is6() {
			continue
		}
		fit = append(fit, ip)
	}
	return fit
}
