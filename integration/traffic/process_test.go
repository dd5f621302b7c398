package traffic_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
)

func startProcess(t *testing.T, cfg traffic.AppConfig) *traffic.Process {
	t.Helper()
	p, err := traffic.StartProcess(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestASIGKILLedProcessLosesWhatWasInFlight(t *testing.T) {
	t.Parallel()
	app := startProcess(t, traffic.AppConfig{Name: "a", Version: "v1"})
	load := start(t, small(app.Addr))
	until(t, load, "traffic of every class", everyClass)
	app.Kill()
	until(t, load, "a reset", func(p traffic.Phase) bool { return p.Kinds()[traffic.KindReset] > 0 && p.Websockets.Cut == 2 })
	load.Stop()
}

func TestATerminatedProcessFinishesItsRequests(t *testing.T) {
	t.Parallel()
	app := startProcess(t, traffic.AppConfig{Name: "a"})
	load := start(t, traffic.Config{Addr: app.Addr, Slow: 4, SlowFor: 200 * time.Millisecond, Websockets: 1})
	until(t, load, "slow answers", func(p traffic.Phase) bool { return p.Requests > 6 && p.Websockets.Messages > 1 })
	app.Terminate()
	until(t, load, "refused connections", func(p traffic.Phase) bool { return p.Kinds()[traffic.KindDial] > 0 })
	result := load.Stop()
	if kinds := result.Total().Kinds(); kinds[traffic.KindTruncated] > 0 || result.Total().Websockets.Cut > 0 {
		t.Errorf("a graceful end cut requests:\n%s", result)
	}
}

func TestMainSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"a flag that does not exist":  {[]string{"-nam", "a"}, "-nam"},
		"an address that is not here": {[]string{"-listen", "192.0.2.1:80"}, "192.0.2.1:80"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := traffic.Main(tt.args, strings.NewReader(""), &stdout, &stderr); code == 0 {
				t.Error("exit code 0")
			}
			if !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("stderr %q does not name %q", stderr.String(), tt.says)
			}
		})
	}
}
