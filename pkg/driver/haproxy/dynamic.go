package haproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
)

// removeEvery is the pause between attempts to delete a server. HAProxy 2.6
// knows no command that waits, and lets idle connections to a server end only
// with time.
const removeEvery = 100 * time.Millisecond

// create adds servers, which stand in maint without running checks at first,
// and brings them to the state that they should have.
func (t *Target) create(ctx context.Context, jobs []job, snaps map[string]snapshot) error {
	// The answers of `add server` are not all ended alike, so that each has
	// its own connection.
	err := t.failure(at(nodesOf(jobs), func(n *node) error {
		for _, j := range byNode(jobs)[n] {
			if err := n.writeAll(ctx, []command{j.command("add server", j.add)}); err != nil {
				return err
			}
		}
		return nil
	}))
	if err != nil {
		return err
	}
	return errors.Join(t.rest(ctx, jobs, false, snaps), t.rest(ctx, jobs, true, snaps))
}

// rest brings new servers to their state: those that go to ready, or the others.
func (t *Target) rest(ctx context.Context, jobs []job, toReady bool, snaps map[string]snapshot) error {
	jobs = slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return (j.to == ready) != toReady })
	if len(jobs) == 0 {
		return nil
	}
	if toReady {
		return t.raise(ctx, jobs, snaps)
	}
	return t.send(ctx, jobs, job.commands)
}

// remove deletes servers once nothing is connected to them. Drain comes before
// maint, which may cut sessions (`on-marked-down shutdown-sessions`).
func (t *Target) remove(ctx context.Context, jobs []job) error {
	lively := slices.DeleteFunc(slices.Clone(jobs), func(j job) bool { return j.row.state() != ready })
	if err := t.send(ctx, lively, func(j job) []command { return []command{j.toState(drain)} }); err != nil {
		return err
	}
	if err := t.emptied(ctx, lively); err != nil {
		return err
	}
	err := t.send(ctx, jobs, func(j job) []command {
		if j.row.state() == maint {
			return nil
		}
		return []command{j.toState(maint)}
	})
	if err != nil {
		return err
	}
	return t.failure(at(nodesOf(jobs), func(n *node) error {
		for _, j := range byNode(jobs)[n] {
			if err := n.remove(ctx, j); err != nil {
				return err
			}
		}
		return nil
	}))
}

// emptied waits until nothing is in flight, but no longer than health checks
// may take: clients that a cookie pins never leave a server in drain.
func (t *Target) emptied(ctx context.Context, jobs []job) error {
	if len(jobs) == 0 {
		return nil
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.id)
	}
	limit, cancel := context.WithTimeout(ctx, t.cfg.healthTimeout())
	defer cancel()
	for {
		flights, err := t.InFlight(limit, ids)
		if err != nil && limit.Err() == nil {
			return err
		}
		now := 0
		for _, f := range flights {
			now += f.Now
		}
		if err == nil && now == 0 {
			return nil
		}
		driver.Progress(ctx, fmt.Sprintf("%d sessions on %s", now, named3(jobs)))
		if !pause(limit, removeEvery) {
			return ctx.Err()
		}
	}
}

// remove tries until HAProxy agrees or ctx ends. An answer that was lost is
// not asked for again: the caller reads back.
func (n *node) remove(ctx context.Context, j job) error {
	cmd := j.command("del server", "del server "+j.String())
	for {
		err := n.writeAll(ctx, []command{cmd})
		r, ok := errors.AsType[*refused](err)
		switch {
		case err == nil, ok && r.is("No such server"):
			return nil
		case !ok, !r.is("still has connections") && !r.is("still in use"):
			return err
		}
		driver.Progress(ctx, fmt.Sprintf("%s on %s still has connections", j, n.name))
		if !pause(ctx, removeEvery) {
			return fmt.Errorf("%s: %s: %w", cmd.label, r.text, ctx.Err())
		}
	}
}
