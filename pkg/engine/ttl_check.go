package engine

import (
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/plan"
)

// setRecord is a record set that a step sets, as far as it is known before the
// run.
type setRecord struct {
	target, name string
	open         bool // its name has a template that only a run can fill in
}

// sets notes the record set that a step is about.
func (c *checker) sets(s *plan.Set, k driver.Kind) {
	if !isRecord(k) || s.Object == nil {
		return
	}
	text := s.Object[recordKey]
	name, err := c.p.Text(text, plan.Scope{"vars": c.p.Vars})
	c.records = append(c.records, setRecord{s.Target, name, err != nil})
}

// ttl refuses to wait for a record set that no step before sets: nothing is
// known about its old answers.
func (c *checker) ttl(rule plan.TTL) {
	var known []string
	for _, r := range c.records {
		if !r.open && !slices.Contains(known, r.name) {
			known = append(known, r.name)
		}
	}
	slices.Sort(known)
	for _, want := range rule.Records {
		set := slices.ContainsFunc(c.records, func(r setRecord) bool {
			return (rule.Target == "" || r.target == rule.Target) && (r.open || plan.RecordKey(r.name) == want.Key())
		})
		if set {
			continue
		}
		hint := "records that steps before it set: " + strings.Join(known, ", ")
		if len(known) == 0 {
			hint = "no step before it sets a record: set: {target: a-zone, record: " + want.Name + ", ...}; for a pause name a duration: wait: 5m"
		}
		where := ""
		if rule.Target != "" {
			where = " of target " + rule.Target
		}
		c.add(want.Pos, len(want.Name), hint, "wait: ttl: no step before it sets record %s%s%s", want.Name, where, didYouMean(want.Name, known))
	}
}
