package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/journal"
)

const (
	gateServers = 20
	restoreGoal = 150.0 // ms
	gateEvery   = 50 * time.Millisecond
)

// gate measures how soon traffic is where it was after a gate said no: half of
// the servers carry everything, a ramp moves all of it to the other half, and
// then the gate's URL begins to fail.
func (b *bench) gate(ctx context.Context) error {
	site, err := startSite(ctx)
	if err != nil {
		return err
	}
	defer site.close()
	be := haproxytest.Backend{Name: "be"}
	for i := range gateServers {
		m := haproxytest.Member{Name: nameOf(i), Address: site.addr, Weight: 100}
		if i >= gateServers/2 {
			m.Weight, m.Params = 0, []string{"weight 0"}
		}
		be.Servers = append(be.Servers, m)
	}
	ha, err := haproxytest.Run(ctx, "", haproxytest.Config{Backends: []haproxytest.Backend{be}, CheckInterval: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	defer ha.Stop()
	verdict, outside := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for range b.rounds {
		v, o, err := b.failOnce(ctx, ha, site)
		if err != nil {
			return err
		}
		verdict, outside = min(verdict, v), min(outside, o)
	}
	b.add(fmt.Sprintf("a gate's no to restored and read back, %d servers", gateServers), "ms", ms(verdict), restoreGoal, "by the journal")
	b.add("the first failing answer to restored, seen from outside", "ms", ms(outside), 0, fmt.Sprintf("the gate looks every %d ms", gateEvery.Milliseconds()))
	return nil
}

func (b *bench) failOnce(ctx context.Context, ha *haproxytest.Server, s *site) (verdict, outside time.Duration, err error) {
	s.bad.Store(false)
	s.failed.Store(0)
	plan, err := b.write("gate.yaml", fmt.Sprintf(`flip: 1
name: bench-gate
targets:
  web: {driver: haproxy, endpoints: ["unix://%s"], backend: be}
groups:
  blue:  {web: ["s0000?"]}
  green: {web: ["s0001?"]}
guards:
  - {target: web, min_serving: %d}
gates:
  site: {http: {url: "http://%s/gate", status: 200}, every: %s}
steps:
  - {id: shift, ramp: {from: blue, to: green, percent: [100], hold: 30s}, gate: site}
`, ha.Socket, gateServers/2, s.addr, gateEvery))
	if err != nil {
		return 0, 0, err
	}
	watch, err := dial(ctx, ha.Socket)
	if err != nil {
		return 0, 0, err
	}
	defer watch.close()
	ended := make(chan error, 1)
	go func() {
		_, err := b.exec(ctx, 10, nil, "run", "--yes", plan)
		ended <- err
	}()
	if err := until(ctx, ended, watch, func(blue, green int) bool { return blue == 0 && green == 100 }); err != nil {
		return 0, 0, fmt.Errorf("waiting for the ramp: %w", err)
	}
	s.bad.Store(true)
	if err := until(ctx, ended, watch, func(blue, green int) bool { return blue == 100 && green == 0 }); err != nil {
		return 0, 0, fmt.Errorf("waiting for the way back: %w", err)
	}
	outside = time.Since(time.Unix(0, s.failed.Load()))
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return 0, 0, err
	}
	verdict, err = b.restored(ctx)
	return verdict, outside, err
}

// restored is the time from the gate's no to the last value that was read
// back, both as the journal has them.
func (b *bench) restored(ctx context.Context) (time.Duration, error) {
	records, err := b.newest(ctx)
	if err != nil {
		return 0, err
	}
	var no, back time.Time
	for _, r := range records {
		switch {
		case r.Type == journal.TypeFailed && no.IsZero():
			no = r.Time
		case r.Type == journal.TypeDone && r.Activity == journal.ActivityRestore:
			back = r.Time
		}
	}
	if no.IsZero() || back.IsZero() {
		return 0, errors.New("the journal has no failed gate or no restore")
	}
	return back.Sub(no), nil
}

// until polls the weights of both halves every millisecond.
func until(ctx context.Context, ended <-chan error, watch session, holds func(blue, green int) bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		weights, err := watch.weightsOf("be")
		if err != nil {
			return err
		}
		if same(weights, holds) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return fmt.Errorf("flip run ended early: %w", err)
		case <-tick.C:
		}
	}
}

// same reports whether holds is true of every pair of servers.
func same(weights map[string]int, holds func(blue, green int) bool) bool {
	for i := range gateServers / 2 {
		if !holds(weights[nameOf(i)], weights[nameOf(i+gateServers/2)]) {
			return false
		}
	}
	return len(weights) == gateServers
}

// site answers HAProxy's checks and the gate, on loopback.
type site struct {
	addr   string
	server *http.Server
	bad    atomic.Bool
	failed atomic.Int64 // when the gate was first told, Unix nanoseconds
}

func startSite(ctx context.Context) (*site, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &site{addr: l.Addr().String()}
	s.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.bad.Load() && strings.HasPrefix(r.URL.Path, "/gate") {
			s.failed.CompareAndSwap(0, time.Now().UnixNano())
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *site) close() { _ = s.server.Close() }
