package nacos_test

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestRefusalsComeBeforeAnyChange(t *testing.T) {
	weight := func(to state.Value) []state.Change {
		return []state.Change{set(id(a1), nacos.Weight, "10", to), set(id(a2), nacos.Weight, "10", to), set(id(b1), nacos.Weight, "10", to)}
	}
	tests := map[string]struct {
		prepare func(lab)
		changes []state.Change
		want    string // empty: not refused
		advice  string
		old     bool // 1.x says the same
	}{
		"the last instances":                         {changes: disable(a1, a2, b1), want: "no healthy enabled instance left", advice: "keep the last instance for ever", old: true},
		"all but one":                                {changes: disable(a1, a2), old: true},
		"all but one that is unhealthy":              {prepare: func(l lab) { l.Unhealthy("users", b1) }, changes: disable(a1, a2), want: "no healthy enabled instance left", old: true},
		"all but one that has no weight":             {prepare: func(l lab) { l.Set("users", b1, true, 0) }, changes: disable(a1, a2), want: "no healthy enabled instance left", old: true},
		"all but one that is out already":            {prepare: func(l lab) { l.Set("users", b1, false, 10) }, changes: disable(a1, a2), want: "no healthy enabled instance left", old: true},
		"every weight to nothing":                    {changes: weight("0"), want: "no healthy enabled instance left", old: true},
		"every weight to something":                  {changes: weight("1"), old: true},
		"one out and one in":                         {prepare: func(l lab) { l.Set("users", b1, false, 10) }, changes: append(disable(a1, a2), enable(b1)...), old: true},
		"bringing in what is unhealthy":              {prepare: func(l lab) { l.Unhealthy("users", b1); l.Set("users", b1, false, 10); l.Threshold("users", 0.9) }, changes: enable(b1), old: true},
		"below the threshold":                        {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.5) }, changes: disable(a1), want: "would cross its protectThreshold 0.5: 1 of 2 instances", advice: "sends traffic to unhealthy instances"},
		"above the threshold":                        {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.4) }, changes: disable(a1), old: true},
		"below the threshold before":                 {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.9) }, changes: disable(a1), old: true},
		"a threshold with only healthy ones":         {prepare: func(l lab) { l.Threshold("users", 0.9) }, changes: disable(a1), old: true},
		"taking out what is unhealthy":               {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.5) }, changes: disable(b1), old: true},
		"removing the registration of somebody else": {changes: []state.Change{set(id(a1), nacos.Enabled, "true", ""), set(id(a1), nacos.Weight, "10", ""), set(id(a1), nacos.Ephemeral, "true", "")}, want: "its owner keeps it registered", advice: "set enabled: false instead", old: true},
		"a weight that Nacos refuses":                {changes: []state.Change{set(id(a1), nacos.Weight, "10", "10001")}, want: "weight is 0..10000, not 10001", old: true},
		"a read-only attribute":                      {changes: []state.Change{set(id(a1), nacos.Ephemeral, "true", "false")}, want: "ephemeral can be read but not set", old: true},
	}
	for name, test := range tests {
		for _, version := range versions {
			t.Run(name+", "+version, func(t *testing.T) {
				l := newLab(t, nacostest.Options{Version: version}, nil)
				if test.prepare != nil {
					test.prepare(l)
				}
				before := l.out()
				now, err := l.Read(t.Context())
				expect.Nil(t, err)
				foreseen := l.Check(t.Context(), now, test.changes)
				expect.Same(t, "writes of a check", []string(nil), nonEmpty(l.Writes()))
				err = l.Apply(t.Context(), test.changes)
				if test.want == "" || (version[0] == '1' && !test.old) {
					expect.Nil(t, foreseen)
					expect.Nil(t, err)
					return
				}
				for _, err := range []error{foreseen, err} {
					expect.Error(t, err, test.want, test.advice)
					expect.Is(t, err, driver.ErrPermanent, true)
				}
				expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
				expect.Same(t, "out", before, l.out())
			})
		}
	}
}

func TestOneServiceThatMustNotChangeStopsAllOfThem(t *testing.T) {
	l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Service = nacos.Names{"users", "orders"} })
	l.Register("orders", nacostest.Instance{Address: a1, Weight: 1})
	err := l.Apply(t.Context(), append(disable(a1), set("DEFAULT_GROUP@@orders/DEFAULT/"+a1, nacos.Enabled, "true", "false")))
	expect.Error(t, err, "service DEFAULT_GROUP@@orders would have no healthy enabled instance left", "")
	expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
}

func TestDriftOfOneInstanceLeavesAllAsTheyWere(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Set("users", a2, true, 3)
	err := l.Apply(t.Context(), append(disable(a1), set(id(a2), nacos.Weight, "10", "5")))
	expect.Error(t, err, "weight is 3, but was 10", "")
	expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
}

func TestTheLastInstanceOfAClusterIsKeptUnlessNobodyAsksForOneClusterOnly(t *testing.T) {
	hz := []state.Change{set("DEFAULT_GROUP@@users/hz/10.2.0.1:8080", nacos.Enabled, "true", "false")}
	tests := map[string]struct {
		prepare func(lab)
		empty   bool
		changes []state.Change
		want    string // empty: not refused
	}{
		"the last of a cluster":                  {changes: hz, want: "cluster hz of service DEFAULT_GROUP@@users would have no healthy enabled instance left"},
		"where the plan allows it":               {empty: true, changes: hz},
		"the last of every cluster all the same": {empty: true, changes: append(disable(a1, a2, b1), hz...), want: "service DEFAULT_GROUP@@users would have no healthy enabled instance left"},
		"one of two": {prepare: func(l lab) {
			l.Register("users", nacostest.Instance{Address: "10.2.0.2:8080", Weight: 1, Cluster: "hz"})
		}, changes: hz},
		"one that serves nobody":                   {prepare: func(l lab) { l.Unhealthy("users", "10.2.0.1:8080") }, changes: hz},
		"another cluster":                          {changes: disable(a1)},
		"a threshold that one cluster would cross": {prepare: func(l lab) { l.Unhealthy("users", b1); l.Threshold("users", 0.5) }, changes: disable(a1), want: "cluster DEFAULT of service DEFAULT_GROUP@@users would cross its protectThreshold 0.5: 1 of 2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.EmptyClusters = test.empty })
			l.Register("users", nacostest.Instance{Address: "10.2.0.1:8080", Weight: 1, Cluster: "hz"})
			if test.prepare != nil {
				test.prepare(l)
			}
			err := l.Apply(t.Context(), test.changes)
			if test.want == "" {
				expect.Nil(t, err)
				return
			}
			expect.Error(t, err, test.want, "")
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
			if strings.HasPrefix(test.want, "cluster") {
				expect.Error(t, err, "", "set empty_clusters: true")
			}
		})
	}
}
