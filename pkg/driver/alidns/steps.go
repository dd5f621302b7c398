package alidns

import (
	"slices"
	"strconv"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
)

// verb is what one call does.
type verb int

const (
	openWeights verb = iota
	closeWeights
	weigh
	add
	enable
	setTTL
	rewrite // another value in its place
	disable
	remove
)

// step is one call of the API about one record set.
type step struct {
	verb   verb
	value  string
	id     aliyun.Word // of the record; empty for add and the weights of a name
	ttl    int
	weight int
}

// removes reports whether fewer answer after the step.
func (s step) removes() bool { return s.verb == disable || s.verb == remove }

// next is the step that comes first from here to w. What comes does so before
// anything goes. Shares are right before somebody new joins them, who joins with
// the smallest, and end when nobody is left that shall go: unless some come and
// others go while they begin or end.
func (s shape) next(w want) (step, bool) {
	for _, look := range []func(want) (step, bool){s.opening, s.closingFirst, s.raising, s.adding, s.leveling, s.lowering, s.removing, s.closing} {
		if st, found := look(w); found {
			return st, true
		}
	}
	return step{}, false
}

func (s shape) opening(w want) (step, bool) {
	live := s.values()
	leaves := slices.ContainsFunc(live, func(v string) bool { return !slices.Contains(w.values, v) })
	return step{verb: openWeights}, len(w.weights) > 0 && !s.open && len(live) > 0 && !leaves
}

func (s shape) closingFirst(w want) (step, bool) {
	live := s.values()
	joins := slices.ContainsFunc(w.values, func(v string) bool { return !slices.Contains(live, v) })
	st, open := s.closing(w)
	return st, open && (joins || len(w.values) == 0)
}

func (s shape) closing(w want) (step, bool) {
	return step{verb: closeWeights}, len(w.weights) == 0 && s.open
}

func (s shape) raising(w want) (step, bool) {
	return s.reweigh(w, func(have, want int) bool { return have < want })
}

func (s shape) lowering(w want) (step, bool) {
	return s.reweigh(w, func(have, want int) bool { return have > want })
}

func (s shape) reweigh(w want, differs func(have, want int) bool) (step, bool) {
	for _, r := range s.recs {
		if n, ok := w.weights[r.value]; ok && s.open && r.on && differs(int(r.Weight), n) {
			return step{verb: weigh, value: r.value, id: r.ID, weight: n}, true
		}
	}
	return step{}, false
}

func (s shape) adding(w want) (step, bool) {
	live := s.values()
	for _, v := range w.values {
		if slices.Contains(live, v) {
			continue
		}
		i := slices.IndexFunc(s.recs, func(r rec) bool { return r.value == v })
		old := slices.IndexFunc(s.recs, func(r rec) bool { return s.single && r.on && !slices.Contains(w.values, r.value) })
		switch {
		case old >= 0:
			return step{verb: rewrite, value: v, id: s.recs[old].ID, ttl: w.ttl}, true
		case i < 0:
			return step{verb: add, value: v, ttl: w.ttl}, true
		case int(s.recs[i].TTL) > w.ttl: // caches would keep it for longer than the set
			return step{verb: setTTL, value: v, id: s.recs[i].ID, ttl: w.ttl}, true
		}
		return step{verb: enable, value: v, id: s.recs[i].ID}, true
	}
	return step{}, false
}

// leveling also looks after what will be switched off: so the way back finds
// records with the TTL that it began with.
func (s shape) leveling(w want) (step, bool) {
	for _, r := range s.recs {
		if r.on && int(r.TTL) != w.ttl && (slices.Contains(w.values, r.value) || slices.Contains(w.disabled, r.value)) {
			return step{verb: setTTL, value: r.value, id: r.ID, ttl: w.ttl}, true
		}
	}
	return step{}, false
}

func (s shape) removing(w want) (step, bool) {
	for _, r := range s.recs {
		if !r.on || slices.Contains(w.values, r.value) {
			continue
		}
		if slices.Contains(w.disabled, r.value) {
			return step{verb: disable, value: r.value, id: r.ID}, true
		}
		return step{verb: remove, value: r.value, id: r.ID}, true
	}
	return step{}, false
}

// after is the shape that a step leads to.
func (s shape) after(st step) shape {
	s = s.sorted()
	i := slices.IndexFunc(s.recs, func(r rec) bool { return st.id != "" && r.ID == st.id })
	switch st.verb {
	case openWeights:
		for i := range s.recs {
			s.recs[i].Weight = 1
		}
		s.open = true
	case closeWeights:
		s.open = false
	case weigh:
		s.recs[i].Weight = aliyun.Number(st.weight)
	case add:
		s.recs = append(s.recs, rec{DNSRecord: aliyun.DNSRecord{TTL: aliyun.Number(st.ttl), Weight: 1}, value: st.value, on: true})
	case enable:
		s.recs[i].on = true
	case setTTL:
		s.recs[i].TTL = aliyun.Number(st.ttl)
	case rewrite:
		s.recs[i].value, s.recs[i].TTL = st.value, aliyun.Number(st.ttl)
	case disable:
		s.recs[i].on = false
	case remove:
		s.recs = slices.Delete(s.recs, i, i+1)
	}
	return s.sorted()
}

// mostSteps bounds what one change may take: far more than a name has records.
const mostSteps = 5000

// way are the steps from here to w and the shapes that they lead through, this
// one first. Records that a step adds get ids of their own.
func (s shape) way(w want) ([]step, []shape) {
	var steps []step
	shapes := []shape{s.sorted()}
	for len(steps) < mostSteps {
		now := shapes[len(shapes)-1]
		st, more := now.next(w)
		if !more {
			break
		}
		now = now.after(st)
		for i := range now.recs {
			if now.recs[i].ID == "" {
				now.recs[i].ID = aliyun.Word("new " + strconv.Itoa(len(steps)))
			}
		}
		steps, shapes = append(steps, st), append(shapes, now)
	}
	return steps, shapes
}
