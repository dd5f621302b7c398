package plane_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// server is a member: "/" says its name, "/ws" echoes on a websocket, "/hold"
// answers when release is closed.
type server struct {
	name, addr string
	release    chan struct{}
	held       chan struct{}
	http       *httptest.Server
}

func start(t *testing.T, name string) *server {
	t.Helper()
	s := &server{name: name, release: make(chan struct{}), held: make(chan struct{}, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name, r.Header.Get("X-Side")) })
	mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		s.held <- struct{}{}
		select {
		case <-s.release:
			_, _ = io.WriteString(w, name)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, append([]byte(name+" "), b...)); err != nil {
				return
			}
		}
	})
	s.http = httptest.NewServer(mux)
	s.addr = s.http.Listener.Addr().String()
	t.Cleanup(s.http.Close)
	return s
}

// two is a table of one listener with the members a and b.
func two(protocol string, a, b *server, weightA, weightB int) plane.Table {
	return plane.Table{Listeners: []plane.Listener{{ID: "l", Protocol: protocol, Routes: []plane.Route{{Pools: []plane.Pool{{
		ID: "g", Weight: 100, Members: []plane.Member{
			{ID: "g/a", Address: a.addr, Weight: weightA, Up: true},
			{ID: "g/b", Address: b.addr, Weight: weightB, Up: true},
		},
	}}}}}}}
}

func proxy(t *testing.T, table plane.Table) *plane.Proxy {
	t.Helper()
	p := plane.NewProxy(plane.ProxyOptions{})
	t.Cleanup(func() { _ = p.Close() })
	apply(t, p, table)
	return p
}

func apply(t *testing.T, p plane.Plane, table plane.Table) {
	t.Helper()
	if err := p.Apply(table); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "error"
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return "error"
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Sprint(answer.StatusCode)
	}
	return string(b)
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRequestsFollowTheWeightsOnOneKeptConnection(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	p, client := proxy(t, two("http", a, b, 100, 50)), browser(t)
	url := "http://" + p.Addr("l") + "/"
	seen := map[string]int{}
	for range 30 {
		seen[get(t, client, url)]++
	}
	if diff := cmp.Diff(map[string]int{"a": 20, "b": 10}, seen); diff != "" {
		t.Errorf("at 100:50 (-want +got):\n%s", diff)
	}
	apply(t, p, two("http", a, b, 0, 50))
	if got := get(t, client, url); got != "b" {
		t.Errorf("at 0:50: %q", got)
	}
	apply(t, p, two("http", a, b, 0, 0))
	if got := get(t, client, url); got != "503" {
		t.Errorf("at 0:0: %q, want 503", got)
	}
	want := map[string]plane.Count{"g/a": {Requests: 20}, "g/b": {Requests: 11}, "": {Requests: 1, Failures: 1}}
	until(t, "nothing is open", func() bool { return p.Counts("l")["g/b"].Open == 0 })
	if diff := cmp.Diff(want, p.Counts("l")); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestADeadMemberFailsAtTheClient(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	p, client := proxy(t, two("http", a, b, 50, 50)), browser(t)
	a.http.Close()
	seen := map[string]int{}
	for range 10 {
		seen[get(t, client, "http://"+p.Addr("l")+"/")]++
	}
	if diff := cmp.Diff(map[string]int{"502": 5, "b": 5}, seen); diff != "" {
		t.Errorf("half of the members dead (-want +got):\n%s", diff)
	}
	if got := p.Counts("")["g/a"].Failures; got != 5 {
		t.Errorf("%d failures counted, want 5", got)
	}
	down := two("http", a, b, 100, 0)
	down.Listeners[0].Routes[0].Pools[0].Members[0].Up = false
	apply(t, p, down)
	if got := get(t, client, "http://"+p.Addr("l")+"/"); got != "503" {
		t.Errorf("the only weighted member down: %q, want 503", got)
	}
	down.Listeners[0].FailOpen = true
	apply(t, p, down)
	if got := get(t, client, "http://"+p.Addr("l")+"/"); got != "502" {
		t.Errorf("the same with fail-open: %q, want 502", got)
	}
}

func TestARequestInFlightDiesWithItsMember(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	p, client := proxy(t, two("http", a, b, 100, 0)), browser(t)
	result := make(chan string, 1)
	go func() { result <- get(t, client, "http://"+p.Addr("l")+"/hold") }()
	<-a.held
	a.http.CloseClientConnections()
	if got := <-result; got != "502" {
		t.Errorf("%q, want 502: nothing is repeated", got)
	}
	if len(a.held) != 0 {
		t.Error("the request was sent twice")
	}
}

func TestRoutesAndPoolsShareByWeight(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	pool := func(id string, s *server, weight int) plane.Pool {
		return plane.Pool{ID: id, Weight: weight, Members: []plane.Member{{ID: id + "/m", Address: s.addr, Weight: 100, Up: true}}}
	}
	p := proxy(t, plane.Table{Listeners: []plane.Listener{{ID: "l", Protocol: "http", Routes: []plane.Route{
		{Path: "/fixed", Status: 404, Body: "no"},
		{Path: "/both*", Headers: map[string]string{"X-Side": "!"}, Pools: []plane.Pool{pool("ga", a, 25), pool("gb", b, 75)}},
		{Pools: []plane.Pool{pool("ga", a, 100)}},
	}}}})
	client, url := browser(t), "http://"+p.Addr("l")
	seen := map[string]int{}
	for range 8 {
		seen[get(t, client, url+"/both/x")]++
	}
	if diff := cmp.Diff(map[string]int{"a!": 2, "b!": 6}, seen); diff != "" {
		t.Errorf("25:75 (-want +got):\n%s", diff)
	}
	if got := get(t, client, url+"/fixed"); got != "404" {
		t.Errorf("fixed: %q", got)
	}
	if got := get(t, client, url+"/other"); got != "a" {
		t.Errorf("default: %q", got)
	}
}

func TestAListenerThatIsGoneIsClosed(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	p := proxy(t, two("http", a, b, 100, 0))
	url := "http://" + p.Addr("l") + "/"
	apply(t, p, plane.Table{})
	if got := get(t, browser(t), url); got != "error" || p.Addr("l") != "" {
		t.Errorf("%q at %q", got, p.Addr("l"))
	}
}
