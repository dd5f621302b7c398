package httpdns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// MaxBody is how much of an answer is read, in bytes. A longer one is not used.
const MaxBody = 64 << 10

// singles is how many names are asked for one by one at a time.
const singles = 4

// reply is what one request brought.
type reply struct {
	found           map[string]record
	service, client netip.Addr
	asked           time.Time
	// heard: the service answered, though maybe with nothing that can be used.
	heard bool
}

// askAll asks one cluster for names. It returns the answers and why the other
// names have none.
func (c *Client) askAll(ctx context.Context, cl *cluster, names []string) (map[string]Answer, map[string]error) {
	found, why := map[string]Answer{}, map[string]error{}
	alone := names
	if !c.o.Plain && len(names) > 1 {
		alone = nil
		for chunk := range slices.Chunk(names, c.o.Batch) {
			alone = append(alone, c.askBatch(ctx, cl, chunk, found, why)...)
		}
	}
	c.askEach(ctx, cl, alone, found, why)
	return found, why
}

// askBatch asks for several names at once and returns those to ask for singly:
// how many names a service answers at once is its own affair.
func (c *Client) askBatch(ctx context.Context, cl *cluster, names []string, found map[string]Answer, why map[string]error) []string {
	if len(names) == 1 {
		return names
	}
	r, err := c.ask(ctx, cl, names)
	if !r.heard {
		for _, name := range names {
			why[name] = err
		}
		return nil
	}
	var missing []string
	for _, name := range names {
		if rec, ok := r.found[name]; ok {
			found[name] = c.answer(cl, name, rec, r)
			continue
		}
		missing = append(missing, name)
	}
	return missing
}

// askEach asks for names one by one, a few at a time.
func (c *Client) askEach(ctx context.Context, cl *cluster, names []string, found map[string]Answer, why map[string]error) {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		slots = make(chan struct{}, singles)
	)
	for _, name := range names {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, err := c.ask(ctx, cl, []string{name})
			mu.Lock()
			defer mu.Unlock()
			if rec, ok := r.found[name]; ok {
				found[name] = c.answer(cl, name, rec, r)
				return
			}
			if err == nil {
				err = errNoAddress
			}
			why[name] = err
		})
	}
	wg.Wait()
}

func (c *Client) answer(cl *cluster, name string, rec record, r reply) Answer {
	a := Answer{
		Name: name, IPs: rec.ips, TTL: rec.ttl, Source: FromCluster, Service: cl.url.String(),
		ServiceIP: r.service, ClientIP: c.o.ClientIP, Fetched: r.asked,
	}
	if !a.ClientIP.IsValid() {
		a.ClientIP = r.client
	}
	return a
}

// ask makes one request.
func (c *Client) ask(ctx context.Context, cl *cluster, names []string) (reply, error) {
	r := reply{asked: time.Now()}
	timed, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	timed = httptrace.WithClientTrace(timed, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		r.service, r.client = addressOf(i.Conn.RemoteAddr()), addressOf(i.Conn.LocalAddr())
	}})
	target := cl.url
	target.RawQuery = c.query(names)
	req, err := http.NewRequestWithContext(timed, http.MethodGet, target.String(), nil)
	if err != nil {
		return r, err
	}
	resp, err := cl.client.Do(req)
	if err != nil {
		return r, c.unanswered(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	switch {
	case err != nil:
		return r, c.unanswered(ctx, err)
	case resp.StatusCode != http.StatusOK:
		return r, fmt.Errorf("status %d", resp.StatusCode)
	case len(body) > MaxBody:
		return r, fmt.Errorf("the answer is longer than %d KiB", MaxBody>>10)
	}
	r.heard = true
	if !c.o.Plain {
		r.found, err = parseJSON(body)
		return r, err
	}
	rec, err := parsePlain(body)
	if err == nil {
		r.found = map[string]record{names[0]: rec}
	}
	return r, err
}

// query has its parameters in the order of the service's document. Names need
// no escapes; see hostname.
func (c *Client) query(names []string) string {
	separator := "%3B"
	if c.o.RawSemicolon {
		separator = ";"
	}
	q := "ws_domain=" + strings.Join(names, separator)
	if !c.o.Plain {
		q += "&ws_ret_type=json"
	}
	if c.o.ClientIP.IsValid() {
		q += "&ws_cli_IP=" + url.QueryEscape(c.o.ClientIP.String())
	}
	return q
}

func (c *Client) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", c.o.Timeout)
	}
	return err
}

func addressOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
