package alidns

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/state"
)

func TestWhatIsSeenOnTheWayIsKnownBeforehand(t *testing.T) {
	list := func(items ...string) state.Value { return state.List(items) }
	for name, test := range map[string]struct {
		via      func(from, to state.Value) []state.Value
		from, to state.Value
		want     []state.Value
	}{
		"values come and go one by one": {viaValues, list("a", "b"), list("c", "d"), []state.Value{list("a", "b", "c"), list("a", "b", "c", "d"), list("b", "c", "d")}},
		"a set is made":                 {viaValues, state.Absent, list("a", "b"), []state.Value{list("a")}},
		"a set goes":                    {viaValues, list("a", "b"), state.Absent, []state.Value{list("b")}},
		"one value more has no between": {viaValues, list("a"), list("a", "b"), nil},
		"switched off ones":             {viaDisabled, list("a"), list("b", "c"), []state.Value{list(), list("b")}},
		"TTLs":                          {viaTTL, "600", "60", []state.Value{list("60", "600")}},
		"shares":                        {viaWeights, list("a=80", "b=20"), list("a=10", "b=90"), []state.Value{list("a=80", "b=90")}},
		"shares begin with a newcomer": {
			viaWeights, list(), list("a=9", "b=2"),
			[]state.Value{list("a=1"), list("a=1", "b=1"), list("a=1", "b=2"), list("a=9"), list("a=9", "b=1"), list("b=1"), list("b=2")},
		},
		"shares end":       {viaWeights, list("a=9", "b=2"), list(), []state.Value{list("a=9"), list("b=2")}},
		"shares of junk":   {viaWeights, list("a"), list("a=1"), nil},
		"shares of no set": {viaWeights, state.Absent, list("a=1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.via(test.from, test.to)
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" && len(got)+len(test.want) > 0 {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestManyValuesDoNotMakeTheWayLong(t *testing.T) {
	from, to := weights{}, weights{}
	for i := range 90 {
		from[string(rune('a'+i))], to[string(rune('b'+i))] = 1, 100
	}
	for _, ends := range [][2]state.Value{{from.value(), to.value()}, {state.List(nil), to.value()}, {from.value(), state.List(nil)}} {
		if n := len(viaWeights(ends[0], ends[1])); n > 1000 {
			t.Errorf("%d values", n)
		}
	}
}

// FuzzWay: whatever there is, the way to a set ends, and where it shall.
func FuzzWay(f *testing.F) {
	f.Add([]byte("abc"), []byte("bd"), []byte("cA"), true)
	f.Add([]byte("a"), []byte("a"), []byte(""), false)
	f.Fuzz(func(t *testing.T, on, off, values []byte, open bool) {
		if len(on)+len(off)+len(values) > 40 {
			return
		}
		s := shape{weighing: true, open: open}
		for i, b := range slices.Concat(on, off) {
			s.recs = append(s.recs, rec{value: string(rune(b)), on: i < len(on), DNSRecord: aliyun.DNSRecord{ID: aliyun.Word(rune(i + 1000)), TTL: aliyun.Number(b % 3), Weight: 1}})
		}
		w := want{ttl: 2}
		for _, b := range values {
			if v := string(rune(b)); !slices.Contains(w.values, v) {
				w.values = append(w.values, v)
				if open {
					if w.weights == nil {
						w.weights = weights{}
					}
					w.weights[v] = int(b)%100 + 1
				}
			}
		}
		slices.Sort(w.values)
		steps, shapes := s.way(w)
		if len(steps) == mostSteps {
			t.Fatalf("no end: %v", steps[:10])
		}
		end := shapes[len(shapes)-1]
		if diff := cmp.Diff(w.values, slices.Sorted(slices.Values(end.values()))); diff != "" && len(w.values) > 0 {
			t.Errorf("values (-want +got):\n%s", diff)
		}
		if len(w.values) > 0 && (len(end.ttls()) != 1 || end.ttls()[0] != 2 || end.open != (len(w.weights) > 0)) {
			t.Errorf("%s: TTLs %v", end, end.ttls())
		}
		kept := func(v string) bool { return slices.Contains(s.values(), v) && slices.Contains(w.values, v) }
		for i, on := range shapes {
			for _, v := range w.values {
				if kept(v) && !slices.Contains(on.values(), v) {
					t.Errorf("after step %d %s does not answer", i, v)
				}
			}
			if len(s.values()) > 0 && len(w.values) > 0 && len(on.values()) == 0 {
				t.Errorf("after step %d nothing answers", i)
			}
		}
	})
}
