package mem_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

func TestTheLastNameServerAnswersWithTheOldSetForAWhile(t *testing.T) {
	const www = "www.example.com A"
	for name, file := range map[string]string{"in memory": "", "in a file": filepath.Join(t.TempDir(), "zone.json")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := mem.New(mem.Options{File: file, Settle: 2 * time.Second, Negative: 30 * time.Second, Records: map[string]mem.RRset{www: {Values: []string{"192.0.2.1"}, TTL: 60}}})
				looks := func(record string, last bool) (values []string, ttl time.Duration) {
					values, ttl, err := m.Lookup(t.Context(), record, last)
					if err != nil {
						t.Fatal(err)
					}
					return values, ttl
				}
				expect := func(what, record string, last bool, want []string, wantTTL time.Duration) {
					t.Helper()
					values, ttl := looks(record, last)
					if diff := cmp.Diff(want, values); diff != "" || ttl != wantTTL {
						t.Errorf("%s: ttl %s (-want +got):\n%s", what, ttl, diff)
					}
				}
				set := func(record, attribute string, from, to state.Value) {
					t.Helper()
					if err := m.Apply(t.Context(), []state.Change{{Object: record, Attribute: attribute, From: from, To: to}}); err != nil {
						t.Fatal(err)
					}
				}
				expect("before", www, true, []string{"192.0.2.1"}, time.Minute)
				set(www, mem.Values, state.List([]string{"192.0.2.1"}), state.List([]string{"192.0.2.2"}))
				time.Sleep(time.Second)
				set(www, mem.TTL, state.Int(60), state.Int(20))
				expect("the first knows all", www, false, []string{"192.0.2.2"}, 20*time.Second)
				expect("the last knows nothing", www, true, []string{"192.0.2.1"}, time.Minute)
				time.Sleep(time.Second)
				expect("then one change", www, true, []string{"192.0.2.2"}, time.Minute)
				time.Sleep(time.Second)
				expect("then both", www, true, []string{"192.0.2.2"}, 20*time.Second)
				expect("a name that does not exist is kept too", "new.example.com A", true, nil, 30*time.Second)
			})
		})
	}
}
