package engine_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/state"
)

// asked writes down what it is asked, and answers with what the set is now.
type asked struct {
	mu        sync.Mutex
	questions []string
	values    map[string]string
}

func (a *asked) Look(_ context.Context, q resolve.Question) []resolve.Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.questions, q.String()) {
		a.questions = append(a.questions, q.String())
	}
	return []resolve.Answer{answer("one", 30*time.Second, a.values[q.Type])}
}

func TestBothKindsOfAddressesAreLookedUpApart(t *testing.T) {
	for name, test := range map[string]struct {
		steps   string
		answers map[string]string
		want    []string
	}{
		"what is retired is asked where it was": {
			`  - {id: move, set: {target: zone, record: www.example.com A+AAAA, values: [192.0.2.2, "2001:db8::1"]}}`,
			map[string]string{"A": "192.0.2.2", "AAAA": "2001:db8::1"},
			[]string{"www.example.com A"},
		},
		"both are when both moved": {
			`  - {id: move, set: {target: zone, record: www.example.com A+AAAA, values: [192.0.2.2, "2001:db8::2"]}}`,
			map[string]string{"A": "192.0.2.2", "AAAA": "2001:db8::2"},
			[]string{"www.example.com A", "www.example.com AAAA"},
		},
		"and when nothing is retired": {
			`  - {id: move, set: {target: zone, record: www.example.com A+AAAA, ttl: 30}}`,
			map[string]string{"A": "192.0.2.1", "AAAA": "2001:db8::1"},
			[]string{"www.example.com A", "www.example.com AAAA"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, `
flip: 1
name: both
targets:
  zone: {driver: mem, name: zone, records: {"www.example.com A+AAAA": {values: [192.0.2.1, "2001:db8::1"], ttl: 60}}}
views: {isp: {dns: 10.0.0.1}}
steps:
`+test.steps+`
  - {id: wait, wait: {ttl: www.example.com A+AAAA, from: isp}}
`)
				isp := &asked{values: test.answers}
				l.sees(map[string]resolve.View{"isp": isp})
				l.run(journal.OutcomeDone)
				slices.Sort(isp.questions)
				same(t, "questions", test.want, isp.questions)
			})
		})
	}
}

func TestTheFirstAddressOfAKindIsWaitedForAsANameThatDidNotExist(t *testing.T) {
	const slack = 2 * time.Second
	for name, test := range map[string]struct {
		from, to string
		ttl      time.Duration // what is waited for
	}{
		"a first AAAA":                    {"[192.0.2.1]", `[192.0.2.1, "2001:db8::1"]`, 300 * time.Second},
		"a first A":                       {`["2001:db8::1"]`, `[192.0.2.1, "2001:db8::1"]`, 300 * time.Second},
		"another A, and there is no AAAA": {"[192.0.2.1]", "[192.0.2.1, 192.0.2.2]", time.Minute},
		"an A that goes does not wait for the AAAA": {"[192.0.2.1]", `[192.0.2.2, "2001:db8::1"]`, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, `
flip: 1
name: both
targets:
  zone: {driver: mem, name: zone, negative: 5m, records: {"www.example.com A+AAAA": {values: `+test.from+`, ttl: 60}}}
steps:
  - {id: move, set: {target: zone, record: www.example.com A+AAAA, values: `+test.to+`}}
  - {id: wait, wait: {ttl: www.example.com A+AAAA}}
`)
				began := time.Now()
				l.run(journal.OutcomeDone)
				same(t, "it took", test.ttl+slack, time.Since(began))
			})
		})
	}
}

func TestAnEarlierRunsAnswersAreFoundUnderEitherNameOfARecordSet(t *testing.T) {
	const both, four, six = "www.example.com A+AAAA", "www.example.com A", "www.example.com AAAA"
	move := map[string]string{both: `[192.0.2.2, "2001:db8::2"]`, four: "[192.0.2.2]", six: `["2001:db8::2"]`}
	lower := map[string]string{both: `[192.0.2.3, "2001:db8::3"]`, four: "[192.0.2.3]", six: `["2001:db8::3"]`}
	for name, test := range map[string]struct {
		before, now string
		waits       time.Duration
	}{
		"the same set":                     {both, both, time.Hour},
		"one kind, then both":              {four, both, time.Hour},
		"both, then one kind":              {both, six, time.Hour},
		"one kind, then the other one":     {four, six, time.Minute},
		"the other one, and then this one": {six, four, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := func(record, values, more string) string {
					return `
flip: 1
name: both
targets:
  zone: {driver: mem, name: zone, records: {"` + both + `": {values: [192.0.2.1, "2001:db8::1"], ttl: 3600}, "` + four + `": {values: [192.0.2.1], ttl: 3600}, "` + six + `": {values: ["2001:db8::1"], ttl: 3600}}}
steps:
  - {id: move, set: {target: zone, record: ` + record + `, values: ` + values + `, ttl: 60}}
` + more
				}
				l := newLab(t, text(test.before, move[test.before], ""))
				l.run(journal.OutcomeDone)
				l.text = text(test.now, lower[test.now], "  - {id: wait, wait: {ttl: "+test.now+"}}\n")
				if test.before != test.now { // as one server has it: both names are of one set
					l.outside("zone", test.now, "ttl", state.Int(60))
				}
				began := time.Now()
				l.run(journal.OutcomeDone)
				same(t, "it waited", test.waits+2*time.Second, time.Since(began))
			})
		})
	}
}
