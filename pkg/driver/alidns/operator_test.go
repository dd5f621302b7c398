package alidns_test

import (
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestASecondOperatorIsNotOverwritten(t *testing.T) {
	const foreign = "203.0.113.9"
	replace := func(e *slbtest.Estate) {
		e.Zones[0].Records = []slbtest.Record{{ID: "f", RR: "www", Type: "A", Value: foreign, TTL: 600, Line: "default", Weight: 1}}
	}
	join := func(e *slbtest.Estate) {
		e.Zones[0].Records = append(e.Zones[0].Records, slbtest.Record{ID: "f", RR: "www", Type: "A", Value: foreign, TTL: 600, Line: "default", Weight: 1})
	}
	t.Run("who writes before flip compares is drift, and nothing is written", func(t *testing.T) {
		l := newLab(t, world{})
		l.Edit(replace)
		isDrift(t, l.Apply(t.Context(), []state.Change{values(list(a), list(b))}))
		expect.Same(t, "stored", []string{"A " + foreign + " 600"}, l.stored())
		expect.Same(t, "writes", 0, len(l.Writes()))
	})
	t.Run("who writes between flip's two looks too", func(t *testing.T) {
		l := newLab(t, world{})
		l.Inject(slbtest.Fault{Action: "DescribeSubDomainRecords", Skip: 1, Times: 1, Do: func() { l.Edit(replace) }})
		isDrift(t, l.Apply(t.Context(), []state.Change{values(list(a), list(b))}))
		expect.Same(t, "stored", []string{"A " + foreign + " 600"}, l.stored())
	})
	t.Run("who adds a record right before a step keeps it, and flip stops", func(t *testing.T) {
		l := newLab(t, world{})
		l.Inject(slbtest.Fault{Action: "AddDomainRecord", Times: 1, Do: func() { l.Edit(join) }})
		err := l.Apply(t.Context(), []state.Change{values(list(a), list(b))})
		isDrift(t, err)
		expect.Same(t, "stored", []string{"A " + a + " 600", "A " + b + " 600", "A " + foreign + " 600"}, l.stored())
	})
	t.Run("who does so in the middle stops it there", func(t *testing.T) {
		l := newLab(t, world{})
		l.Inject(slbtest.Fault{Action: "DeleteDomainRecord", Times: 1, Do: func() { l.Edit(join) }})
		err := l.Apply(t.Context(), []state.Change{values(list(a), list(b))})
		expect.Error(t, err, "somebody else changed it while flip did", "")
		expect.Same(t, "stored", []string{"A " + b + " 600", "A " + foreign + " 600"}, l.stored())
	})
	t.Run("who takes away the record of the next step is seen", func(t *testing.T) {
		l := newLab(t, world{})
		l.Inject(slbtest.Fault{Action: "UpdateDomainRecord", Times: 1, Do: func() { l.Edit(replace) }})
		err := l.Apply(t.Context(), []state.Change{values(list(a), list(a, b)), set(www, "ttl", "600", "900")})
		expect.Error(t, err, "somebody else changed it while flip did: it is 203.0.113.9", "")
		expect.Same(t, "stored", []string{"A " + foreign + " 600"}, l.stored())
	})
	t.Run("who adds the same value is no trouble", func(t *testing.T) {
		l := newLab(t, world{})
		l.Inject(slbtest.Fault{Action: "AddDomainRecord", Times: 1, Do: func() {
			l.Edit(func(e *slbtest.Estate) {
				e.Zones[0].Records = append(e.Zones[0].Records, slbtest.Record{ID: "f", RR: "www", Type: "A", Value: b, TTL: 600, Line: "default", Weight: 1})
			})
		}})
		expect.Nil(t, l.Apply(t.Context(), []state.Change{values(list(a), list(a, b))}))
		expect.Same(t, "stored", []string{"A " + a + " 600", "A " + b + " 600"}, l.stored())
	})
}
