package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

const (
	stepCount = 200
	stepGoal  = 3.0 // ms
)

// steps measures what flip adds to every step. The mem driver answers within
// microseconds, so all of it is the interpreter and the journal.
func (b *bench) steps(ctx context.Context) error {
	var text strings.Builder
	text.WriteString("flip: 1\nname: bench-steps\ntargets:\n  pool: {driver: mem, pool: {m1: {weight: 1}}}\ngroups:\n  all: {pool: [m1]}\nsteps:\n")
	for i := range stepCount {
		fmt.Fprintf(&text, "  - {id: s%d, set: {group: all, weight: %d}}\n", i, 2+i%2)
	}
	plan, err := b.write("steps.yaml", text.String())
	if err != nil {
		return err
	}
	best, sync, records := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64), 0
	for range b.rounds {
		if _, err := b.exec(ctx, 0, nil, "run", "--yes", plan); err != nil {
			return err
		}
		all, err := b.newest(ctx)
		if err != nil {
			return err
		}
		var first, last journal.Record
		n := 0
		for i, r := range all {
			if r.Type != journal.TypeStep {
				continue
			}
			if n++; n == 1 {
				first = r
				records = i
			}
			last = r
			if n == 2*stepCount {
				records = i - records + 1
			}
		}
		if n != 2*stepCount {
			return fmt.Errorf("the journal has %d records of steps, not %d", n, 2*stepCount)
		}
		best = min(best, last.Time.Sub(first.Time))
		took, err := b.fsync()
		if err != nil {
			return err
		}
		sync = min(sync, took)
	}
	b.add(fmt.Sprintf("a set step on mem, mean of %d", stepCount), "ms", ms(best)/stepCount, stepGoal, fmt.Sprintf("%.1f durable records a step", float64(records)/stepCount))
	b.add("write and fsync of 300 bytes on this disk", "ms", ms(sync), 0, "")
	return nil
}

// newest returns the records of the newest run.
func (b *bench) newest(ctx context.Context) ([]journal.Record, error) {
	store, err := journal.NewFileStore(filepath.Join(b.dir, "state"), journal.FileOptions{})
	if err != nil {
		return nil, err
	}
	ids, err := store.List(ctx)
	if err != nil || len(ids) == 0 {
		return nil, errors.Join(err, errors.New("there is no run"))
	}
	view, err := store.View(ctx, ids[0])
	if err != nil {
		return nil, err
	}
	return view.Records(), nil
}

// fsync is the mean of writing a journal-sized line durably, for comparison.
func (b *bench) fsync() (time.Duration, error) {
	f, err := os.Create(filepath.Join(b.dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	line := []byte(strings.Repeat("x", 300))
	const n = 200
	began := time.Now()
	for range n {
		if _, err := f.Write(line); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / n, nil
}
