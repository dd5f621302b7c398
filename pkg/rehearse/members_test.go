package rehearse

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestMembersThatADrainWouldAskAreLeftAlone(t *testing.T) {
	t.Chdir(t.TempDir())
	var calls atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer s.Close()
	rep := rehearsed(t, pool+strings.ReplaceAll(`steps:
  - {id: install, run: "touch EXECUTED", undo: "touch UNDONE"}
  - {id: shift, ramp: {from: live, to: idle, percent: [50, 100]}}
  - id: quiet
    drain:
      group: live
      count: {http: {url: "URL/${{ member.name }}", value: body.n}}
      ask: {http: {url: "URL/drain"}, every: 10s}
      kill: {run: "touch EXECUTED"}
      then: kill
`, "URL", s.URL), Options{Faults: Faults()})
	if !rep.Proven() {
		t.Errorf("not proven:\n%s", told(t, rep))
	}
	if n := calls.Load(); n > 0 {
		t.Errorf("members were asked %d times", n)
	}
}
