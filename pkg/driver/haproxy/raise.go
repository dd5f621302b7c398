package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	// pollEvery is the pause between looks at servers that are checked, at
	// least; HAProxy spends at most a tenth of a thread on them.
	pollEvery = 50 * time.Millisecond
	idleShare = 9
	// proven: a server whose status has not changed for so long was checked
	// since it last left maint; HAProxy would have noticed a dead one.
	proven = 60 * time.Second
)

// raise makes servers ready that were in maint or drain. Leaving maint makes
// HAProxy call a server up before any check has run, with the result of the
// last check before maint. So they go to drain with `health down`, which makes
// HAProxy count genuine checks from zero, and become ready when all of them
// have passed on all nodes.
func (t *Target) raise(ctx context.Context, jobs []job, snaps map[string]snapshot) error {
	err := t.send(ctx, jobs, func(j job) []command {
		all := j.before
		if j.gated() {
			all = append(slices.Clone(all), j.toState(drain), j.healthDown())
		}
		return all
	})
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if !j.checked {
			driver.Progress(ctx, fmt.Sprintf("%s on %s: no health check: not verified", j, j.node.name))
		}
	}
	gated := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return !j.gated() })
	if err := t.healthy(ctx, gated, snaps); err != nil {
		return err
	}
	return t.send(ctx, jobs, func(j job) []command { return append([]command{j.toState(ready)}, j.after...) })
}

// gated: its health has to be proven first. A server that was up in drain for
// long has been checked all the time; taking it down would end the sessions
// that it still has, where `on-marked-down` says so.
func (j job) gated() bool {
	long := j.row.state() == drain && j.row.passed() && time.Duration(j.row.since)*time.Second >= proven
	return j.checked && (j.moved || !long)
}

// healthy returns when every job's server passed its checks in drain.
func (t *Target) healthy(ctx context.Context, jobs []job, snaps map[string]snapshot) error {
	if len(jobs) == 0 {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, t.cfg.healthTimeout())
	defer cancel()
	until, _ := limit.Deadline() // a socket may notice it before the context does
	waiting := jobs
	for {
		began := time.Now()
		still, err := t.unproven(limit, waiting, snaps)
		switch {
		case err != nil && limit.Err() == nil && time.Now().Before(until):
			return err
		case err == nil && len(still) == 0:
			return nil
		case err == nil:
			waiting = still
		}
		driver.Progress(ctx, "health checks of "+named3(waiting))
		if !pause(limit, max(pollEvery, idleShare*time.Since(began))) {
			if ctx.Err() != nil {
				return fmt.Errorf("haproxy: waiting for health checks of %s: %w", named3(waiting), ctx.Err())
			}
			return t.sick(ctx, waiting)
		}
	}
}

// unproven looks once, at all nodes.
func (t *Target) unproven(ctx context.Context, jobs []job, snaps map[string]snapshot) ([]job, error) {
	by := byNode(jobs)
	var mu sync.Mutex
	done := map[string]bool{}
	err := t.failure(at(nodesOf(jobs), func(n *node) error {
		snap, err := t.snapshot(ctx, n, nil)
		if err != nil {
			return err
		}
		if !snap.life.Same(snaps[n.name].life) {
			return hint.Wrap(fmt.Errorf("%s: HAProxy was reloaded while health checks ran: what was set on it is lost", n.endpoint), "look at the states of its servers before going on")
		}
		for _, j := range by[n] {
			r, ok := snap.rows[j.id]
			if !ok {
				return missing(fmt.Sprintf("server %s is gone from node %s", j.subject, n.name), "%s", "somebody deleted it")
			}
			now := r.state()
			if now == maint {
				return &driver.DriftError{Change: state.Change{Object: j.id, Attribute: State, From: drain, To: ready}, Now: now}
			}
			if now == ready || r.passed() {
				mu.Lock()
				done[j.id] = true
				mu.Unlock()
			}
		}
		return nil
	}))
	return slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return done[j.id] }), err
}

// sick tells the last status of the servers that did not pass.
func (t *Target) sick(ctx context.Context, jobs []job) error {
	failed := at(nodesOf(jobs), func(n *node) error {
		var parts []string
		for _, j := range jobs {
			if j.node != n {
				continue
			}
			detail := "status unknown"
			if stats, err := n.stats(ctx, n.endpoint.worker, []string{j.backend}); err == nil {
				if r, ok := stats[j.backend+"/"+j.server]; ok {
					detail = r.detail()
				}
			}
			if parts = append(parts, j.String()+" is "+detail); len(parts) == 3 {
				break
			}
		}
		return fmt.Errorf("%s on node %s", strings.Join(parts, "; "), n.name)
	})
	var parts []string
	for _, n := range t.nodes {
		if err := failed[n.name]; err != nil {
			parts = append(parts, err.Error())
		}
	}
	return hint.Wrap(fmt.Errorf("haproxy: set state ready: health checks did not pass within %s: %s", t.cfg.healthTimeout(), strings.Join(parts, "; ")),
		"the servers were left in drain; see why their check fails, or raise `health_timeout`")
}

func byNode(jobs []job) map[*node][]job {
	by := map[*node][]job{}
	for _, j := range jobs {
		by[j.node] = append(by[j.node], j)
	}
	return by
}

func nodesOf(jobs []job) []*node {
	var nodes []*node
	for _, j := range jobs {
		if !slices.Contains(nodes, j.node) {
			nodes = append(nodes, j.node)
		}
	}
	return nodes
}

// named3 names up to three of the jobs.
func named3(jobs []job) string {
	var parts []string
	for i, j := range jobs {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("%d more", len(jobs)-i))
			break
		}
		parts = append(parts, j.String()+" on "+j.node.name)
	}
	return strings.Join(parts, ", ")
}

// pause reports whether d passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
