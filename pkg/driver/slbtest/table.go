package slbtest

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// changed needs mu. Traffic follows what the estate is now after the lag.
func (s *Server) changed() {
	s.fill(&s.estate)
	s.reconcile()
	next := s.table()
	s.versions++
	version := s.versions
	s.later(s.o.Timing.Lag, func() {
		if version > s.serial {
			s.current, s.serial = next, version
			s.reconcile()
			s.nudge()
		}
	})
}

// nudge wakes planeLoop.
func (s *Server) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// planeLoop applies the current table whenever it or a member's health changed.
func (s *Server) planeLoop() {
	for {
		select {
		case <-s.closed:
			return
		case <-s.wake:
			if err := s.steer(); err != nil {
				s.mu.Lock()
				s.planeErr = errors.Join(s.planeErr, err)
				s.mu.Unlock()
			}
		}
	}
}

// steer applies the current table to the planes, one call at a time.
func (s *Server) steer() error {
	s.steering.Lock()
	defer s.steering.Unlock()
	s.mu.Lock()
	t := s.withHealth(s.current)
	serial := s.serial
	s.mu.Unlock()
	var err error
	for _, p := range s.o.Planes {
		err = errors.Join(err, p.Apply(t))
	}
	s.mu.Lock()
	s.steered = serial
	s.mu.Unlock()
	return err
}

// withHealth needs mu. It copies what it fills in.
func (s *Server) withHealth(t plane.Table) plane.Table {
	t = clone(t)
	for _, l := range t.Listeners {
		for _, r := range l.Routes {
			for _, p := range r.Pools {
				for i := range p.Members {
					p.Members[i].Up = s.health[healthKey(scope(l.ID), p.Members[i].ID)].up()
				}
			}
		}
	}
	return t
}

// scope is the listener's id for a CLB, which has a "/" in it.
func scope(listener string) string {
	if strings.Contains(listener, "/") {
		return listener
	}
	return ""
}

// effective needs mu: the weights in traffic by healthKey.
func (s *Server) effective() map[string]int {
	weights := map[string]int{}
	for _, l := range s.current.Listeners {
		for _, r := range l.Routes {
			for _, p := range r.Pools {
				for _, m := range p.Members {
					key := healthKey(scope(l.ID), m.ID)
					weights[key] = max(weights[key], m.Weight)
				}
			}
		}
	}
	return weights
}

// table needs mu. It is what traffic should be like.
func (s *Server) table() plane.Table {
	var t plane.Table
	for _, lb := range s.estate.CLB {
		for _, l := range lb.Listeners {
			if l.Status == "running" && l.Protocol != "udp" && !l.Forward {
				t.Listeners = append(t.Listeners, s.clbTable(lb, l))
			}
		}
	}
	for _, lb := range s.estate.ALB {
		for _, l := range lb.Listeners {
			if l.Status == "Running" {
				t.Listeners = append(t.Listeners, s.albTable(l))
			}
		}
	}
	for _, lb := range s.estate.NLB {
		for _, l := range lb.Listeners {
			if g := byID(s.estate.NLBGroups, l.Group); g != nil && l.Status == "Running" && l.Protocol != "UDP" {
				pool := poolOf(g.ID, 100, g.Members, 0, g.Drain, strings.EqualFold(g.Scheduler, "rr"))
				t.Listeners = append(t.Listeners, plane.Listener{
					ID: l.ID, Protocol: "tcp", FailOpen: s.o.FailOpenNLB, Routes: []plane.Route{{Pools: []plane.Pool{pool}}},
				})
			}
		}
	}
	return t
}

func (s *Server) clbTable(lb CLB, l CLBListener) plane.Listener {
	protocol := "http"
	if l.Protocol == "tcp" {
		protocol = "tcp"
	}
	pool := func(g Group) []plane.Pool {
		return []plane.Pool{poolOf(g.ID, 100, g.Members, l.BackendPort, l.Drain, l.Scheduler == "rr")}
	}
	table := plane.Listener{ID: clbListenerID(lb.ID, l), Protocol: protocol, FailOpen: s.o.FailOpenCLB}
	for _, r := range l.Rules {
		if g := byID(lb.Groups, r.Group); g != nil {
			table.Routes = append(table.Routes, plane.Route{Host: r.Domain, Path: r.URL + "*", Pools: pool(*g)})
		}
	}
	table.Routes = append(table.Routes, plane.Route{Pools: pool(lb.serving(l))})
	return table
}

func (s *Server) albTable(l ALBListener) plane.Listener {
	table := plane.Listener{ID: l.ID, Protocol: "http", FailOpen: true}
	rules := slices.Clone(l.Rules)
	slices.SortStableFunc(rules, func(a, b ALBRule) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range rules {
		table.Routes = append(table.Routes, s.albRoutes(r)...)
	}
	table.Routes = append(table.Routes, plane.Route{Pools: s.albPools([]Tuple{To(l.Group, 100)})})
	return table
}

// albRoutes are one per pair of a host and a path.
func (s *Server) albRoutes(r ALBRule) []plane.Route {
	hosts, paths := []string{""}, []string{""}
	for _, c := range r.Conditions {
		switch {
		case c.HostConfig != nil:
			hosts = c.HostConfig.Values
		case c.PathConfig != nil:
			paths = c.PathConfig.Values
		default:
			return nil
		}
	}
	var what plane.Route
	for _, a := range r.Actions {
		switch {
		case a.ForwardGroupConfig != nil:
			what.Pools = s.albPools(a.ForwardGroupConfig.ServerGroupTuples)
		case a.InsertHeaderConfig != nil:
			if what.Headers == nil {
				what.Headers = map[string]string{}
			}
			what.Headers[a.InsertHeaderConfig.Key] = a.InsertHeaderConfig.Value
		case a.FixedResponseConfig != nil:
			what.Status, _ = strconv.Atoi(a.FixedResponseConfig.HttpCode)
			orElse(&what.Status, 200)
			what.Body = a.FixedResponseConfig.Content
		}
	}
	var routes []plane.Route
	for _, h := range hosts {
		for _, p := range paths {
			what.Host, what.Path = h, p
			routes = append(routes, what)
		}
	}
	return routes
}

func (s *Server) albPools(tuples []Tuple) []plane.Pool {
	var pools []plane.Pool
	for _, t := range tuples {
		weight := 100
		if t.Weight != nil {
			weight = *t.Weight
		}
		if g := byID(s.estate.ALBGroups, t.ServerGroupId); g != nil {
			pools = append(pools, poolOf(g.ID, weight, g.Members, 0, g.Drain, false))
		}
	}
	return pools
}

// poolOf makes a pool; round robin gives all members the same, the parked too.
func poolOf(id string, weight int, members []Member, port int, d Drain, roundRobin bool) plane.Pool {
	pool := plane.Pool{ID: id, Weight: weight, DrainOn: d.On, Drain: d.Timeout}
	for _, m := range members {
		w := m.Weight
		if roundRobin {
			w = 1
		}
		pool.Members = append(pool.Members, plane.Member{ID: memberID(id, m), Address: m.address(port), Weight: w})
	}
	return pool
}
