package traffic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Registry makes an app a gateway: it asks the instances of a service for every answer. It uses a list of them until
// Cache is over, as consumers do, and never asks a second one when the first fails.
type Registry struct {
	// URL is "http://host:port" of a Nacos server, Service the service's name.
	URL, Service string
	// Cache is how long a list is used.
	Cache time.Duration
}

// forwarder is the gateway's side of a Registry.
type forwarder struct {
	registry Registry
	client   *http.Client
	next     atomic.Uint64
	stop     chan struct{}
	done     sync.WaitGroup

	mu   sync.Mutex
	list []string
}

func newForwarder(r Registry) (*forwarder, error) {
	f := &forwarder{registry: r, stop: make(chan struct{}), client: &http.Client{
		// A connection for each request: a transport repeats what it sent on a kept one.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext},
	}}
	if err := f.fetch(); err != nil {
		return nil, err
	}
	f.done.Go(func() {
		tick := time.NewTicker(max(r.Cache, 10*time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-f.stop:
				return
			case <-tick.C:
				_ = f.fetch() // it goes on with the list that it has
			}
		}
	})
	return f, nil
}

func (f *forwarder) close() {
	close(f.stop)
	f.done.Wait()
}

func (f *forwarder) fetch() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	address := f.registry.URL + "/nacos/v1/ns/instance/list?serviceName=" + url.QueryEscape("DEFAULT_GROUP@@"+f.registry.Service)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return fmt.Errorf("instances of %s: %w", f.registry.Service, err)
	}
	defer resp.Body.Close()
	var answer struct {
		Hosts []struct {
			IP               string
			Port             int
			Healthy, Enabled bool
			Weight           float64
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("instances of %s: %s: %w", f.registry.Service, resp.Status, err)
	}
	var list []string
	for _, h := range answer.Hosts {
		if h.Healthy && h.Enabled && h.Weight > 0 {
			list = append(list, net.JoinHostPort(h.IP, strconv.Itoa(h.Port)))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = list
	return nil
}

// pick is the next instance in turn.
func (f *forwarder) pick() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.list) == 0 {
		return "", errors.New("no instance of " + f.registry.Service)
	}
	return f.list[f.next.Add(1)%uint64(len(f.list))], nil
}

// ServeHTTP answers with what an instance answers, or 502.
func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	instance, err := f.pick()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	req := r.Clone(r.Context())
	req.URL.Scheme, req.URL.Host, req.RequestURI, req.Close = "http", instance, "", true
	resp, err := f.client.Do(req)
	if err != nil {
		http.Error(w, instance+": "+err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("X-Service", resp.Header.Get("X-Srv")+" "+resp.Header.Get("X-Version"))
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		http.Error(w, instance+": "+err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(body) // the client that is gone counts itself
}
