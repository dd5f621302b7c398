package slbtest

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// The states of a check.
const (
	initial   = iota // not enough checks yet
	healthy          // serves
	unhealthy        // fails
	unchecked        // checks are off: serves
)

// health is what the checks know of a member behind a listener (CLB) or in a
// group (ALB, NLB).
type health struct {
	probe  probeTarget
	state  int
	run    int // equal results in a row
	last   bool
	parked bool // ALB: its weight is 0, it only finishes
}

type probeTarget struct{ address, path string }

func (h *health) up() bool { return h != nil && (h.state == healthy || h.state == unchecked) }

// saw counts a result and says whether the state changed. The first look at a
// member that is seeded decides at once.
func (h *health) saw(ok, decides bool, c Check) bool {
	if ok != h.last {
		h.run = 0
	}
	h.last = ok
	h.run++
	was, rise, fall := h.state, max(c.Healthy, 1), max(c.Unhealthy, 1)
	if c.Healthy == 0 {
		rise = 2
	}
	if c.Unhealthy == 0 {
		fall = 2
	}
	switch {
	case ok && (h.run >= rise || decides):
		h.state = healthy
	case !ok && (h.run >= fall || decides):
		h.state = unhealthy
	}
	return h.state != was
}

// checked is a member that there is, with the check that it has.
type checked struct {
	Check
	target probeTarget
	weight int
	alb    bool
}

// reconcile needs mu. It starts checks for who has come and ends them for who
// is gone from the API and from traffic.
func (s *Server) reconcile() {
	want := s.wanted()
	effective := s.effective()
	for key := range s.health {
		if _, ok := want[key]; !ok {
			delete(s.health, key)
		}
	}
	for key, w := range want {
		h := s.health[key]
		parked := w.alb && w.weight == 0
		switch {
		case parked && effective[key] == 0:
			delete(s.health, key) // an ALB does not check who has no weight
			continue
		case h == nil, h.parked && !parked, h.probe != w.target:
			h = &health{probe: w.target}
			s.health[key] = h
		}
		h.parked = parked
		if w.Off {
			h.state = unchecked
		} else if h.state == unchecked {
			h.state = initial
		}
	}
}

// wanted needs mu. The key is healthKey.
func (s *Server) wanted() map[string]checked {
	want := map[string]checked{}
	add := func(scope, group string, members []Member, port int, c Check, alb bool) {
		for _, m := range members {
			want[healthKey(scope, memberID(group, m))] = checked{c, probeTarget{m.address(port), c.Path}, m.Weight, alb}
		}
	}
	for _, lb := range s.estate.CLB {
		for _, l := range lb.Listeners {
			for _, g := range lb.behind(l) {
				add(clbListenerID(lb.ID, l), g.ID, g.Members, l.BackendPort, l.Check, false)
			}
		}
	}
	for _, g := range s.estate.ALBGroups {
		add("", g.ID, g.Members, 0, g.Check, true)
	}
	for _, g := range s.estate.NLBGroups {
		add("", g.ID, g.Members, 0, g.Check, false)
	}
	return want
}

func memberID(group string, m Member) string { return group + "/" + m.Key() }

// healthKey has a scope for CLB only, whose listeners check.
func healthKey(scope, member string) string { return scope + "|" + member }

// probeLoop checks until Close.
func (s *Server) probeLoop() {
	t := time.NewTimer(s.o.Timing.Probe)
	defer t.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-t.C:
		}
		s.probe(false)
		t.Reset(s.o.Timing.Probe)
	}
}

// probe does one round. In the first one of a member each result decides.
func (s *Server) probe(first bool) {
	s.mu.Lock()
	s.reconcile()
	results := map[probeTarget]bool{}
	for _, h := range s.health {
		if h.state != unchecked {
			results[h.probe] = false
		}
	}
	s.mu.Unlock()
	s.ask(results)
	s.mu.Lock()
	defer s.mu.Unlock()
	want, moved := s.wanted(), false
	for key, h := range s.health {
		ok, asked := results[h.probe]
		if w, still := want[key]; asked && still && h.state != unchecked {
			moved = h.saw(ok, first && h.run == 0, w.Check) || moved
		}
	}
	if moved {
		s.nudge()
	}
}

// ask fills in the results, a few at a time.
func (s *Server) ask(results map[probeTarget]bool) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var asking, watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	slots := make(chan struct{}, 16)
	targets := make([]probeTarget, 0, len(results))
	for t := range results {
		targets = append(targets, t)
	}
	for _, t := range targets {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			ok := s.askOne(ctx, t)
			mu.Lock()
			defer mu.Unlock()
			results[t] = ok
		})
	}
	asking.Wait()
}

// askOne connects, and with a path gets a page.
func (s *Server) askOne(ctx context.Context, t probeTarget) bool {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timing.ProbeTimeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return false
	}
	defer c.Close()
	if t.path == "" {
		return true
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.address+t.path, nil)
	if err != nil {
		return false
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode >= 200 && answer.StatusCode < 400
}
