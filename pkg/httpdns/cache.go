package httpdns

import (
	"context"
	"time"
)

// entry is an answer that is kept.
type entry struct {
	answer Answer
	asked  bool // somebody wanted it since it was fetched
	timer  *time.Timer
}

// call is a name that is being asked for. Everybody who wants it waits for the
// same one.
type call struct {
	done chan struct{}
	// Valid once done is closed.
	answer Answer
	err    error
	// again: it ended without a verdict for those who wait, and they have to
	// ask anew. The network changed, or a refresh that spares the local DNS
	// failed when the old answer was over.
	again bool
}

// get returns what is known of names, asking where nothing is.
func (c *Client) get(ctx context.Context, names []string) (map[string]Answer, map[string]error) {
	found, failed := map[string]Answer{}, map[string]error{}
	if c.o.NoCache {
		c.getFresh(ctx, names, found, failed)
		return found, failed
	}
	for len(names) > 0 {
		waits := c.join(names, found, failed)
		names = nil
		for name, k := range waits {
			select {
			case <-k.done:
			case <-ctx.Done():
				failed[name] = context.Cause(ctx)
				continue
			}
			switch {
			case k.again:
				names = append(names, name)
			case k.err != nil:
				failed[name] = k.err
			default:
				found[name] = k.answer
			}
		}
	}
	return found, failed
}

// getFresh asks for all names on behalf of one caller.
func (c *Client) getFresh(ctx context.Context, names []string, found map[string]Answer, failed map[string]error) {
	c.mu.Lock()
	if c.closed {
		for _, name := range names {
			failed[name] = ErrClosed
		}
		c.mu.Unlock()
		return
	}
	c.work.Add(1)
	c.mu.Unlock()
	defer c.work.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.root, cancel)()
	results := make(chan call, len(names))
	c.fetch(ctx, names, !c.o.NoLocal, func(name string, a Answer, err error) {
		a.Name = name
		results <- call{answer: a, err: err}
	})
	for range names {
		if k := <-results; k.err != nil {
			failed[k.answer.Name] = k.err
		} else {
			found[k.answer.Name] = k.answer
		}
	}
}

// join takes what is kept from the cache and returns the calls for the rest,
// starting those that nobody has started.
func (c *Client) join(names []string, found map[string]Answer, failed map[string]error) map[string]*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	waits := map[string]*call{}
	var missing []string
	for _, name := range names {
		if c.closed {
			failed[name] = ErrClosed
			continue
		}
		if e := c.cache[name]; e != nil && time.Now().Before(e.answer.Expires()) {
			e.asked = true
			a := e.answer
			a.Source = FromCache
			found[name] = a
			continue
		}
		k := c.calls[name]
		if k == nil {
			k = &call{done: make(chan struct{})}
			c.calls[name] = k
			missing = append(missing, name)
		}
		waits[name] = k
	}
	c.start(missing, false)
	return waits
}

// start asks for names whose calls were just made. c.mu is held.
func (c *Client) start(names []string, refresh bool) {
	if len(names) == 0 {
		return
	}
	calls := map[string]*call{}
	for _, name := range names {
		calls[name] = c.calls[name]
	}
	network := c.network
	c.work.Go(func() {
		c.fetch(network, names, !refresh && !c.o.NoLocal, func(name string, a Answer, err error) {
			c.settle(network, name, calls[name], refresh, a, err)
		})
	})
}

// settle ends a call.
func (c *Client) settle(network context.Context, name string, k *call, refresh bool, a Answer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[name] == k {
		delete(c.calls, name)
	}
	k.answer, k.err = a, err
	switch {
	case c.closed:
		k.err = ErrClosed
	case network.Err() != nil:
		k.again = true
	case err != nil:
		k.again = refresh
	default:
		c.keep(name, a, !refresh)
	}
	close(k.done)
}

// keep puts an answer into the cache. c.mu is held.
func (c *Client) keep(name string, a Answer, asked bool) {
	if old := c.cache[name]; old != nil {
		old.timer.Stop()
		delete(c.cache, name)
	}
	left := time.Until(a.Expires())
	if left <= 0 {
		return
	}
	e := &entry{answer: a, asked: asked}
	e.timer = time.AfterFunc(left-time.Duration(float64(a.TTL)*(1-c.o.RefreshAt)), func() { c.due(name, e) })
	c.cache[name] = e
}

// retryRefresh is the shortest time between two tries to refresh a name.
const retryRefresh = time.Second

// due asks again for a name that is in use while its answer still holds, and
// drops one that nobody uses or that is over.
func (c *Client) due(name string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.cache[name] != e {
		return
	}
	left := time.Until(e.answer.Expires())
	switch {
	case left <= 0:
		delete(c.cache, name)
		return
	case !e.asked:
		e.timer.Reset(left)
		return
	case c.calls[name] == nil:
		c.calls[name] = &call{done: make(chan struct{})}
		c.start([]string{name}, true)
	}
	// When this refresh fails, there is time for others until the answer is over.
	e.timer.Reset(min(left, max(left/2, retryRefresh)))
}

// forget drops a name's answer: none of its addresses can be reached.
func (c *Client) forget(name string, a Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.cache[name]; e != nil && e.answer.Fetched.Equal(a.Fetched) {
		e.timer.Stop()
		delete(c.cache, name)
	}
}
