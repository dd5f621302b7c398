package alidns

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/state"
)

// rec is one record and its value in the canonical form.
type rec struct {
	aliyun.DNSRecord
	value string
	on    bool
}

// valueOf is the canonical value of a record.
func valueOf(r aliyun.DNSRecord) (string, error) {
	value := r.Value
	if r.Type == "MX" {
		value = strconv.Itoa(int(r.Priority)) + " " + value
	}
	return recordset.CanonicalValue(r.Type, value)
}

// record is what the API takes for a canonical value.
func record(rr, typ, line, value string, ttl int) aliyun.DNSRecord {
	r := aliyun.DNSRecord{RR: rr, Type: typ, Line: line, Value: value, TTL: aliyun.Number(ttl)}
	if typ == "MX" {
		priority, host, _ := strings.Cut(value, " ")
		n, _ := strconv.Atoi(priority) // canonical
		r.Priority, r.Value = aliyun.Number(n), host
	}
	return r
}

// shape is how the records of one name, type and line stand.
type shape struct {
	recs     []rec // by value
	open     bool  // weights decide
	weighing bool  // of a type that can have weights
	single   bool  // one value at most: a CNAME
}

func (s shape) sorted() shape {
	s.recs = slices.Clone(s.recs)
	slices.SortStableFunc(s.recs, func(a, b rec) int { return strings.Compare(a.value, b.value) })
	return s
}

// values are those that are answered.
func (s shape) values() []string {
	var all []string
	for _, r := range s.recs {
		if r.on && !slices.Contains(all, r.value) {
			all = append(all, r.value)
		}
	}
	return all
}

// disabled are values that are there and not answered.
func (s shape) disabled() []string {
	live := s.values()
	var all []string
	for _, r := range s.recs {
		if !r.on && !slices.Contains(live, r.value) {
			all = append(all, r.value)
		}
	}
	return all
}

// weights are those of the values; none when they are not open.
func (s shape) weights() weights {
	if !s.open {
		return nil
	}
	w := weights{}
	for _, r := range s.recs {
		if r.on {
			w[r.value] = max(w[r.value], int(r.Weight))
		}
	}
	return w
}

// ttls are the different TTLs of what is answered, the longest last.
func (s shape) ttls() []int {
	seen := map[int]bool{}
	for _, r := range s.recs {
		if r.on {
			seen[int(r.TTL)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (s shape) locked() []string {
	var all []string
	for _, r := range s.recs {
		if r.Locked {
			all = append(all, r.value)
		}
	}
	return all
}

// set is the record set that name servers answer with. Of different TTLs the
// longest counts: so long may caches keep a part of it.
func (s shape) set() recordset.Set {
	set := recordset.Set{Values: s.values()}
	if set.Absent() {
		return set
	}
	slices.Sort(set.Values)
	ttls := s.ttls()
	set.TTL = ttls[len(ttls)-1]
	set.Extra = map[string]state.Value{Disabled: state.List(s.disabled())}
	if s.weighing {
		set.Extra[Weights] = s.weights().value()
	}
	return set
}

// String tells two shapes apart by what can be seen of them, ids and weights
// left out: nobody promises the weight of a new record.
func (s shape) String() string {
	var parts []string
	for _, r := range s.recs {
		part := fmt.Sprintf("%s TTL %d", r.value, r.TTL)
		if !r.on {
			part += " (off)"
		}
		parts = append(parts, part)
	}
	slices.Sort(parts)
	text := strings.Join(parts, ", ")
	switch {
	case text == "":
		return "without records"
	case s.open:
		text += ", by weight"
	}
	return text
}

// want is where a change leads.
type want struct {
	values, disabled []string
	weights          weights
	ttl              int
}

func wanted(set recordset.Set) (want, error) {
	w, err := parseWeights(set.Extra[Weights].List())
	return want{values: slices.Sorted(slices.Values(set.Values)), disabled: set.Extra[Disabled].List(), weights: w, ttl: set.TTL}, err
}

// weights are shares by value.
type weights map[string]int

func (w weights) value() state.Value {
	var all []string
	for v, n := range w {
		all = append(all, v+"="+strconv.Itoa(n))
	}
	return state.List(all)
}

func (w weights) keys() []string { return slices.Sorted(maps.Keys(w)) }
