package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// without drops the steps with those ids and puts others in place of some.
func without(steps string, edits map[string]string) string {
	var out []string
	for line := range strings.Lines(steps) {
		for id, instead := range edits {
			if strings.Contains(line, "{id: "+id+",") {
				line = instead + "\n"
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

func TestNoClientFindsAStoppedServerBehindARecordThatMoves(t *testing.T) {
	for name, test := range map[string]struct {
		edits   map[string]string
		stretch time.Duration
		fails   bool
	}{
		"the right order": {},
		"a resolver that keeps answers for two minutes, and a view that sees it": {stretch: 2 * time.Minute},
		"control: the same resolver, and no view": {
			stretch: 2 * time.Minute, fails: true,
			edits: map[string]string{"caches": "  - {id: caches, wait: {ttl: www.example.com A}}"},
		},
		"control: only the new TTL is waited for": {
			fails: true,
			edits: map[string]string{"old-ttl": "", "new-seen": "", "caches": "  - {id: caches, wait: 64s}"},
		},
		"control: no wait before the old server stops": {fails: true, edits: map[string]string{"caches": ""}},
		"the old TTL is waited for at the end when no step did before": {
			edits: map[string]string{"old-ttl": "", "new-seen": ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, dnsWorld+without(moveSteps, test.edits))
				l.sees(map[string]resolve.View{"isp": nil})
				n := online(t, l)
				n.keeps(test.stretch)
				l.sees(map[string]resolve.View{"isp": n.isp()})
				time.Sleep(11 * time.Minute) // the caches are in all phases
				end, err := l.start(engine.Options{})
				time.Sleep(11 * time.Minute)
				served, failed := n.offline()
				l.ended(journal.OutcomeDone, end, err)
				t.Logf("%d served, %d failed %s", served, failed, n.first)
				if (failed > 0) != test.fails {
					t.Errorf("%d clients failed: %s\n%s", failed, n.first, l.story())
				}
			})
		})
	}
}
