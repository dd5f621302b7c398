package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/gate"
)

// notice is a buffer that calls back when it first holds a text.
type notice struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string
	then func()
}

func (n *notice) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.b.Write(p)
	if n.then != nil && strings.Contains(n.b.String(), n.text) {
		n.then()
		n.then = nil
	}
	return len(p), nil
}

// watched runs flip resolve --watch until it ends by itself.
func watched(t *testing.T, out *notice, signals chan os.Signal, args ...string) int {
	t.Helper()
	app := &cmd.App{
		In: strings.NewReader(""), Out: out, Err: out, Drivers: all.Drivers(), Gates: gate.Kinds(), Signals: signals,
		Getenv: func(name string) (string, bool) { return map[string]string{"CI": "true"}[name], name == "CI" },
	}
	return app.Run(t.Context(), append([]string{"resolve", "www.example.com", "--watch", "--every", "10ms", "--state-dir", t.TempDir()}, args...))
}

func TestAWatchShowsWhatChangesUntilItIsAsExpected(t *testing.T) {
	p := newPlaces(t)
	out := &notice{text: "One place was asked.", then: func() { p.isp.Set("www.example.com A", 60, "192.0.2.2") }}
	if code := watched(t, out, nil, "--from", "dns:"+p.isp.Addr, "--expect", "192.0.2.2", "--for", "30s"); code != 0 {
		t.Errorf("exit %d", code)
	}
	if !regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d dns [0-9.:]+: 192\.0\.2\.1 -> 192\.0\.2\.2 \(ttl 1m\)$`).MatchString(out.b.String()) {
		t.Errorf("the change is not in\n%s", &out.b)
	}
	if n := strings.Count(out.b.String(), "192.0.2.2"); n != 1 {
		t.Errorf("what does not change is repeated:\n%s", &out.b)
	}
}

func TestAWatchEndsWithTheOperatorAndWithItsTime(t *testing.T) {
	p := newPlaces(t)
	signals := make(chan os.Signal, 1)
	out := &notice{text: "One place was asked.", then: func() { signals <- os.Interrupt }}
	if code := watched(t, out, signals, "--from", "dns:"+p.isp.Addr); code != 0 {
		t.Errorf("after Ctrl-C: exit %d\n%s", code, &out.b)
	}
	out = &notice{}
	if code := watched(t, out, nil, "--from", "dns:"+p.isp.Addr, "--expect", "192.0.2.2", "--for", "500ms", "-o", "json"); code != 2 {
		t.Errorf("at the end of --for: exit %d", code)
	}
	first, _, _ := strings.Cut(out.b.String(), "\n")
	if !strings.Contains(first, `"verdict":"fail"`) || !json.Valid([]byte(first)) {
		t.Errorf("the first line is %s", first)
	}
}
