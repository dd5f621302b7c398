package main

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"time"

	native "github.com/haproxytech/client-native/v5/runtime"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// scale is how many weights are changed, in a backend of how many servers.
type scale struct {
	backend          string
	changes, servers int
	names            []string
	pattern          string // the names, as a plan says it
}

// Goals: at the large end flip may take half as long again as the raw method;
// below that what counts is what a person waits longer.
const (
	rawFactor = 1.5
	rawExtra  = 100.0 // ms
	peakGoal  = 100.0 // MB
)

// weights compares three ways to set weights and read them back.
func (b *bench) weights(ctx context.Context) error {
	small, large := serversOf("be_small", 1000), serversOf("be_large", b.servers)
	ha, err := haproxytest.Run(ctx, "", haproxytest.Config{Backends: []haproxytest.Backend{small, large}})
	if err != nil {
		return err
	}
	defer ha.Stop()
	scales := []scale{
		{backend: "be_small", servers: 1000, pattern: "s*"},
		{backend: "be_large", servers: b.servers, pattern: "s*7?"},
		{backend: "be_large", servers: b.servers, pattern: "s*"},
	}
	// One in ten, spread evenly: HAProxy finds a server by walking its list.
	for i := range b.servers {
		name := nameOf(i)
		if i < 1000 {
			scales[0].names = append(scales[0].names, name)
		}
		if i/10%10 == 7 {
			scales[1].names = append(scales[1].names, name)
		}
		scales[2].names = append(scales[2].names, name)
	}
	for i, s := range scales {
		s.changes = len(s.names)
		if err := b.compare(ctx, ha.Socket, s, i*3*b.rounds); err != nil {
			return fmt.Errorf("%d changes in %s: %w", s.changes, s.backend, err)
		}
	}
	return nil
}

func nameOf(i int) string { return fmt.Sprintf("s%05d", i) }

// serversOf is a backend without checks; no two servers share an address.
func serversOf(name string, n int) haproxytest.Backend {
	be := haproxytest.Backend{Name: name, NoCheck: true}
	for i := range n {
		be.Servers = append(be.Servers, haproxytest.Member{Name: nameOf(i), Address: fmt.Sprintf("127.%d.%d.%d:80", 1+i/62_500, i/250%250, i%250+1), Weight: 100})
	}
	return be
}

// compare runs the methods by turns, so that a busy machine hits all of them,
// and keeps the best of each. used weights were set before: none is set twice.
func (b *bench) compare(ctx context.Context, socket string, s scale, used int) error {
	raw, library, flip := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	cpu := time.Duration(math.MaxInt64)
	var memory int64
	weight := used
	next := func() int { weight++; return 1 + weight%90 }
	for range b.rounds {
		took, err := rawWay(ctx, socket, s, next())
		if err != nil {
			return fmt.Errorf("raw: %w", err)
		}
		raw = min(raw, took)
		if took, err = libraryWay(ctx, socket, s, next()); err != nil {
			return fmt.Errorf("client-native: %w", err)
		}
		library = min(library, took)
		c, err := b.flipWay(ctx, socket, s, next())
		if err != nil {
			return err
		}
		flip, cpu, memory = min(flip, c.took), min(cpu, c.cpu), max(memory, c.memory)
	}
	what := fmt.Sprintf("%d weights of %d servers", s.changes, s.servers)
	b.add(what+": raw socket, prompt, lines of 100", "ms", ms(raw), 0, "")
	b.add(what+": client-native v5", "ms", ms(library), 0, times(library, raw))
	goal := ms(raw) + rawExtra
	if s.changes >= 10_000 {
		goal = ms(raw) * rawFactor
	}
	b.add(what+": flip run", "ms", ms(flip), goal, fmt.Sprintf("%s, +%.0f ms, %.0f ms of CPU", times(flip, raw), ms(flip-raw), ms(cpu)))
	if s.changes >= 10_000 {
		b.add(what+": peak memory of flip run", "MB", float64(memory)/1e6, peakGoal, "worst of all rounds")
	}
	return nil
}

func times(d, of time.Duration) string {
	return fmt.Sprintf("%.2f x raw", float64(d)/float64(of))
}

func rawWay(ctx context.Context, socket string, s scale, weight int) (time.Duration, error) {
	runtime.GC()
	began := time.Now()
	c, err := dial(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if err := c.setWeights(s.backend, s.names, weight); err != nil {
		return 0, err
	}
	err = c.readBack(s.backend, s.names, weight)
	return time.Since(began), err
}

// libraryWay uses HAProxy's own Go client. It cannot read weights (its
// RuntimeServer has none), so they are read back raw.
func libraryWay(ctx context.Context, socket string, s scale, weight int) (time.Duration, error) {
	runtime.GC()
	began := time.Now()
	var client native.SingleRuntime
	if err := client.Init(socket, 0, 0); err != nil {
		return 0, err
	}
	for _, name := range s.names {
		if err := client.SetServerWeight(s.backend, name, strconv.Itoa(weight)); err != nil {
			return 0, err
		}
	}
	c, err := dial(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer c.close()
	err = c.readBack(s.backend, s.names, weight)
	return time.Since(began), err
}

// flipWay is the whole program: start, read, journal, apply, read back, exit.
// What it says it did is then looked at, outside the measured time.
func (b *bench) flipWay(ctx context.Context, socket string, s scale, weight int) (call, error) {
	plan, err := b.write("weights.yaml", fmt.Sprintf(`flip: 1
name: bench-weights
targets:
  web: {driver: haproxy, endpoints: ["unix://%s"], backend: %s, timeout: 60s}
groups:
  chosen: {web: ["%s"]}
steps:
  - id: weights
    set: {group: chosen, weight: %d}
`, socket, s.backend, s.pattern, weight))
	if err != nil {
		return call{}, err
	}
	c, err := b.exec(ctx, 0, nil, "run", "--yes", plan)
	if err != nil {
		return c, err
	}
	witness, err := dial(ctx, socket)
	if err != nil {
		return c, err
	}
	defer witness.close()
	if err := witness.readBack(s.backend, s.names, weight); err != nil {
		return c, fmt.Errorf("flip run said that it is done, but %w", err)
	}
	return c, nil
}
