package integration

import (
	"fmt"
	"testing"

	"github.com/flip-cli/flip/integration/traffic"
)

// BenchmarkLoadThroughHAProxy is the pace of the load with one process of the app behind HAProxy, so one op is one
// request: what a test of N requests takes on this machine.
func BenchmarkLoadThroughHAProxy(b *testing.B) {
	for name, change := range map[string]func(*traffic.Config){
		"usual mix":             func(*traffic.Config) {},
		"usual mix, no pause":   func(c *traffic.Config) { c.Pause = 0 },
		"kept connections only": func(c *traffic.Config) { c.Pause, c.Close = 0, 0 },
	} {
		b.Run(name, func(b *testing.B) {
			r := scene{}.set(b)
			cfg := traffic.Usual(r.ha.Front)
			change(&cfg)
			b.ResetTimer()
			load := traffic.Start(b.Context(), cfg)
			defer load.Stop()
			r.until("requests", func() error {
				if n := load.Now().Total().Requests; n < int64(b.N) {
					return fmt.Errorf("%d of %d", n, b.N)
				}
				return nil
			})
			b.StopTimer()
			result := load.Stop()
			b.ReportMetric(result.Total().MaxMS, "max-ms")
			if result.Lost() > 0 {
				b.Errorf("lost %d:\n%s", result.Lost(), result)
			}
		})
	}
}
