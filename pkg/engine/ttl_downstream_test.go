package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// The floor of shortly's record is at 20m4s; the views are asked every minute
// from then on.
func TestWhoAskedBeforeAPlaceForgotIsWaitedForToo(t *testing.T) {
	full := func(ttl time.Duration, values ...string) resolve.Answer {
		a := answer("client 1.1.1.1", ttl, values...)
		a.FullTTL = true
		return a
	}
	const old, now = "192.0.2.1", "192.0.2.2"
	for name, test := range map[string]struct {
		steps string
		sees  func(sinceFloor time.Duration) []resolve.Answer
		wait  time.Duration // after the floor
	}{
		"a resolver that forgot in time holds nobody up": {"", func(time.Duration) []resolve.Answer {
			return []resolve.Answer{answer("a", 10*time.Minute, now)}
		}, time.Minute},
		"an HTTPDNS service tells all of its TTL to whoever asks last": {"", func(time.Duration) []resolve.Answer {
			return []resolve.Answer{full(10*time.Minute, now)}
		}, 10 * time.Minute},
		"a resolver that answers stale": {"", func(d time.Duration) []resolve.Answer {
			if d < 5*time.Minute {
				return []resolve.Answer{answer("a", 10*time.Minute, old)}
			}
			return []resolve.Answer{answer("a", time.Minute, now)}
		}, 15 * time.Minute},
		"one of several caches behind an address": {"", func(d time.Duration) []resolve.Answer {
			second := answer("a", 10*time.Minute, old)
			second.Sample = 2
			if d >= 5*time.Minute {
				second.Values = []string{now}
			}
			return []resolve.Answer{answer("a", 3*time.Minute, now), second}
		}, 15 * time.Minute},
		"that nobody answers for a while does not change it": {"", func(d time.Duration) []resolve.Answer {
			switch {
			case d < 2*time.Minute:
				return []resolve.Answer{answer("a", 10*time.Minute, old)}
			case d < 4*time.Minute:
				return []resolve.Answer{{Vantage: "a", Sample: 1, Unknown: "timeout"}}
			}
			return []resolve.Answer{answer("a", time.Minute, now)}
		}, 14 * time.Minute},
		"the ceiling does not cut it": {", max: 25m", func(d time.Duration) []resolve.Answer {
			if d < 3*time.Minute {
				return []resolve.Answer{answer("a", 10*time.Minute, old)}
			}
			return []resolve.Answer{answer("a", time.Minute, now)}
		}, 13 * time.Minute},
		"where nothing is retired nobody waits for more": {", ttl", func(d time.Duration) []resolve.Answer {
			if d < 3*time.Minute {
				return []resolve.Answer{answer("a", 10*time.Minute, old)}
			}
			return []resolve.Answer{full(time.Minute, old, now)}
		}, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				more, adds := test.steps, test.steps == ", ttl"
				if adds {
					more = ""
				}
				l := newLab(t, shortly("  - {id: caches, wait: {ttl: www.example.com A, from: isp, every: 1m"+more+"}}\n"))
				if adds {
					l.text = strings.Replace(l.text, "values: [192.0.2.2]}}", "values: [192.0.2.1, 192.0.2.2]}}", 1)
				}
				began, floor := time.Now(), 20*time.Minute+4*time.Second
				l.sees(map[string]resolve.View{"isp": viewFunc(func() []resolve.Answer { return test.sees(time.Since(began) - floor) })})
				var looks []string
				l.onRecord = func(r journal.Record) {
					if d, err := journal.Decode[journal.LookData](r); r.Type == journal.TypeLook && err == nil {
						looks = append(looks, d.Text)
					}
				}
				l.run(journal.OutcomeDone)
				same(t, "it took, after the floor", test.wait, time.Since(began)-floor)
				told := slices.ContainsFunc(looks, func(s string) bool { return strings.Contains(s, "gone for isp; who asked before may keep it ") })
				same(t, "it says who is waited for", test.wait > 5*time.Minute, told)
			})
		})
	}
}
