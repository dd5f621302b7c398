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
