package dnslab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config is a client that looks a name up before every request and fetches a
// page from an address of the answer, on a connection of its own.
type Config struct {
	Resolver string // host:port of who is asked
	Name     string // in full: www.example.com
	Port     int    // of the servers
	// Failover tries every address of an answer, in any order. Without it one is
	// picked, and that is that.
	Failover bool
	Every    time.Duration // between two requests
}

// Result is what a client has seen.
type Result struct {
	Requests, Failed int
	Servers          map[string]int // answers by server
	First            string         // the first failure, and when it was
}

func (r Result) String() string {
	text := fmt.Sprintf("requests %4d  failed %3d", r.Requests, r.Failed)
	if r.First != "" {
		text += "  first: " + r.First
	}
	return text
}

// Client is a client at work.
type Client struct {
	cfg      Config
	resolver *net.Resolver
	http     *http.Client
	began    time.Time
	cancel   context.CancelFunc
	ended    chan struct{}

	mu   sync.Mutex
	seen Result
}

// Go starts a client. It works until Stop.
func Go(ctx context.Context, cfg Config) *Client {
	ctx, cancel := context.WithCancel(ctx)
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	c := &Client{
		cfg: cfg, began: time.Now(), cancel: cancel, ended: make(chan struct{}),
		resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, cfg.Resolver)
		}},
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}},
		seen: Result{Servers: map[string]int{}},
	}
	go func() {
		defer close(c.ended)
		tick := time.NewTicker(cfg.Every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.once(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// Stop ends the client after its last request, and returns what it
// has seen. A second time is harmless.
func (c *Client) Stop() Result {
	c.cancel()
	<-c.ended
	return c.Now()
}

// Now is what it has seen so far.
func (c *Client) Now() Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.seen
	r.Servers = maps.Clone(r.Servers)
	return r
}

// once makes one request, which Stop does not interrupt.
func (c *Client) once(ctx context.Context) {
	server, err := c.request(context.WithoutCancel(ctx))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Requests++
	if err == nil {
		c.seen.Servers[server]++
		return
	}
	c.seen.Failed++
	if c.seen.First == "" {
		c.seen.First = fmt.Sprintf("at %.1fs: %v", time.Since(c.began).Seconds(), err)
	}
}

func (c *Client) request(ctx context.Context) (server string, err error) {
	addrs, err := c.resolver.LookupNetIP(ctx, "ip4", c.cfg.Name+".")
	if err != nil {
		return "", err
	}
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	if !c.cfg.Failover {
		addrs = addrs[:1]
	}
	var failed []error
	for _, a := range addrs {
		server, err := c.get(ctx, a)
		if err == nil {
			return server, nil
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

func (c *Client) get(ctx context.Context, a netip.Addr) (server string, err error) {
	addr := net.JoinHostPort(a.Unmap().String(), strconv.Itoa(c.cfg.Port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", http.NoBody)
	if err != nil {
		return "", err
	}
	req.Host = c.cfg.Name
	res, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", errors.New(res.Status)
	}
	return strings.TrimSpace(string(body)), nil
}
