// Package integration holds what is true only of the whole: traffic that is moved while people use it.
package integration

import (
	"context"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// scene is what a move of traffic happens in: a HAProxy with the backend be, its server a serving and its server b in
// maint with no process behind it, and a load on all of it.
type scene struct {
	cookie     bool                  // every client is pinned to a
	warmUp     time.Duration         // of b, once it is started
	websockets int                   // clients with a websocket
	load       func(*traffic.Config) // changes the usual load
}

// rig is a scene under load. Its methods are the parts that an order of steps is made of; each fails the test when
// HAProxy refuses.
type rig struct {
	testing.TB
	ha   *haproxytest.Server
	load *traffic.Load
	a, b *traffic.Process // b is nil before startB

	warmUp   time.Duration
	bAddr    string
	killedAt time.Time
}

// strict is the least load of every proof and of every control, so that a zero here and a loss there are comparable. It
// leaves the machine some time for the tests beside it.
func strict(front string) traffic.Config {
	cfg := traffic.Usual(front)
	cfg.SlowFor, cfg.Pause = 500*time.Millisecond, 10*time.Millisecond
	return cfg
}

// run sets the scene, starts the load, makes the move while the load runs, and stops the load before anything is torn
// down. The phases are start, switch (the move) and after.
func (s scene) run(tb testing.TB, move func(*rig)) traffic.Result {
	tb.Helper()
	r := s.set(tb)
	cfg := strict(r.ha.Front)
	cfg.Websockets = s.websockets
	if s.cookie {
		cfg.Cookie = "SRV=a"
	}
	if s.load != nil {
		s.load(&cfg)
	}
	r.load = traffic.Start(tb.Context(), cfg)
	defer r.load.Stop()
	r.until("load on every client", func() error {
		return enough(r.load.Now().Phase("start"), cfg, 500)
	})
	r.load.Phase("switch")
	move(r)
	r.load.Phase("after")
	r.until("load after the switch", func() error {
		return enough(r.load.Now().Phase("after"), cfg, 500)
	})
	result := r.load.Stop()
	if r.killedAt.IsZero() || r.killedAt.Before(result.From) || r.killedAt.After(result.Phase("after").From) {
		tb.Fatalf("a was killed at %v, outside the load: nothing was tested", r.killedAt)
	}
	return result
}

// enough says what is missing in p until requests of every class have ended in it.
func enough(p traffic.Phase, cfg traffic.Config, requests int64) error {
	for class, clients := range map[string]int{
		traffic.KeepAlive: cfg.KeepAlive, traffic.Close: cfg.Close, traffic.Post: cfg.Post, traffic.Slow: cfg.Slow,
	} {
		if p.Classes[class].Requests < int64(clients) {
			return fmt.Errorf("%d requests of class %s", p.Classes[class].Requests, class)
		}
	}
	if cfg.Websockets > 0 && p.Websockets.Messages < int64(2*cfg.Websockets) {
		return fmt.Errorf("%d messages on websockets", p.Websockets.Messages)
	}
	if p.Requests < requests {
		return fmt.Errorf("%d requests", p.Requests)
	}
	return nil
}

func (s scene) set(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{TB: tb, warmUp: s.warmUp}
	r.a = r.app(traffic.AppConfig{Name: "a", Version: "v1"})
	var err error
	if r.bAddr, err = traffic.FreeAddr(); err != nil {
		tb.Fatal(err)
	}
	r.ha = haproxytest.Start(tb, haproxytest.Config{
		CheckInterval: 100 * time.Millisecond,
		Backends: []haproxytest.Backend{{
			Name: "be", Cookie: s.cookie,
			Servers: []haproxytest.Member{{Name: "a", Address: r.a.Addr}, {Name: "b", Address: r.bAddr}},
		}},
	})
	r.command("set server be/b state maint")
	r.gate("a", func(now stat) bool { return now.status == "UP" && now.check == "L7OK" })
	return r
}

func (r *rig) app(cfg traffic.AppConfig) *traffic.Process {
	r.Helper()
	app, err := traffic.StartProcess(context.WithoutCancel(r.Context()), cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(app.Kill)
	return app
}

// startB starts the process behind server b.
func (r *rig) startB() {
	r.Helper()
	r.b = r.app(traffic.AppConfig{Name: "b", Version: "v2", Listen: r.bAddr, WarmUp: r.warmUp})
}

// raiseB starts b and has HAProxy send it traffic only after real checks: `health down` in drain makes them necessary.
func (r *rig) raiseB() {
	r.Helper()
	r.startB()
	r.command("set server be/b state drain")
	r.command("set server be/b health down")
	r.gate("b", func(now stat) bool { return now.status == "DRAIN" && now.check == "L7OK" })
	r.command("set server be/b state ready")
}

// killA is the end of the old release, with nothing graceful about it. It also marks the time, so it is to be called too
// when something else has ended the process.
func (r *rig) killA() {
	r.a.Kill()
	r.killedAt = time.Now()
}

// closeWebsockets has a end its websockets with close frames.
func (r *rig) closeWebsockets() {
	r.Helper()
	if err := traffic.Drain(r.Context(), r.a.Addr); err != nil {
		r.Fatal(err)
	}
}

// command sends a line to HAProxy and fails the test on any answer: success is silent.
func (r *rig) command(line string) {
	r.Helper()
	if reply, err := r.ha.Command(line); err != nil || reply != "" {
		r.Fatalf("%s: %q, %v", line, reply, err)
	}
}

// gate waits until show stat says what is wanted of a server.
func (r *rig) gate(server string, holds func(stat) bool) {
	r.Helper()
	r.until("gate on "+server, func() error {
		if now := r.stat(server); !holds(now) {
			return fmt.Errorf("%s is %+v", server, now)
		}
		return nil
	})
}

// zero waits at most limit until a server has no sessions, none queued and no new ones in three samples 100 ms apart.
func (r *rig) zero(server string, limit time.Duration) bool {
	r.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, same := r.stat(server), 0
	for end := time.Now().Add(limit); same < 3 && time.Now().Before(end); {
		<-tick.C
		now := r.stat(server)
		if now.current == "0" && now.queued == "0" && now.total == last.total {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return same == 3
}

// until polls every 5 ms until nothing is missing, for as long as patience lasts.
func (r *rig) until(what string, missing func() error) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := missing()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.Fatalf("waited in vain for %s: %v", what, err)
		}
	}
}

// stat is what HAProxy says of a server now: the columns status, check_status, scur, qcur and stot of show stat.
type stat struct {
	status, check, current, queued, total string
}

func (r *rig) stat(server string) stat {
	r.Helper()
	reply, err := r.ha.Command("show stat be 4 -1")
	if err != nil {
		r.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(reply, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		r.Fatalf("show stat: %v in %q", err, reply)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		if row[column["svname"]] == server {
			return stat{
				status: row[column["status"]], check: row[column["check_status"]],
				current: row[column["scur"]], queued: row[column["qcur"]], total: row[column["stot"]],
			}
		}
	}
	r.Fatalf("show stat has no server %s: %q", server, reply)
	return stat{}
}

// opState is the srv_op_state of a server: "2" is up, and a lie right after maint.
func (r *rig) opState(server string) string {
	r.Helper()
	reply, err := r.ha.Command("show servers state be")
	if err != nil {
		r.Fatal(err)
	}
	for line := range strings.Lines(reply) { // be_id be_name srv_id srv_name srv_addr srv_op_state ...
		if words := strings.Fields(line); len(words) > 5 && words[3] == server {
			return words[5]
		}
	}
	r.Fatalf("show servers state has no server %s: %q", server, reply)
	return ""
}

func is(got, want string) error {
	if got != want {
		return fmt.Errorf("it is %q, not %q", got, want)
	}
	return nil
}
