package haproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Read returns the servers of every backend and the entries of every map file.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	s := state.State{Objects: map[string]state.Object{}, Nodes: map[string]state.Incarnation{}}
	var mu sync.Mutex
	failed := at(t.nodes, func(n *node) error {
		snap, err := t.snapshot(ctx, n, t.cfg.Maps)
		if err != nil {
			return err
		}
		objects := t.servers(n, snap.rows, len(snap.entries))
		for id, e := range snap.entries {
			objects[id] = e.object(n.name)
		}
		mu.Lock()
		defer mu.Unlock()
		s.Nodes[n.name] = snap.life
		if len(s.Objects) == 0 {
			s.Objects = objects
		} else {
			maps.Copy(s.Objects, objects)
		}
		return nil
	})
	switch len(failed) {
	case 0:
		return s, nil
	case len(t.nodes):
		return state.State{}, t.failure(failed)
	}
	return s, &driver.PartialError{Nodes: failed}
}

// snapshot is one node at one moment, by object id.
type snapshot struct {
	life    state.Incarnation
	rows    map[string]row
	entries map[string]entry
}

// snapshot asks all in one line: HAProxy answers it in one go.
func (t *Target) snapshot(ctx context.Context, n *node, files []string) (snapshot, error) {
	commands := make([]string, 0, 1+len(t.cfg.Backend)+len(files))
	commands = append(commands, "show info")
	for _, be := range t.cfg.Backend {
		commands = append(commands, "show servers state "+be)
	}
	for _, file := range files {
		commands = append(commands, "show map "+file)
	}
	texts, err := n.read(ctx, commands...)
	if err != nil {
		return snapshot{}, t.lost(ctx, n, err)
	}
	snap := snapshot{}
	if snap.life, err = parseInfo(texts[0], time.Now()); err != nil {
		return snap, fmt.Errorf("%s: %w", n.endpoint, err)
	}
	texts = texts[1:]
	lines := 0
	for _, text := range texts[:len(t.cfg.Backend)] {
		lines += strings.Count(text, "\n")
	}
	snap.rows = make(map[string]row, lines)
	for i, be := range t.cfg.Backend {
		prefix := n.name + "/" + be + "/"
		if err := parseServers(texts[i], func(r row) { snap.rows[prefix+r.name] = r }); err != nil {
			return snap, fmt.Errorf("%s: %w", n.endpoint, err)
		}
	}
	snap.entries = map[string]entry{}
	for i, file := range files {
		if err := parseMap(file, texts[len(t.cfg.Backend)+i], func(e entry) {
			// A key that is there twice: the first one is found, `set map` changes all.
			if _, twice := snap.entries[e.id(n.name)]; !twice {
				snap.entries[e.id(n.name)] = e
			}
		}); err != nil {
			return snap, fmt.Errorf("%s: %w", n.endpoint, err)
		}
	}
	return snap, nil
}

// known is a server as it was read before. Its maps are shared by the states
// that were read since; nobody changes them.
type known struct {
	row   row
	name  string
	attrs map[string]state.Value
	info  map[string]string
}

// servers makes the objects of rows, with room for more.
func (t *Target) servers(n *node, rows map[string]row, more int) map[string]state.Object {
	objects := make(map[string]state.Object, len(rows)+more)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) > 2*len(rows) {
		clear(n.known) // most of them were deleted
	}
	for id, r := range rows {
		k := t.recall(n, id, r)
		objects[id] = state.Object{Kind: KindServer, Name: k.name, Node: n.name, Attrs: k.attrs, Info: k.info}
	}
	return objects
}

// recall takes a row apart unless it is as it was read before: of a large
// backend few servers are not. The caller holds n.mu.
func (t *Target) recall(n *node, id string, r row) *known {
	r.since, r.checkResult = 0, 0 // in no object
	k, ok := n.known[id]
	if !ok || k.row != r {
		r = r.own()
		k = &known{r, t.name(r.backend, r.name), r.attrs(), r.info()}
		n.known[id] = k
	}
	return k
}

// attrs are the attributes of a row. Nobody changes them.
func (t *Target) attrs(n *node, id string, r row) map[string]state.Value {
	n.mu.Lock()
	defer n.mu.Unlock()
	return t.recall(n, id, r).attrs
}

// name is what plans call a server: with its backend exactly when the target
// has several, so that a name does not depend on what else exists.
func (t *Target) name(backend, server string) string {
	if len(t.cfg.Backend) == 1 {
		return server
	}
	return backend + "/" + server
}

// lost adds to a refused read what there is instead.
func (t *Target) lost(ctx context.Context, n *node, err error) error {
	r, ok := errors.AsType[*refused](err)
	if !ok {
		return err
	}
	what := strings.TrimPrefix(strings.TrimPrefix(r.command, "show servers state "), "show ")
	explained := fmt.Errorf("%s: %s: %w", n.endpoint, what, explain(err))
	switch {
	case r.is("backend"):
		if texts, err := n.read(ctx, "show backend"); err == nil {
			return hint.Wrap(explained, "backends: %s", listed(words(texts[0])))
		}
	case r.is("map identifier"):
		if texts, err := n.read(ctx, "show map"); err == nil {
			return hint.Wrap(explained, "maps: %s", listed(mapFiles(texts[0])))
		}
	}
	return explained
}

// words are the first words of all lines that are no comments.
func words(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 0 && !strings.HasPrefix(f[0], "#") {
			all = append(all, f[0])
		}
	}
	return all
}

// mapFiles are the names in `show map`: "2 (/etc/haproxy/a.map) pattern ...".
func mapFiles(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, "(")
		if file, _, ok := strings.Cut(rest, ")"); ok && file != "" && file != "file" {
			all = append(all, file)
		}
	}
	return all
}

// listed shortens a list for people.
func listed(names []string) string {
	slices.Sort(names)
	const most = 20
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// Locate names a server or a map entry on every node, whether it exists or not.
func (t *Target) Locate(kind, name string) (map[string]state.Object, error) {
	found := map[string]state.Object{}
	switch kind {
	case KindServer:
		backend, server := t.cfg.Backend[0], name
		if len(t.cfg.Backend) > 1 {
			backend, server, _ = strings.Cut(name, "/")
		}
		if !slices.Contains(t.cfg.Backend, backend) || !isName(server) {
			return nil, hint.Wrap(fmt.Errorf("haproxy: %q cannot be a server of this target", name),
				"servers are called %s", t.name(t.cfg.Backend[0], "<server>"))
		}
		for _, n := range t.nodes {
			found[n.name+"/"+backend+"/"+server] = state.Object{
				Kind: kind, Name: name, Node: n.name, Info: map[string]string{"backend": backend},
			}
		}
	case KindMap:
		file, key, _ := strings.Cut(name, " ")
		e := entry{file: file, key: key}
		if err := t.checkEntry(e); err != nil {
			return nil, fmt.Errorf("haproxy: %w", err)
		}
		for _, n := range t.nodes {
			o := e.object(n.name)
			o.Attrs = nil
			found[e.id(n.name)] = o
		}
	default:
		return nil, fmt.Errorf("haproxy: no objects of kind %q; there are %s and %s", kind, KindServer, KindMap)
	}
	return found, nil
}
