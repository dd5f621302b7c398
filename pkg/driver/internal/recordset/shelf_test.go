package recordset_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	www  = "www.example.com A"
	www6 = "www.example.com AAAA"
	both = "www.example.com A+AAAA"
)

// shelf is a provider in memory that does to its callers what providers do.
type shelf struct {
	limits recordset.Limits
	hidden error

	mu     sync.Mutex
	sets   map[recordset.Name]recordset.Set
	asked  [][]recordset.Name
	swaps  []recordset.Swap
	lies   bool   // success without effect
	lost   error  // returned after the write took effect
	before func() // once, before the next swap
}

func newShelf(sets map[string]recordset.Set) *shelf {
	s := &shelf{sets: map[recordset.Name]recordset.Set{}}
	for text, set := range sets {
		n, err := recordset.ParseName(text)
		if err != nil {
			panic(err)
		}
		s.sets[n] = set
	}
	return s
}

func (s *shelf) Get(_ context.Context, names []recordset.Name) (map[recordset.Name]recordset.Set, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, names)
	found := map[recordset.Name]recordset.Set{}
	for _, n := range names {
		set := s.sets[n]
		for o := range s.sets {
			if o.Host == n.Host && o != n {
				set.Beside = append(set.Beside, o.Type)
			}
		}
		found[n] = set
	}
	return found, nil
}

func (s *shelf) Swap(_ context.Context, swaps []recordset.Swap) error {
	s.mu.Lock()
	if f := s.before; f != nil {
		s.before = nil
		s.mu.Unlock()
		f()
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	for _, w := range swaps {
		if !slices.Equal(sorted(s.sets[w.Name].Values), sorted(w.Old.Values)) {
			return recordset.ErrConflict
		}
	}
	s.swaps = append(s.swaps, swaps...)
	if s.lies {
		return nil
	}
	for _, w := range swaps {
		s.sets[w.Name] = recordset.Set{Values: slices.Clone(w.New.Values), TTL: w.New.TTL, Extra: maps.Clone(w.New.Extra)}
		if w.New.Absent() {
			delete(s.sets, w.Name)
		}
	}
	return s.lost
}

func sorted(values []string) []string { return slices.Sorted(slices.Values(values)) }

func (s *shelf) Limits(context.Context) (recordset.Limits, error) { return s.limits, nil }

func (s *shelf) Hidden(recordset.Name, recordset.Set) error { return s.hidden }

func (s *shelf) put(text string, set recordset.Set) {
	n, err := recordset.ParseName(text)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sets[n] = set
}

func set(ttl int, values ...string) recordset.Set { return recordset.Set{Values: values, TTL: ttl} }

func target(t *testing.T, s *shelf, change ...func(*recordset.Options)) *recordset.Target {
	t.Helper()
	o := recordset.Options{Driver: "shelf", Zone: "example.com", Provider: s, Unseen: true, Shows: 1}
	for _, f := range change {
		f(&o)
	}
	d, err := recordset.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func change(object, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "zone", Object: object, Attribute: attribute, From: from, To: to}
}

func list(values ...string) state.Value { return state.List(values) }

func read(t *testing.T, d *recordset.Target, names ...string) map[string]map[string]state.Value {
	t.Helper()
	for _, n := range names {
		if _, err := d.Locate(recordset.KindRecord, n); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attrs := map[string]map[string]state.Value{}
	for id, o := range s.Objects {
		attrs[id] = o.Attrs
	}
	return attrs
}

func refused(err error) bool {
	_, drift := errors.AsType[*driver.DriftError](err)
	return errors.Is(err, driver.ErrPermanent) && !drift
}
