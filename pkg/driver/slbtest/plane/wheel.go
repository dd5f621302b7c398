package plane

import (
	"net"
	"strings"
)

// Wheel is smooth weighted round robin, as nginx does it: 100 and 50 give
// a b a, not a a b. The zero value is ready.
type Wheel struct{ current map[string]int }

// Spoke is one of those whose turn it may be.
type Spoke struct {
	ID     string
	Weight int
}

// Next is the index of the spoke whose turn it is, -1 when all weights are 0.
func (w *Wheel) Next(spokes []Spoke) int {
	best, total := -1, 0
	if w.current == nil {
		w.current = map[string]int{}
	}
	for i, s := range spokes {
		if s.Weight <= 0 {
			continue
		}
		total += s.Weight
		w.current[s.ID] += s.Weight
		if best < 0 || w.current[s.ID] > w.current[spokes[best].ID] {
			best = i
		}
	}
	if best >= 0 {
		w.current[spokes[best].ID] -= total
	}
	return best
}

// matches says whether a route takes a request.
func (r Route) matches(host, path string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if suffix, ok := strings.CutPrefix(r.Host, "*"); ok {
		if !strings.HasSuffix(host, suffix) {
			return false
		}
	} else if r.Host != "" && !strings.EqualFold(r.Host, host) {
		return false
	}
	if prefix, ok := strings.CutSuffix(r.Path, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return r.Path == "" || r.Path == path
}

// offered are the members of a pool that new work may go to.
func (p Pool) offered(failOpen bool) []Spoke {
	var up, weighted []Spoke
	for _, m := range p.Members {
		s := Spoke{m.ID, m.Weight}
		if m.Weight <= 0 {
			s.Weight = 0
		} else if m.Up {
			up = append(up, s)
		}
		weighted = append(weighted, s)
	}
	if len(up) == 0 && failOpen {
		return weighted
	}
	return up
}
