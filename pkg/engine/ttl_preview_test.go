package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/resolve"
)

func TestAPreviewCountsTheWaitsForCachesThereAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, dnsWorld+moveSteps)
		l.sees(map[string]resolve.View{"isp": viewFunc(nil)})
		prog := l.program()
		defer prog.Close()
		b, err := engine.Bind(t.Context(), prog, l.world(), "")
		must(t, err)
		p := engine.NewPreview(t.Context(), b)
		must(t, p.Err)
		shortest, notes := map[string]time.Duration{}, map[string]string{}
		for _, s := range p.Steps {
			if s.Verb == "wait" {
				shortest[s.ID], notes[s.ID] = s.Shortest, s.Note
			}
		}
		same(t, "shortest", map[string]time.Duration{"old-ttl": 602 * time.Second, "new-seen": 62 * time.Second, "caches": 67 * time.Second}, shortest)
		same(t, "why", map[string]string{
			"old-ttl": "caches may hold the old www.example.com A: ttl 600", "new-seen": "caches may hold the old www.example.com A: ttl 60",
			"caches": "caches may hold 192.0.2.1: ttl 60",
		}, notes)
		same(t, "the whole plan", (602+62+67+4*2)*time.Second, p.Shortest)
		// Behind the last step the new answers have the long TTL again; two
		// rounds of looks come on top.
		same(t, "the way back", (2+602+5)*time.Second, p.WayBack)
		same(t, "nothing was written", []string(nil), l.writes())
	})
}
