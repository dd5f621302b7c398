package httpdns

import (
	"context"
	"maps"
	"slices"
	"time"
)

// NetworkChanged drops everything that is kept and asks again for the names
// that are in use: the nearest nodes are others now. Look-ups that are under
// way start over. Applications call it when their system tells them; see also
// Options.WatchNetwork.
func (c *Client) NetworkChanged() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.left()
	c.network, c.left = context.WithCancel(c.root)
	clear(c.calls) // they end by themselves and send their callers here again
	var names []string
	for name, e := range c.cache {
		e.timer.Stop()
		if e.asked {
			names = append(names, name)
			c.calls[name] = &call{done: make(chan struct{})}
		}
	}
	clear(c.cache)
	slices.Sort(names)
	c.start(names, false)
	c.mu.Unlock()
	for _, cl := range c.clusters {
		cl.client.CloseIdleConnections()
	}
	c.o.Log.Info("httpdns starts over: the network changed", "names", names)
}

// watchNetwork compares the addresses of the interfaces until Close.
func (c *Client) watchNetwork() {
	tick := time.NewTicker(c.o.WatchNetwork)
	defer tick.Stop()
	before, known := c.addresses()
	for {
		select {
		case <-c.root.Done():
			return
		case <-tick.C:
		}
		now, ok := c.addresses()
		if !ok {
			continue
		}
		if known && !maps.Equal(before, now) {
			c.NetworkChanged()
		}
		before, known = now, true
	}
}

func (c *Client) addresses() (map[string]bool, bool) {
	list, err := c.o.Addresses()
	if err != nil {
		c.o.Log.Warn("httpdns cannot list the addresses of this machine", "error", err)
		return nil, false
	}
	set := map[string]bool{}
	for _, a := range list {
		set[a.String()] = true
	}
	return set, true
}
