package haproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
)

// stats asks for all servers of the backends, by "backend/server". worker
// chooses the process behind a master socket.
func (n *node) stats(ctx context.Context, worker string, backends []string) (map[string]statRow, error) {
	var commands []string
	for _, be := range backends {
		commands = append(commands, "show stat "+be+" 4 -1") // 4: servers only
	}
	replies, err := n.exchange(ctx, worker, commands)
	if err != nil {
		return nil, err
	}
	rows := map[string]statRow{}
	for i, r := range replies {
		if r.refused() {
			return nil, fmt.Errorf("%s: %w", n.endpoint, explain(&refused{commands[i], r.text}))
		}
		if err := parseStat(r.text, func(s statRow) { rows[s.backend+"/"+s.name] = s }); err != nil {
			return nil, fmt.Errorf("%s: %w", n.endpoint, err)
		}
	}
	return rows, nil
}

// each calls visit with the statistics of every server that ids name. It fails
// when one node does not answer or one server does not exist. visit is called
// by one goroutine at a time.
func (t *Target) each(ctx context.Context, ids []string, visit func(id string, r statRow), also func(n *node, of []subject) error) error {
	by := map[*node][]subject{}
	for _, id := range ids {
		s, err := t.subject(id)
		if err != nil {
			return fmt.Errorf("haproxy: %w", err)
		}
		if s.entry != nil {
			return fmt.Errorf("haproxy: %s carries no traffic", id)
		}
		by[s.node] = append(by[s.node], s)
	}
	var nodes []*node
	for n := range by {
		nodes = append(nodes, n)
	}
	var mu sync.Mutex
	return t.failure(at(nodes, func(n *node) error {
		rows, err := n.stats(ctx, n.endpoint.worker, backendsOf(by[n]))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range by[n] {
			r, ok := rows[s.backend+"/"+s.server]
			if !ok {
				return notFound(fmt.Errorf("no server %s", s))
			}
			visit(s.id, r)
		}
		if also == nil {
			return nil
		}
		return also(n, by[n])
	}))
}

func backendsOf(subjects []subject) []string {
	var all []string
	for _, s := range subjects {
		if !slices.Contains(all, s.backend) {
			all = append(all, s.backend)
		}
	}
	return all
}

// Health tells what HAProxy's checks say. Right after maint HAProxy calls a
// server up that no check has looked at; such a server is unknown here.
func (t *Target) Health(ctx context.Context, ids []string) (map[string]driver.Health, error) {
	health := make(map[string]driver.Health, len(ids))
	err := t.each(ctx, ids, func(id string, r statRow) {
		health[id] = driver.Health{State: r.health(), Detail: r.detail()}
	}, nil)
	if err != nil {
		return nil, err
	}
	return health, nil
}

func (r statRow) health() driver.HealthState {
	word, _, _ := strings.Cut(r.status, " ")
	switch word {
	case "UP", "DRAIN":
		// A server in drain shows DRAIN also when nobody checks it.
		if r.stale() || (r.checkStatus == "" && r.tracked == "") {
			return driver.Unknown
		}
		return driver.Up
	case "DOWN", "MAINT", "NOLB":
		return driver.Down
	}
	return driver.Unknown // "no check"
}

// stale: the status does not come from checks that ran since maint. A server
// that goes down shows a fraction with a failed check; one that shows a
// fraction with a passed check was just declared up, or has only begun to
// recover. With `fall 1` there are no fractions, only the time.
func (r statRow) stale() bool {
	const young = 3 // seconds
	_, fraction := strings.CutPrefix(r.status, strings.TrimRight(r.status, "0123456789/"))
	passed := strings.HasSuffix(r.checkStatus, "OK") || strings.HasSuffix(r.checkStatus, "OKC")
	switch {
	case r.checkStatus == "INI", r.checkStatus == "UNK":
		return true
	case strings.Contains(r.status, "/") && fraction:
		return passed
	}
	return r.fall == 1 && passed && r.lastChange < young
}

// InFlight counts sessions and queued requests. Behind a master socket it
// counts those of old workers too, which still serve what they had before a
// reload; over a worker's own socket they cannot be seen.
func (t *Target) InFlight(ctx context.Context, ids []string) (map[string]driver.Flight, error) {
	flights := make(map[string]driver.Flight, len(ids))
	err := t.each(ctx, ids, func(id string, r statRow) {
		flights[id] = driver.Flight{Now: r.scur + r.qcur, Total: r.stot}
	}, func(n *node, of []subject) error {
		return n.oldFlights(ctx, of, flights)
	})
	if err != nil {
		return nil, err
	}
	return flights, nil
}

func (n *node) oldFlights(ctx context.Context, of []subject, flights map[string]driver.Flight) error {
	pids, err := n.old(ctx)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		rows, err := n.stats(ctx, "@!"+pid, backendsOf(of))
		if err != nil {
			return fmt.Errorf("old worker %s, which may still have sessions: %w", pid, err)
		}
		for _, s := range of {
			r := rows[s.backend+"/"+s.server]
			f := flights[s.id]
			flights[s.id] = driver.Flight{Now: f.Now + r.scur + r.qcur, Total: f.Total + r.stot}
		}
	}
	return nil
}

// old returns the pids of workers that finish what they had before a reload,
// none where there is no master to ask.
func (n *node) old(ctx context.Context) ([]string, error) {
	if n.endpoint.worker == "" {
		return nil, nil
	}
	proc, err := n.exchange(ctx, "", []string{"show proc"})
	if err != nil {
		return nil, err
	}
	if proc[0].refused() {
		return nil, fmt.Errorf("%s: show proc: %w", n.endpoint, explain(&refused{"show proc", proc[0].text}))
	}
	return oldWorkers(proc[0].text), nil
}

// Traffic tells answers and errors since HAProxy started. In tcp mode sessions
// stand for answers.
func (t *Target) Traffic(ctx context.Context, ids []string) (map[string]driver.Traffic, error) {
	totals := make(map[string]driver.Traffic, len(ids))
	err := t.each(ctx, ids, func(id string, r statRow) {
		totals[id] = driver.Traffic{Answers: r.answers, Errors: r.errors, Queue: r.qcur}
	}, nil)
	if err != nil {
		return nil, err
	}
	return totals, nil
}

// Kill ends the sessions of servers, behind a master socket those of old
// workers too.
func (t *Target) Kill(ctx context.Context, ids []string) error {
	var jobs []job
	for _, id := range ids {
		s, err := t.subject(id)
		if err == nil && s.entry != nil {
			err = driver.Permanent(errors.New(id + " carries no traffic"))
		}
		if err != nil {
			return fmt.Errorf("haproxy: %w", err)
		}
		jobs = append(jobs, job{subject: s})
	}
	if err := t.send(ctx, jobs, func(j job) []command { return []command{j.killed()} }); err != nil {
		return err
	}
	return t.failure(at(nodesOf(jobs), func(n *node) error { return n.killOld(ctx, byNode(jobs)[n]) }))
}

func (j job) killed() command {
	return j.command("shutdown sessions", "shutdown sessions server "+j.String())
}

func (n *node) killOld(ctx context.Context, jobs []job) error {
	pids, err := n.old(ctx)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		for _, j := range jobs {
			replies, err := n.exchange(ctx, "@!"+pid, []string{j.killed().text})
			if err != nil {
				return fmt.Errorf("old worker %s: %s: %w", pid, j.killed().label, driver.Uncertain(err))
			}
			// It may not have known the server.
			if r := replies[0]; r.text != "" && !strings.HasPrefix(r.text, "No such") {
				return fmt.Errorf("old worker %s: %s: %w", pid, j.killed().label, explain(r.outcome(j.killed().text)))
			}
		}
	}
	return nil
}
