package httpdns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// fetch asks the clusters in order, then, with local, the local DNS. settle
// hears of each name once, as soon as it is known; calls may overlap.
func (c *Client) fetch(ctx context.Context, names []string, local bool, settle func(name string, a Answer, err error)) {
	failed := map[string][]error{}
	for _, cl := range c.clusters {
		if len(names) == 0 {
			return
		}
		found, why := c.askAll(ctx, cl, names)
		var left []string
		for _, name := range names {
			if a, ok := found[name]; ok {
				settle(name, a, nil)
				continue
			}
			left = append(left, name)
			failed[name] = append(failed[name], fmt.Errorf("%s: %w", cl.url.Host, why[name]))
			if ctx.Err() == nil {
				c.o.Log.Warn("httpdns cluster did not help", "name", name, "service", cl.url.String(), "error", why[name])
			}
		}
		names = left
	}
	var wg sync.WaitGroup
	for _, name := range names {
		if !local {
			settle(name, Answer{}, c.lost(name, failed[name]))
			continue
		}
		wg.Go(func() {
			a, err := c.askLocal(ctx, name)
			if err != nil {
				err = c.lost(name, append(failed[name], fmt.Errorf("local DNS: %w", err)))
			}
			settle(name, a, err)
		})
	}
	wg.Wait()
}

// askLocal asks the machine's resolver.
func (c *Client) askLocal(ctx context.Context, name string) (Answer, error) {
	a := Answer{Name: name, TTL: c.o.LocalTTL, Source: FromLocal, Fetched: time.Now()}
	timed, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	ips, err := c.o.Local(timed, name)
	switch {
	case err != nil && timed.Err() != nil && ctx.Err() == nil:
		return a, fmt.Errorf("no answer within %s", c.o.Timeout)
	case err != nil:
		return a, err
	}
	for _, ip := range ips {
		a.IPs = append(a.IPs, ip.Unmap())
	}
	if len(a.IPs) == 0 {
		return a, errors.New("no address")
	}
	return a, nil
}

// lost is the error of a name that nobody knows.
func (c *Client) lost(name string, why []error) error {
	texts := make([]string, len(why))
	for i, err := range why {
		texts[i] = err.Error()
	}
	err := &NameError{Name: name, Why: why, text: fmt.Sprintf("httpdns: look up %s: %s", name, strings.Join(texts, "; "))}
	return hint.Wrap(err, "see that the name is enabled at the HTTPDNS service and that its addresses can be reached")
}

// NameError: nobody gave a usable answer for a name.
type NameError struct {
	Name string
	Why  []error // of each cluster in turn, then of the local DNS
	text string
}

func (e *NameError) Error() string   { return e.text }
func (e *NameError) Unwrap() []error { return e.Why }

// hostname checks a name and brings it into the form that is compared.
func hostname(name string) (string, error) {
	bad := func(what string) (string, error) {
		return "", fmt.Errorf("httpdns: %.80q %s", name, what)
	}
	low := canonical(name)
	if low == "" || len(low) > 253 {
		return bad("is not a host name")
	}
	for label := range strings.SplitSeq(low, ".") {
		if label == "" || len(label) > 63 {
			return bad("is not a host name")
		}
		for _, r := range label {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			case r > 0x7f:
				return "", hint.Wrap(fmt.Errorf("httpdns: %.80q is not ASCII", name), "write the name in its xn-- form")
			default:
				return bad("holds a character that no host name has")
			}
		}
	}
	return low, nil
}

// literal is the answer for a name that is an address.
func literal(name string) (Answer, bool) {
	ip, err := netip.ParseAddr(strings.Trim(name, "[]"))
	if err != nil {
		return Answer{}, false
	}
	return Answer{Name: name, IPs: []netip.Addr{ip}, Source: FromLiteral, Fetched: time.Now()}, true
}
