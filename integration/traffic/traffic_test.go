package traffic_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/integration/traffic"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == traffic.Arg {
		os.Exit(traffic.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

func startApp(t *testing.T, cfg traffic.AppConfig) *traffic.App {
	t.Helper()
	app, err := traffic.StartApp(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Kill)
	return app
}

// small is a mix of every kind of client that is quick to start and to end.
func small(addr string) traffic.Config {
	return traffic.Config{
		Addr: addr, KeepAlive: 2, Close: 2, Post: 1, Slow: 1, Websockets: 2,
		SlowFor: 20 * time.Millisecond, Pause: time.Millisecond, Ping: 2 * time.Millisecond,
	}
}

// start starts a load that the test's end stops, if the test did not.
func start(t *testing.T, cfg traffic.Config) *traffic.Load {
	t.Helper()
	load := traffic.Start(t.Context(), cfg)
	t.Cleanup(func() { load.Stop() })
	return load
}

// until polls what the load has seen so far, 10 s at most.
func until(t *testing.T, load *traffic.Load, what string, holds func(traffic.Phase) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds(load.Now().Total()) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s never came:\n%s", what, load.Now())
		}
	}
}

func everyClass(p traffic.Phase) bool {
	return p.Classes[traffic.KeepAlive].Requests > 20 && p.Classes[traffic.Close].Requests > 20 &&
		p.Classes[traffic.Post].Requests > 20 && p.Classes[traffic.Slow].Requests > 1 && p.Websockets.Messages > 20
}

func TestAHealthyAppLosesNothing(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a", Version: "v1"})
	load := start(t, small(app.Addr()))
	until(t, load, "traffic of every class", everyClass)
	result := load.Stop()
	if result.Lost() != 0 {
		t.Errorf("lost %d:\n%s", result.Lost(), result)
	}
	total := result.Total()
	if want := map[string]int64{"a": total.Requests}; !cmp.Equal(want, total.Servers) {
		t.Errorf("answers by server (-want +got):\n%s", cmp.Diff(want, total.Servers))
	}
	if got := total.Requests - total.Classes[traffic.Websocket].Requests; got != app.Hits() {
		t.Errorf("the load counted %d requests, the app %d: something was repeated or lost", got, app.Hits())
	}
	if got, want := total.Websockets.Stopped, total.Websockets.Opened; got != want {
		t.Errorf("%d of %d websockets ended with the load", got, want)
	}
}

func TestAKilledAppIsFeltByEveryClient(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a"})
	load := start(t, small(app.Addr()))
	until(t, load, "traffic of every class", everyClass)
	load.Phase("killed")
	app.Kill()
	until(t, load, "failed dials", func(p traffic.Phase) bool { return p.Kinds()[traffic.KindDial] > 10 })
	result := load.Stop()
	if before := result.Phase("start"); before.Failed != 0 {
		t.Errorf("%d failed before the kill:\n%s", before.Failed, result)
	}
	killed := result.Phase("killed")
	if killed.Classes[traffic.Slow].Kinds[traffic.KindReset] == 0 {
		t.Errorf("the slow request in flight was not lost:\n%s", result)
	}
	if killed.Websockets.Cut != 2 || killed.Websockets.CutBy["a"] != 2 || killed.Websockets.Closed != 0 {
		t.Errorf("websockets = %+v, want 2 cut", killed.Websockets)
	}
	if killed.FirstFailure.Before(killed.From) || killed.LastFailure.After(result.To) {
		t.Errorf("failures from %v to %v lie outside the phase %v to %v", killed.FirstFailure, killed.LastFailure, killed.From, killed.To)
	}
	if len(killed.Examples) == 0 || len(killed.Examples) > 10 {
		t.Errorf("%d examples, want 1 to 10", len(killed.Examples))
	}
}

func TestADrainedAppClosesWebsocketsWithAFrame(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a"})
	load := start(t, traffic.Config{Addr: app.Addr(), Websockets: 3, Ping: time.Millisecond})
	until(t, load, "open websockets", func(p traffic.Phase) bool { return p.Websockets.Messages > 30 })
	if err := traffic.Drain(t.Context(), app.Addr()); err != nil {
		t.Fatal(err)
	}
	until(t, load, "new websockets", func(p traffic.Phase) bool { return p.Websockets.Opened == 6 })
	result := load.Stop()
	total := result.Total().Websockets
	want := traffic.Websockets{Opened: 6, Messages: total.Messages, Closed: 3, Stopped: 3}
	if diff := cmp.Diff(want, total); diff != "" {
		t.Errorf("websockets (-want +got):\n%s\n%s", diff, result)
	}
}

func TestABadReleaseFailsItsShareOfAnswers(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a", Version: "bad"})
	if err := traffic.SetErrorRate(t.Context(), app.Addr(), 0.3); err != nil {
		t.Fatal(err)
	}
	load := start(t, traffic.Config{Addr: app.Addr(), KeepAlive: 1})
	until(t, load, "100 answers", func(p traffic.Phase) bool { return p.Requests >= 100 })
	total := load.Stop().Total()
	if want := int64(float64(total.Requests) * 0.3); total.Kinds()["status 500"] != want {
		t.Errorf("%d of %d answers were 500, want %d", total.Kinds()["status 500"], total.Requests, want)
	}
}

func TestAWarmingAppIsNotHealthy(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a", WarmUp: time.Hour})
	load := start(t, small(app.Addr()))
	until(t, load, "refusals", func(p traffic.Phase) bool { return p.Failed > 20 && p.Classes[traffic.Websocket].Failed > 0 })
	total := load.Stop().Total()
	if want := map[string]int64{"status 500": total.Requests}; !cmp.Equal(want, total.Kinds()) {
		t.Errorf("kinds (-want +got):\n%s", cmp.Diff(want, total.Kinds()))
	}
}

// TestEveryWayToFailHasItsKind answers each connection with fixed bytes and then closes it, or does not.
func TestEveryWayToFailHasItsKind(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer string
		hang   bool
		kind   string
	}{
		"closed without a byte":              {"", false, traffic.KindReset},
		"silence":                            {"", true, traffic.KindTimeout},
		"body shorter than announced":        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", false, traffic.KindTruncated},
		"chunked body without its last one":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, traffic.KindTruncated},
		"headers without an end":             {"HTTP/1.1 200 OK\r\nX-Srv: a\r\n", false, traffic.KindTruncated},
		"body that stops":                    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true, traffic.KindTimeout},
		"another protocol":                   {"SSH-2.0-OpenSSH_9.2\r\n", false, traffic.KindMalformed},
		"unavailable":                        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", false, "status 503"},
		"good after an interim answer":       {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, ""},
		"good and ended by the connection":   {"HTTP/1.0 200 OK\r\n\r\nabc", false, ""},
		"good in chunks with a trailer line": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute // an answer that comes is waited for, however busy the machine
			if tt.hang {
				timeout = 50 * time.Millisecond
			}
			load := start(t, traffic.Config{Addr: canned(t, tt.answer, tt.hang), Close: 1, Timeout: timeout})
			until(t, load, "an outcome", func(p traffic.Phase) bool { return p.Requests > 1 })
			total := load.Stop().Total()
			want := map[string]int64{}
			if tt.kind != "" {
				want[tt.kind] = total.Requests
			}
			if diff := cmp.Diff(want, total.Kinds()); diff != "" {
				t.Errorf("kinds (-want +got):\n%s\n%s", diff, strings.Join(total.Examples, "\n"))
			}
		})
	}
}

// canned answers every request with the same bytes.
func canned(t *testing.T, answer string, hang bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 4096)
				if _, err := conn.Read(buf); err != nil {
					return
				}
				if _, err := conn.Write([]byte(answer)); err != nil || !hang {
					return
				}
				_, _ = conn.Read(buf) // until the client gives up
			}()
		}
	}()
	return l.Addr().String()
}

func TestStopLetsRequestsInFlightEnd(t *testing.T) {
	t.Parallel()
	app := startApp(t, traffic.AppConfig{Name: "a"})
	load := start(t, traffic.Config{Addr: app.Addr(), Slow: 3, SlowFor: 200 * time.Millisecond})
	until(t, load, "a first answer", func(p traffic.Phase) bool { return p.Requests == 1 })
	result := load.Stop()
	if got := result.Total().Requests; result.Lost() != 0 || got < 3 || got != app.Hits() {
		t.Errorf("%d answers counted, %d given:\n%s", got, app.Hits(), result)
	}
}

func ExampleStart() {
	app, err := traffic.StartApp(traffic.AppConfig{Name: "a", Version: "v1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer app.Kill()
	cfg := traffic.Usual(app.Addr()) // through a load balancer: its address
	cfg.SlowFor = 10 * time.Millisecond
	load := traffic.Start(context.Background(), cfg)
	load.Phase("switch")
	// ... move the traffic ...
	load.Phase("after")
	result := load.Stop() // requests in flight end by themselves
	fmt.Println("lost:", result.Lost())
	// Output: lost: 0
}
