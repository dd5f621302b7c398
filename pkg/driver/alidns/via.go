package alidns

import (
	"slices"
	"strconv"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/state"
)

// What is seen while a change is made step by step: the values of an attribute
// between from and to. They are found by walking the way in thought.

// stand is a shape of those values, with TTL 1.
func stand(on, off []string, w weights) shape {
	s := shape{weighing: true, open: len(w) > 0}
	for i, v := range slices.Concat(on, off) {
		r := rec{value: v, on: i < len(on), DNSRecord: aliyun.DNSRecord{ID: aliyun.Word(strconv.Itoa(i)), TTL: 1, Weight: 1}}
		if n, ok := w[v]; ok {
			r.Weight = aliyun.Number(n)
		}
		s.recs = append(s.recs, r)
	}
	return s.sorted()
}

// between are the different values that the shapes on the way show, its ends
// left out.
func between(s shape, w want, show func(shape) state.Value) []state.Value {
	w.ttl = 1
	var seen []state.Value
	_, shapes := s.way(w)
	for _, on := range shapes {
		if v := show(on); !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	return seen
}

func viaValues(from, to state.Value) []state.Value {
	show := func(s shape) state.Value { return state.List(s.values()) }
	return except(between(stand(from.List(), nil, nil), want{values: to.List()}, show), from, to, state.List(nil))
}

func viaDisabled(from, to state.Value) []state.Value {
	const other = "another value"
	before, after := from.List(), to.List()
	on := slices.DeleteFunc(slices.Clone(after), func(v string) bool { return slices.Contains(before, v) })
	values := slices.DeleteFunc(slices.Clone(before), func(v string) bool { return slices.Contains(after, v) })
	show := func(s shape) state.Value { return state.List(s.disabled()) }
	s := stand(append(on, other), before, nil)
	return except(between(s, want{values: append(values, other), disabled: after}, show), from, to)
}

// viaTTL: one record after the other gets the new TTL, see uneven.
func viaTTL(from, to state.Value) []state.Value {
	a, ok := from.Int()
	b, ok2 := to.Int()
	if !ok || !ok2 || a == b {
		return nil
	}
	return []state.Value{uneven([]int{a, b})}
}

// uneven is how a set is shown whose records have different TTLs: "60, 600".
func uneven(ttls []int) state.Value {
	var all []string
	for _, n := range ttls {
		all = append(all, strconv.Itoa(n))
	}
	return state.List(all)
}

// mostGuessed is for how many values all parts of them are thought of.
const mostGuessed = 8

// viaWeights: when the weights are opened or closed, what stands at that moment
// may be any part of the values.
func viaWeights(from, to state.Value) []state.Value {
	f, err := parseWeights(from.List())
	t, err2 := parseWeights(to.List())
	if err != nil || err2 != nil || !from.Present() || !to.Present() {
		return nil
	}
	show := func(s shape) state.Value { return s.weights().value() }
	if len(f) > 0 && len(t) > 0 {
		return except(between(stand(f.keys(), nil, f), want{values: t.keys(), weights: t}, show), from, to)
	}
	var all []state.Value
	for _, part := range parts(f.keys()) { // those that shall go have gone
		all = append(all, stand(part, nil, f).weights().value())
	}
	for _, part := range parts(t.keys()) {
		all = append(all, between(stand(part, nil, nil), want{values: t.keys(), weights: t}, show)...)
	}
	slices.Sort(all)
	return except(slices.Compact(all), from, to)
}

// parts are all that can be left of values; of many only all of them.
func parts(values []string) [][]string {
	if len(values) > mostGuessed {
		return [][]string{values}
	}
	var all [][]string
	for bits := 1; bits < 1<<len(values); bits++ {
		var part []string
		for i, v := range values {
			if bits&(1<<i) != 0 {
				part = append(part, v)
			}
		}
		all = append(all, part)
	}
	return all
}

func except(values []state.Value, others ...state.Value) []state.Value {
	return slices.DeleteFunc(values, func(v state.Value) bool { return slices.Contains(others, v) })
}
