package gate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
)

// tally counts answers and the ones among them that were errors.
type tally struct{ answers, errors int64 }

func (t tally) plus(o tally) tally  { return tally{t.answers + o.answers, t.errors + o.errors} }
func (t tally) minus(o tally) tally { return tally{t.answers - o.answers, t.errors - o.errors} }

// of is what the errors are a share of. A connection that failed is an error
// without an answer where the balancer counts only what the member said.
func (t tally) of() int64 { return max(t.answers, t.errors) }

func (t tally) rate() Percent {
	if t.of() == 0 {
		return 0
	}
	return Percent(float64(t.errors) / float64(t.of()))
}

func (t tally) String() string { return fmt.Sprintf("%d of %d answers", t.errors, t.of()) }

// counts turns running totals into what happened since a beginning, by member.
type counts struct {
	last    map[string]driver.Traffic // by id
	total   map[string]tally          // by member, since the beginning
	history []reading                 // oldest first
}

type reading struct {
	at    time.Time
	total map[string]tally
}

// add takes the totals of every id. It reports false when some went back: the
// counters began anew, and so does the count.
func (c *counts) add(now time.Time, traffic map[string]driver.Traffic, name func(string) string, window time.Duration) bool {
	total := maps.Clone(c.total)
	if total == nil {
		total = map[string]tally{}
	}
	for id, t := range traffic {
		before, known := c.last[id]
		if !known {
			before = t
		}
		if t.Answers < before.Answers || t.Errors < before.Errors {
			*c = counts{}
			c.add(now, traffic, name, window)
			return false
		}
		total[name(id)] = total[name(id)].plus(tally{t.Answers - before.Answers, t.Errors - before.Errors})
	}
	c.last, c.total = maps.Clone(traffic), total
	c.history = append(c.history, reading{now, total})
	// Keep one reading that is as old as the window; without a window the
	// first one is all that is needed.
	for len(c.history) > 1 && window > 0 && now.Sub(c.history[1].at) >= window {
		c.history = c.history[1:]
	}
	if window == 0 {
		c.history = c.history[:1]
	}
	return true
}

// recent is what happened since the oldest reading, by member.
func (c *counts) recent() map[string]tally {
	recent := map[string]tally{}
	for m, t := range c.total {
		recent[m] = t.minus(c.history[0].total[m])
	}
	return recent
}

// judgeRate judges each member that has enough answers, and all together.
func (g *haproxyGate) judgeRate(traffic map[string]driver.Traffic) Result {
	limit, need := *g.MaxErrorRate, int64(g.MinRequests)
	first := g.counts.last == nil
	if whole := g.counts.add(time.Now(), traffic, g.name, g.Window); !whole {
		return undecided("error rate: the counters went back, counting anew")
	}
	if first {
		return undecided("error rate: counting from now")
	}
	recent := g.counts.recent()
	var all tally
	worst, few := "", ""
	for _, m := range slices.Sorted(maps.Keys(recent)) {
		t := recent[m]
		all = all.plus(t)
		if len(g.Members) > 0 && t.of() < need && (few == "" || t.of() < recent[few].of()) {
			few = m
		}
		if t.exceeds(limit, need) && (worst == "" || t.rate() > recent[worst].rate()) {
			worst = m
		}
	}
	switch {
	case worst != "":
		return no("error rate %s > %s (%s: %s were 5xx or failed)", recent[worst].rate(), limit, worst, recent[worst])
	case all.exceeds(limit, need):
		return no("error rate %s > %s (in all: %s were 5xx or failed)", all.rate(), limit, all)
	case few != "":
		return undecided("error rate: too few answers yet (%s: %d of %d)", few, recent[few].of(), need)
	case all.of() < need:
		return undecided("error rate: too few answers yet (%d of %d)", all.of(), need)
	}
	return yes("error rate %s of %d answers", all.rate(), all.of())
}

// exceeds reports whether the rate is above the limit, or will be once there
// are need answers however good the rest of them is.
func (t tally) exceeds(limit Percent, need int64) bool {
	return float64(t.errors) > float64(limit)*float64(max(t.of(), need))
}
