package plane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// ws opens a websocket and says which member it is at.
func ws(t *testing.T, p *plane.Proxy) (c *websocket.Conn, at func() string) {
	t.Helper()
	c, answer, err := websocket.Dial(t.Context(), "ws://"+p.Addr("l")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body != nil {
		answer.Body.Close()
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, func() string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := c.Write(ctx, websocket.MessageText, []byte("x")); err != nil {
			return "gone"
		}
		_, b, err := c.Read(ctx)
		if err != nil {
			return "gone"
		}
		return strings.TrimSuffix(string(b), " x")
	}
}

func TestAWebsocketStaysAtWeightZeroAndIsCutAfterRemoval(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	table := two("http", a, b, 100, 0)
	p := proxy(t, table)
	_, first := ws(t, p)
	if got := first(); got != "a" {
		t.Fatalf("first websocket at %q", got)
	}
	apply(t, p, two("http", a, b, 0, 100))
	_, second := ws(t, p)
	if at1, at2 := first(), second(); at1 != "a" || at2 != "b" {
		t.Errorf("at weight 0: the old one at %q, a new one at %q", at1, at2)
	}
	if got := p.Counts("l")["g/a"].Open; got != 1 {
		t.Errorf("%d open at a, want 1", got)
	}
	// with is the table with both members, or without a.
	with := func(drain time.Duration, from int) plane.Table {
		table := two("http", a, b, 0, 100)
		pool := &table.Listeners[0].Routes[0].Pools[0]
		pool.DrainOn, pool.Drain, pool.Members = true, drain, pool.Members[from:]
		return table
	}
	apply(t, p, with(time.Hour, 0))
	apply(t, p, with(time.Hour, 1))
	if got := first(); got != "a" {
		t.Errorf("removed, with an hour to drain: %q", got)
	}
	apply(t, p, with(time.Millisecond, 0))
	apply(t, p, with(time.Millisecond, 1))
	apply(t, p, with(time.Millisecond, 0)) // it comes back, which does not save what drains
	until(t, "the drain cuts", func() bool { return first() == "gone" })
	if got := second(); got != "b" {
		t.Errorf("the other member's websocket: %q", got)
	}
}

func TestADrainThatEndsCutsRequestsWith500(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	table := two("http", a, b, 100, 100)
	pool := &table.Listeners[0].Routes[0].Pools[0]
	pool.DrainOn, pool.Drain = true, 20*time.Millisecond
	p, client := proxy(t, table), browser(t)
	result := make(chan string, 1)
	go func() { result <- get(t, client, "http://"+p.Addr("l")+"/hold") }()
	<-a.held
	down := two("http", a, b, 100, 100)
	down.Listeners[0].Routes[0].Pools[0].Members[0].Up = false // it fails its checks
	apply(t, p, down)
	if got := <-result; got != "500" {
		t.Errorf("%q, want 500", got)
	}
}

func TestTCPConnectionsStayWhereTheyAre(t *testing.T) {
	a, b := start(t, "a"), start(t, "b")
	p := proxy(t, two("tcp", a, b, 100, 0))
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Addr("l"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	reader := bufio.NewReader(c)
	ask := func() string {
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return "error"
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return "error"
		}
		return string(body)
	}
	if got := ask(); got != "a" {
		t.Fatalf("before: %q", got)
	}
	apply(t, p, two("tcp", a, b, 0, 100))
	if got := ask(); got != "a" {
		t.Errorf("an open connection: %q, want a", got)
	}
	if got := get(t, browser(t), "http://"+p.Addr("l")+"/"); got != "b" {
		t.Errorf("a new connection: %q, want b", got)
	}
	b.http.Close()
	if got := get(t, browser(t), "http://"+p.Addr("l")+"/"); got != "error" {
		t.Errorf("a dead member: %q, want an error", got)
	}
	if got := p.Counts("l")["g/b"].Failures; got != 1 {
		t.Errorf("%d failures, want 1", got)
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
