package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	startRounds = 20
	startGoal   = 25.0 // ms
	initGoal    = 1.0  // ms, of any one package
)

// start measures `flip version`: what every command pays before it does
// anything, and what of that is spent in package initialization.
func (b *bench) start(ctx context.Context) error {
	best := time.Duration(math.MaxInt64)
	for range startRounds {
		c, err := b.exec(ctx, 0, nil, "version")
		if err != nil {
			return err
		}
		best = min(best, c.took)
	}
	b.add("flip version, best of 20", "ms", ms(best), startGoal, "")
	info, err := os.Stat(b.flip)
	if err != nil {
		return err
	}
	b.add("size of the program, stripped", "MB", float64(info.Size())/1e6, 0, "")
	inits, err := b.inits(ctx)
	if err != nil {
		return err
	}
	for _, i := range inits[:min(3, len(inits))] {
		b.add("init of "+i.pkg, "ms", i.ms, initGoal, "")
	}
	return nil
}

// spent is what the initialization of a package took.
type spent struct {
	pkg string
	ms  float64
}

// inits are the packages by what their initialization takes, the slowest
// first: each one's best of several starts. The lines are "init PACKAGE @T ms,
// D ms clock, ..." (runtime, GODEBUG inittrace).
func (b *bench) inits(ctx context.Context) ([]spent, error) {
	best := map[string]float64{}
	for range 5 {
		c, err := b.exec(ctx, 0, []string{"GODEBUG=inittrace=1"}, "version")
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(c.stderr) {
			f := strings.Fields(line)
			if len(f) < 5 || f[0] != "init" {
				continue
			}
			d, err := strconv.ParseFloat(f[4], 64)
			if err != nil {
				return nil, fmt.Errorf("inittrace says %q", line)
			}
			if was, seen := best[f[1]]; !seen || d < was {
				best[f[1]] = d
			}
		}
	}
	var all []spent
	for pkg, d := range best {
		all = append(all, spent{pkg, d})
	}
	slices.SortFunc(all, func(x, y spent) int { return cmp.Or(cmp.Compare(y.ms, x.ms), cmp.Compare(x.pkg, y.pkg)) })
	return all, nil
}

const loadGoal = 1000.0 // ms

// planLoad measures `flip lint` of a plan that names every member.
func (b *bench) planLoad(ctx context.Context) error {
	var blue, green []string
	for i := range b.servers {
		if i%2 == 0 {
			blue = append(blue, nameOf(i))
		} else {
			green = append(green, nameOf(i))
		}
	}
	plan, err := b.write("members.yaml", fmt.Sprintf(`flip: 1
name: bench-members
targets:
  web: {driver: haproxy, endpoints: ["unix:///run/haproxy/admin.sock"], backend: be_web}
groups:
  blue:
    web:
      - %s
  green: {web: [%s]}
alternate: [blue, green]
steps:
  - {id: shift, ramp: {from: live, to: idle, percent: [50, 100], hold: 1s}}
`, strings.Join(blue, "\n      - "), strings.Join(green, ", ")))
	if err != nil {
		return err
	}
	best := time.Duration(math.MaxInt64)
	for range b.rounds {
		c, err := b.exec(ctx, 0, nil, "lint", plan)
		if err != nil {
			return err
		}
		best = min(best, c.took)
	}
	b.add(fmt.Sprintf("flip lint of a plan that names %d members", b.servers), "ms", ms(best), loadGoal, "half in a block list, half in a flow list")
	return nil
}
