package haproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Apply writes only after every node that is concerned has answered and every
// value was compared, so drift or a node that is gone leaves all as it was. It
// keeps the order of the changes; neighbours that go to ready wait for their
// health checks together, on all nodes, and none of them is made ready before
// all of them have passed.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return nil
	}
	subjects, err := t.subjects(changes)
	if err != nil {
		return fmt.Errorf("haproxy: %w", err)
	}
	snaps, err := t.preflight(ctx, subjects)
	if err != nil {
		return err
	}
	work := make([]job, 0, len(subjects))
	for _, s := range subjects {
		j, err := t.plan(s, snaps[s.node.name])
		if err != nil {
			return fmt.Errorf("haproxy: %w", err)
		}
		if j.kind != idle {
			work = append(work, j)
		}
	}
	for len(work) > 0 {
		n := 1
		for n < len(work) && work[n].kind == work[0].kind {
			n++
		}
		if err := t.perform(ctx, work[:n], snaps); err != nil {
			return err
		}
		work = work[n:]
	}
	return nil
}

// ComparesFirst says that Apply does, see there.
func (t *Target) ComparesFirst() {}

// subject is an object with its changes.
type subject struct {
	id      string
	node    *node
	backend string
	server  string
	entry   *entry // nil for a server
	changes []state.Change
}

func (s subject) String() string {
	if s.entry != nil {
		return "map " + s.entry.file + " " + s.entry.key
	}
	return s.backend + "/" + s.server
}

// subjects groups neighbours of one object and takes their ids apart.
func (t *Target) subjects(changes []state.Change) ([]subject, error) {
	subjects := make([]subject, 0, len(changes))
	for start := 0; start < len(changes); {
		end := start + 1
		for end < len(changes) && changes[end].Object == changes[start].Object {
			end++
		}
		s, err := t.subject(changes[start].Object)
		if err != nil {
			return nil, err
		}
		s.changes = changes[start:end]
		subjects = append(subjects, s)
		start = end
	}
	return subjects, nil
}

func (t *Target) subject(id string) (subject, error) {
	name, rest, _ := strings.Cut(id, "/")
	i := slices.IndexFunc(t.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		var names []string
		for _, n := range t.nodes {
			names = append(names, n.name)
		}
		return subject{}, missing(fmt.Sprintf("no object %q: no node %q", id, name), "nodes: %s", listed(names))
	}
	s := subject{id: id, node: t.nodes[i]}
	if text, ok := strings.CutPrefix(rest, "map "); ok {
		file, key, _ := strings.Cut(text, " ")
		s.entry = &entry{file: file, key: key}
		if err := t.checkEntry(*s.entry); err != nil {
			return s, notFound(err)
		}
		return s, nil
	}
	s.backend, s.server, _ = strings.Cut(rest, "/")
	if !slices.Contains(t.cfg.Backend, s.backend) || !isName(s.server) {
		return s, missing(fmt.Sprintf("no object %q in this target", id), "its backends: %s", listed(slices.Clone(t.cfg.Backend)))
	}
	return s, nil
}

// missing says what does not exist, and what does.
func missing(what, advice, list string) error {
	return notFound(hint.Wrap(errors.New(what), advice, list))
}

// preflight reads every node that a change is about. Nothing was written when
// it fails.
func (t *Target) preflight(ctx context.Context, subjects []subject) (map[string]snapshot, error) {
	files := map[*node][]string{}
	for _, s := range subjects {
		known := files[s.node]
		if s.entry != nil && !slices.Contains(known, s.entry.file) {
			known = append(known, s.entry.file)
		}
		files[s.node] = known
	}
	taken := make([]snapshot, len(t.nodes))
	failed := at(slices.Collect(maps.Keys(files)), func(n *node) error {
		snap, err := t.snapshot(ctx, n, files[n])
		taken[slices.Index(t.nodes, n)] = snap
		return err
	})
	if len(failed) > 0 {
		return nil, fmt.Errorf("nothing was written: %w", t.failure(failed))
	}
	snaps := map[string]snapshot{}
	for i, n := range t.nodes {
		snaps[n.name] = taken[i]
	}
	return snaps, nil
}

// kind says how a job is done. Neighbours of one kind are done together.
type kind int

const (
	idle   kind = iota // nothing to do
	plain              // commands only
	raise              // to ready, through health checks
	create             // add server, then commands or a raise
	remove             // del server, when nothing is connected any more
)

// job is what is to be done about one object.
type job struct {
	subject
	kind   kind
	row    row       // of a server that exists
	before []command // weight, address, checks
	to     state.Value
	after  []command // the agent comes back last
	add    string
	// checked: health checks run when the state is set. moved: it gets a new
	// address, so that no earlier check tells anything.
	checked, moved bool
}

// command is one line for HAProxy; label is what people call it.
type command struct{ text, label string }

func (j job) command(verb, text string) command {
	return command{text, verb + " " + j.String()}
}

// commands are those of a plain job, the state after what it depends on.
func (j job) commands() []command {
	all := slices.Clone(j.before)
	if j.to.Present() {
		all = append(all, j.toState(j.to))
		if j.to == drain && j.row.state() == maint && j.checked {
			// Leaving maint declares the server up before any check ran, and
			// drain still serves pinned clients.
			all = append(all, j.healthDown())
		}
	}
	return append(all, j.after...)
}

func (j job) toState(to state.Value) command {
	return j.command("set state "+to.Text(), "set server "+j.String()+" state "+to.Text())
}

// healthDown makes HAProxy count `rise` genuine checks from zero.
func (j job) healthDown() command {
	return j.command("set health down", "set server "+j.String()+" health down")
}

func (t *Target) perform(ctx context.Context, jobs []job, snaps map[string]snapshot) error {
	switch jobs[0].kind {
	case raise:
		return t.raise(ctx, jobs, snaps)
	case create:
		return t.create(ctx, jobs, snaps)
	case remove:
		return t.remove(ctx, jobs)
	case plain, idle:
	}
	return t.send(ctx, jobs, job.commands)
}

// send writes what each job gives, nodes at the same time, a node's commands
// in order. It tells every refusal.
func (t *Target) send(ctx context.Context, jobs []job, commands func(job) []command) error {
	by := map[*node][]command{}
	for _, j := range jobs {
		by[j.node] = append(by[j.node], commands(j)...)
	}
	return t.failure(at(slices.Collect(maps.Keys(by)), func(n *node) error {
		return n.writeAll(ctx, by[n])
	}))
}

func (n *node) writeAll(ctx context.Context, commands []command) error {
	texts := make([]string, len(commands))
	for i, c := range commands {
		texts[i] = c.text
	}
	outcome, err := n.write(ctx, texts)
	var errs []error
	for i, e := range outcome {
		if e != nil {
			errs = append(errs, fmt.Errorf("%s: %w", commands[i].label, explain(e)))
		}
	}
	const most = 5
	if len(errs) > most {
		errs = append(errs[:most], fmt.Errorf("and %d more were refused", len(errs)-most))
	}
	if err != nil {
		label := commands[min(len(outcome), len(commands)-1)].label
		if rest := len(commands) - len(outcome); rest > 1 {
			label += fmt.Sprintf(" and %d more", rest-1)
		}
		errs = append(errs, fmt.Errorf("%s: %w", label, err))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// order is the one in which attributes of a server are written.
func order(a, b state.Change) int { return cmp.Compare(rank(a), rank(b)) }

// rank: an agent that is disabled goes first, or it overwrites the weight; one
// that is enabled goes last.
func rank(c state.Change) int {
	switch c.Attribute {
	case Agent:
		if c.To == disabled {
			return 0
		}
		return 5
	case Weight:
		return 1
	case Address:
		return 2
	case Health:
		return 3
	}
	return 4
}
