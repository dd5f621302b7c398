package engine_test

import (
	stdcmp "cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// lab is a small world to run plans in: targets in memory that outlive the
// processes which drive them, gates that do as a test says, a journal on disk.
type lab struct {
	t     testing.TB
	dir   string
	text  string
	file  string // the plan's, when the test writes one
	log   *slog.Logger
	mems  map[string]*mem.Target
	env   map[string]string // for secrets
	clean *secret.Redactor

	// wrap stands around a target, by its name. It is asked once.
	wrap map[string]func(driver.Driver) driver.Driver
	// store stands around the store of the next process.
	store func(engine.Store) engine.Store
	// view opens the plan's views; nil is the real ones.
	view func(name string, decode func(any) error, env resolve.Env) (resolve.View, error)
	host string // where the next process runs; empty: here
	// sim is what the next process is made to do.
	sim engine.Sim
	// onRecord hears of every record that is durable, and of every look.
	onRecord func(journal.Record)
	// net is how gates and drains reach members, nil for the real network.
	net *http.Transport
	// gates decide the nth look of a scripted gate, from 1.
	gates map[string]func(n int) (gate.Result, error)

	mu      sync.Mutex
	opened  map[string]driver.Driver
	looks   map[string]int
	applied []string // "web lb1/a1 weight 100 -> 50", in the order of the writes
	process int
	id      string
}

func newLab(t testing.TB, text string) *lab {
	t.Helper()
	return &lab{
		t: t, dir: quickDir(t), text: text, log: slog.New(slog.DiscardHandler), mems: map[string]*mem.Target{}, env: map[string]string{}, clean: &secret.Redactor{},
		wrap: map[string]func(driver.Driver) driver.Driver{}, gates: map[string]func(int) (gate.Result, error){},
		opened: map[string]driver.Driver{}, looks: map[string]int{},
	}
}

// world has the driver mem, the driver mute, which tells nothing of what is in
// flight, and two kinds of gates: scripted and command.
func (l *lab) world() engine.World {
	secrets := secret.NewResolver(l.clean)
	secrets.Getenv = func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }
	open := func(_ context.Context, o mem.Options, _ driver.Env) (driver.Driver, error) { return l.open(o), nil }
	mute := mem.Info()
	mute.Name, mute.Counts, mute.Kills = "mute", false, false
	return engine.World{
		Drivers: driver.NewRegistry(driver.Define(mem.Info(), open), driver.Define(mute, open)),
		Gates:   gate.NewRegistry(gate.Define("script", "does as the test says", l.script), gate.Command()),
		Secrets: secrets, Log: l.log, View: l.view,
	}
}

func (l *lab) open(o mem.Options) driver.Driver {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, ok := l.opened[o.Name]; ok {
		return d
	}
	m := mem.New(o)
	l.mems[o.Name] = m
	var d driver.Driver = &witness{l, o.Name, m}
	if w := l.wrap[o.Name]; w != nil {
		d = w(d)
	}
	l.opened[o.Name] = d
	return d
}

type scriptConfig struct {
	Name string `yaml:"name"`
}

type script struct {
	l    *lab
	name string
}

func (l *lab) script(c scriptConfig, _ gate.Env) (gate.Gate, error) { return &script{l, c.Name}, nil }

// Check counts looks per name, so that a plan with ${{ member.name }} has a
// script for each member.
func (s *script) Check(context.Context) (gate.Result, error) {
	s.l.mu.Lock()
	s.l.looks[s.name]++
	n, f := s.l.looks[s.name], s.l.gates[s.name]
	s.l.mu.Unlock()
	if f == nil {
		return gate.Result{Pass: true, Detail: "fine"}, nil
	}
	return f(n)
}

// witness writes down every change that a target accepts.
type witness struct {
	l    *lab
	name string
	*mem.Target
}

func (w *witness) Apply(ctx context.Context, changes []state.Change) error {
	before, _ := w.Read(ctx)
	if err := w.Target.Apply(ctx, changes); err != nil {
		return err
	}
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	for _, c := range changes {
		if now := before.Get(c.Object, c.Attribute); now != c.To {
			w.l.applied = append(w.l.applied, fmt.Sprintf("%s %s %s %s -> %s", w.name, c.Object, c.Attribute, now, c.To))
		}
	}
	return nil
}

// unsynced is a file that does not wait for the disk: the tests end before
// any power failure.
type unsynced struct{ *os.File }

func (unsynced) Sync() error { return nil }

// runner is a new process.
func (l *lab) runner() *engine.Runner {
	l.t.Helper()
	store, err := journal.NewFileStore(l.dir, journal.FileOptions{
		Log: l.log, Redact: l.clean.Bytes,
		OpenFile: func(path string, flag int, mode fs.FileMode) (journal.File, error) {
			f, err := os.OpenFile(path, flag, mode)
			return unsynced{f}, err
		},
		OnRecord: func(r journal.Record) {
			if l.onRecord != nil {
				l.onRecord(r)
			}
		},
	})
	must(l.t, err)
	// A process of this host that is gone: number 1 started at another time.
	self := journal.Self()
	if l.host != "" {
		self.Host = l.host
	}
	l.process++
	self.PID, self.Start = 1, fmt.Sprintf("test %d", l.process)
	locks := journal.NewLocks(l.dir, journal.LocksOptions{Ended: store.Ended, Log: l.log, Self: self})
	r := &engine.Runner{World: l.world(), Store: store, Locks: locks, Version: "test", Who: "tester", Sim: l.sim, GateEnv: gate.Env{Transport: l.net}}
	if l.store != nil {
		r.Store = l.store(store)
	}
	return r
}

func (l *lab) load() plan.Plan {
	l.t.Helper()
	p, err := plan.Load([]byte(l.text), plan.Options{File: stdcmp.Or(l.file, "plan.yaml")})
	must(l.t, err)
	return p
}

// program opens the plan.
func (l *lab) program() *engine.Program {
	l.t.Helper()
	prog, err := engine.Open(l.t.Context(), l.load(), l.world())
	must(l.t, err)
	return prog
}

// options let a run go on to its end; id is noted.
func (l *lab) options(o engine.Options) engine.Options {
	if o.Soft == nil {
		o.Soft = context.Background()
	}
	if o.Hard == nil {
		o.Hard = context.Background()
	}
	o.Started = func(id, _ string) { l.id = id }
	return o
}

// start runs the plan and returns how it ended.
func (l *lab) start(o engine.Options) (journal.End, error) {
	l.t.Helper()
	prog := l.program()
	defer prog.Close()
	return l.runner().Start(context.Background(), prog, l.options(o))
}

func (l *lab) resume(o engine.Options) (journal.End, error) {
	return l.runner().Resume(context.Background(), l.id, l.options(o))
}

func (l *lab) rollback(o engine.Options) (journal.End, error) {
	return l.runner().Rollback(context.Background(), l.id, "the test wants it", l.options(o))
}

// run starts the plan and fails the test unless it ends as want.
func (l *lab) run(want journal.Outcome) journal.End {
	l.t.Helper()
	end, err := l.start(engine.Options{})
	return l.ended(want, end, err)
}

func (l *lab) ended(want journal.Outcome, end journal.End, err error) journal.End {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("the run could not go on: %v\n%s", err, l.story())
	}
	if end.Outcome != want {
		l.t.Fatalf("the run is %q, want %q: %s\n%s", end.Outcome, want, end.Reason, l.story())
	}
	return end
}

func (l *lab) records() []journal.Record {
	l.t.Helper()
	v, err := l.runner().Store.View(context.Background(), l.id)
	must(l.t, err)
	return v.Records()
}

// lines are the records without times, hashes and data.
func (l *lab) lines() []string {
	var lines []string
	for _, r := range l.records() {
		line := string(r.Type)
		if r.Type == journal.TypeStep {
			s, _ := journal.Decode[journal.Step](r)
			line += " " + s.Status
		} else if r.Activity != "" {
			line += " " + r.Activity
		}
		lines = append(lines, strings.TrimSpace(line+" "+r.Key))
	}
	return lines
}

// story is the journal, for a failing test's output.
func (l *lab) story() string {
	if l.id == "" {
		return "(no run)"
	}
	var b strings.Builder
	for _, r := range l.records() {
		fmt.Fprintf(&b, "%3d %s %s %s %s", r.Seq, r.Type, r.Key, r.Activity, r.Data)
		if r.Error != nil {
			fmt.Fprintf(&b, " ERROR %s: %s", r.Error.Class, r.Error.Text)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// locked are the scopes that are locked now.
func (l *lab) locked() []string {
	l.t.Helper()
	all, err := journal.NewLocks(l.dir, journal.LocksOptions{}).List(context.Background())
	must(l.t, err)
	var scopes []string
	for _, i := range all {
		scopes = append(scopes, i.Scope)
	}
	return scopes
}

// live is what a target shows now: "100 ready" by id; "ready" of a server and
// "present" go without saying.
func (l *lab) live(target string) map[string]string {
	l.t.Helper()
	l.open(mem.Options{Name: target})
	s, err := l.mems[target].Read(context.Background())
	if _, partial := errors.AsType[*driver.PartialError](err); !partial {
		must(l.t, err)
	}
	out := map[string]string{}
	for id, o := range s.Objects {
		var words []string
		for _, a := range slices.Sorted(maps.Keys(o.Attrs)) {
			if v := o.Attrs[a].String(); v != "ready" && a != mem.Present {
				words = append(words, v)
			}
		}
		out[id] = strings.Join(words, " ")
	}
	return out
}

// shows fails the test unless the target shows want.
func (l *lab) shows(target string, want map[string]string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.live(target)); diff != "" {
		l.t.Errorf("%s (-want +got):\n%s", target, diff)
	}
}

// changedBy is what somebody else does.
func (l *lab) outside(target, id, attr string, v state.Value) {
	l.t.Helper()
	must(l.t, l.mems[target].Set(id, attr, v))
}

// writes are the changes that were made so far, and forgets them.
func (l *lab) writes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.applied
	l.applied = nil
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func contains(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q says nothing about %q", text, part)
	}
}

func no(detail string) (gate.Result, error)  { return gate.Result{Detail: detail}, nil }
func yes(detail string) (gate.Result, error) { return gate.Result{Pass: true, Detail: detail}, nil }

func contextWithCancel(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx, cancel
}

func (l *lab) runDir() string { return filepath.Join(l.dir, "runs", l.id) }

func asError[T error](err error, to *T) bool { return errors.As(err, to) }

type ctx = context.Context
