package plane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

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
