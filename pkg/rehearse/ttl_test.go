package rehearse

import (
	"strings"
	"testing"
)

// dnsMove waits two days for caches, and has a resolver to convince.
const dnsMove = `flip: 1
name: dns-move
targets:
  zone: {driver: mem, name: zone, max_in_flight: 5s, records: {"www.example.com A": {values: [192.0.2.1], ttl: 172800}}}
  web:  {driver: mem, name: web, max_in_flight: 5s, pool: {a1: {weight: 100, address: "192.0.2.1:80"}, b1: {weight: 0, address: "192.0.2.2:80"}}}
views: {isp: {dns: 127.0.0.1:1}}
steps:
  - {id: start-b,  run: "touch EXECUTED", undo: "touch UNDONE"}
  - {id: up,       set: {target: web, members: [b1], weight: 100}}
  - {id: short,    set: {target: zone, record: www.example.com A, ttl: 60}}
  - {id: old-ttl,  wait: {ttl: www.example.com A}}
  - {id: both,     set: {target: zone, record: www.example.com A, values: [192.0.2.1, 192.0.2.2]}}
  - {id: only-new, set: {target: zone, record: www.example.com A, values: [192.0.2.2]}}
  - {id: caches,   wait: {ttl: www.example.com A, from: isp, max: 72h, on_max: fail}}
  - {id: stop-old, set: {target: web, members: [a1], weight: 0}}
`

func TestWaitsForCachesAreRehearsedInTimeThatCostsNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, o := range map[string]Options{
		"on copies":       {Faults: Faults(), Seed: 1},
		"on made up ones": {Offline: true, Seed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			rep := rehearsed(t, dnsMove, o)
			if !rep.Proven() {
				t.Errorf("it is not proven:\n%s", told(t, rep))
			}
			if text := told(t, rep); !strings.Contains(text, "way back, killed again") {
				t.Errorf("the way back was not rehearsed:\n%s", text)
			}
		})
	}
}

func TestARehearsalFindsAServerThatIsTakenAwayTooEarly(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, test := range map[string]struct {
		edit     []string
		noCaches bool
		says     string
	}{
		"a plan without the wait before the old server stops": {
			edit: []string{"  - {id: caches,   wait: {ttl: www.example.com A, from: isp, max: 72h, on_max: fail}}\n", ""},
			says: "a1 is 192.0.2.1, which caches may answer for www.example.com A for 1m0s more",
		},
		"a plan that waits for the new TTL alone": {
			edit: []string{"  - {id: old-ttl,  wait: {ttl: www.example.com A}}\n", "", "wait: {ttl: www.example.com A, from: isp, max: 72h, on_max: fail}", "wait: 62s"},
			says: "a1 is 192.0.2.1, which caches may answer for www.example.com A for 47h58m58s more",
		},
		"a way back without its waits": {noCaches: true, says: "b1 is 192.0.2.2, which caches may answer"},
	} {
		t.Run(name, func(t *testing.T) {
			rep := rehearsed(t, strings.NewReplacer(append(test.edit, "\x00", "")...).Replace(dnsMove), Options{Seed: 1, noCaches: test.noCaches})
			if rep.Proven() {
				t.Fatalf("it is proven:\n%s", told(t, rep))
			}
			text := strings.Join(strings.Fields(told(t, rep)), " ")
			for _, want := range []string{stillCached, test.says} {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q:\n%s", want, told(t, rep))
				}
			}
		})
	}
}
