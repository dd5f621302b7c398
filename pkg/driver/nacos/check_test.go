package nacos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

// gone removes the attributes of an instance in a picture of the target.
func gone(address string) []state.Change {
	return []state.Change{set(id(address), nacos.Enabled, "true", ""), set(id(address), nacos.Weight, "10", ""), set(id(address), nacos.Ephemeral, "true", "")}
}

func TestACheckLooksAtWhatEarlierStepsWillHaveMade(t *testing.T) {
	tests := map[string]struct {
		prepare func(lab)
		before  []state.Change // of earlier steps
		changes []state.Change
		want    string // empty: nothing speaks against it
	}{
		"the last one after the others":            {before: disable(a1, a2), changes: disable(b1), want: "no healthy enabled instance left"},
		"one after the other":                      {before: append(disable(a1), enable(a1)...), changes: disable(a2)},
		"the old side after the new one":           {prepare: func(l lab) { l.Set("users", b1, false, 10) }, before: enable(b1), changes: disable(a1, a2)},
		"the old side after one that is unhealthy": {prepare: func(l lab) { l.Set("users", b1, false, 10); l.Unhealthy("users", b1) }, before: enable(b1), changes: disable(a1, a2), want: "no healthy enabled instance left"},
		"the healthy side":                         {prepare: func(l lab) { l.Unhealthy("users", b1) }, changes: disable(a1, a2), want: "no healthy enabled instance left"},
		"a threshold that earlier steps come near": {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.5) }, before: nil, changes: disable(a1), want: "would cross its protectThreshold 0.5"},
		"one that left since":                      {prepare: func(l lab) { l.Leave("users", a1) }, changes: disable(a1), want: "no instance 10.1.0.11:8080 is registered"},
		"one that earlier steps take away":         {before: gone(a1), changes: disable(a2, b1), want: "no healthy enabled instance left"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, nil)
			now, err := l.Read(t.Context())
			expect.Nil(t, err)
			if test.prepare != nil {
				test.prepare(l)
				if live, err := l.Read(t.Context()); err == nil && len(live.Objects) == len(now.Objects) {
					now = live
				}
			}
			err = l.Check(t.Context(), now.With(test.before), test.changes)
			if test.want == "" {
				expect.Nil(t, err)
			} else {
				expect.Error(t, err, test.want, "")
				expect.Is(t, err, driver.ErrUnknown, false)
			}
			expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
		})
	}
}

func TestACheckThatCannotLookRefusesNothing(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	now, err := l.Read(t.Context())
	expect.Nil(t, err)
	l.Down(0)
	err = l.Check(t.Context(), now, disable(a1, a2, b1))
	expect.Error(t, err, "connection refused", "")
	expect.Is(t, err, driver.ErrUnknown, true)
}

func TestACheckKnowsInstancesThatThePlanRegisters(t *testing.T) {
	l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Service = nacos.Names{"orders"} })
	const old, fresh = "DEFAULT_GROUP@@orders/DEFAULT/10.1.0.31:9090", "DEFAULT_GROUP@@orders/DEFAULT/10.1.0.32:9090"
	l.Register("orders", nacostest.Instance{Address: "10.1.0.31:9090", Weight: 1, Persistent: true})
	now, err := l.Read(t.Context())
	expect.Nil(t, err)
	create := []state.Change{
		set(fresh, nacos.Registered, "", "true"), set(fresh, nacos.Enabled, "", "true"), set(fresh, nacos.Weight, "", "1"),
	}
	expect.Nil(t, l.Check(t.Context(), now, create))
	out := []state.Change{set(old, nacos.Enabled, "true", "false")}
	expect.Nil(t, l.Check(t.Context(), now.With(create), out))
	expect.Error(t, l.Check(t.Context(), now, out), "no healthy enabled instance left", "")
}

func TestOnlyWhoWasThereAndHasAnOwnerIsWaitedFor(t *testing.T) {
	l := newLab(t, nacostest.Options{}, func(c *nacos.Config) {
		c.Service, c.RegisterTimeout = nacos.Names{"users", "orders"}, time.Minute
	})
	l.Register("orders", nacostest.Instance{Address: "10.1.0.31:9090", Weight: 1, Persistent: true})
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	got := map[string]time.Duration{"never seen": l.Coming("nobody")}
	for id := range s.Objects {
		got[id[strings.LastIndex(id, "/")+1:]] = l.Coming(id)
	}
	expect.Same(t, "patience", map[string]time.Duration{"10.1.0.31:9090": 0, a1: time.Minute, a2: time.Minute, b1: time.Minute, "never seen": 0}, got)
}
