package engine

import (
	"time"

	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
)

func (c *previewContext) gates(in gateIn) {
	var short, long time.Duration
	for _, ref := range in.Refs {
		g, err := c.p.gateOf(ref)
		if err != nil {
			continue
		}
		short = max(short, c.shortest(g, in))
		long = max(long, orElse(g.Timeout, 5*time.Minute))
	}
	if in.Until.IsZero() && in.Deadline.IsZero() {
		c.cur().Shortest += short
		c.cur().Longest += long
	} else if in.Until.IsZero() {
		c.cur().Shortest += short
	} else if more := short - c.held; more > 0 {
		// A hold lasts until its gates have seen what they need.
		c.cur().Shortest += more
		c.cur().Longest += more
	}
}

// shortest is the least time that a gate needs for its verdict.
func (c *previewContext) shortest(g plan.Gate, in gateIn) time.Duration {
	alone := []gate.Named{{Policy: policyOf(g)}}
	if !c.look || c.world.Gates == nil || c.world.Secrets == nil {
		return gate.Shortest(alone)
	}
	x := &Executor{Program: c.p, Gates: c.world.Gates, Secrets: c.world.Secrets, Log: c.world.Log}
	built, err := x.buildGate(g, in)
	if err != nil {
		return gate.Shortest(alone) // it needs what is known later
	}
	defer gate.Close(built)
	return gate.Shortest(built)
}
