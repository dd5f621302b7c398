package integration

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// site is an estate under load, and flip beside it.
type site struct {
	testing.TB
	*estate.Estate
	dir   string
	loads []*traffic.Load // one for each node
	env   map[string]string

	mu      sync.Mutex
	records []journal.Record // of all runs
	on      func(journal.Record)
}

// blueAndGreen are blue (v1, live) and green (idle).
func blueAndGreen() []estate.Server {
	return []estate.Server{
		{Name: "web1", Version: "v1", Weight: 100},
		{Name: "web2", Version: "v1", Weight: 100},
		{Name: "web3", Version: "v1"},
		{Name: "web4", Version: "v1"},
	}
}

// set brings an estate up. Without HAProxy the test fails when CI=true and is skipped otherwise.
func set(tb testing.TB, cfg estate.Config) *site {
	tb.Helper()
	dir, err := os.MkdirTemp("", "flip") // a test's own directory is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if cfg.Servers == nil {
		cfg.Servers = blueAndGreen()
	}
	cfg.HAProxy.CheckInterval = 100 * time.Millisecond
	e, err := estate.Start(context.WithoutCancel(tb.Context()), dir, cfg)
	if errors.Is(err, haproxytest.ErrNotInstalled) && os.Getenv("CI") != "true" {
		tb.Skipf("NOT TESTED: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s := &site{TB: tb, Estate: e, dir: dir, env: map[string]string{
		"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "NO_COLOR": "1",
	}}
	tb.Cleanup(func() {
		s.stop()
		e.Stop()
	})
	return s
}

// begin starts the strict load on every node and waits until each client was answered.
func (s *site) begin(change func(*traffic.Config)) {
	s.Helper()
	for _, n := range s.Nodes {
		cfg := strict(n.Front)
		if change != nil {
			change(&cfg)
		}
		load := traffic.Start(context.WithoutCancel(s.Context()), cfg)
		s.loads = append(s.loads, load)
		s.until("load on every client", func() error { return enough(load.Now().Phase("start"), cfg, 100) })
	}
}

// phase names what comes now in the counts of every load.
func (s *site) phase(name string) {
	for _, l := range s.loads {
		l.Phase(name)
	}
}

// stop ends the loads and returns what they saw, by node.
func (s *site) stop() []traffic.Result {
	var all []traffic.Result
	for _, l := range s.loads {
		all = append(all, l.Stop())
	}
	return all
}

// lostNothing ends the loads and wants no loss on any node.
func (s *site) lostNothing() {
	s.Helper()
	for i, r := range s.stop() {
		s.Logf("lb%d\n%s", i+1, r)
		if r.Lost() > 0 {
			s.Errorf("%d lost through lb%d", r.Lost(), i+1)
		}
	}
}

// until polls every 5 ms until nothing is missing, for as long as patience lasts.
func (s *site) until(what string, missing func() error) {
	s.Helper()
	(&rig{TB: s.TB}).until(what, missing)
}

// answer is what flip said.
type answer struct {
	code     int
	out, err string
}

func (s answer) String() string {
	return fmt.Sprintf("exit %d\n-- stdout\n%s\n-- stderr\n%s", s.code, s.out, s.err)
}

// flip runs flip in this process. s.on hears of every record when it is durable, before flip goes on.
func (s *site) flip(args ...string) answer {
	s.Helper()
	var out, errw bytes.Buffer
	app := &cmd.App{
		In: strings.NewReader(""), Out: &out, Err: &errw, Drivers: all.Drivers(), Gates: gate.Kinds(),
		Getenv: func(name string) (string, bool) {
			v, ok := s.env[name]
			return v, ok
		},
		OnRecord: s.hear,
	}
	code := app.Run(s.Context(), args)
	return answer{code, out.String(), errw.String()}
}

// want is flip, and the test ends when the exit code is another one.
func (s *site) want(code int, args ...string) answer {
	s.Helper()
	got := s.flip(args...)
	if got.code != code {
		s.Fatalf("flip %s: want exit %d, got %s", strings.Join(args, " "), code, got)
	}
	return got
}

func (s *site) hear(r journal.Record) {
	if r.Type == journal.TypeLook {
		return
	}
	s.mu.Lock()
	s.records = append(s.records, r)
	s.mu.Unlock()
	if s.on != nil {
		s.on(r)
	}
}

// once calls act when the first record of that type and key is durable.
func (s *site) once(typ journal.Type, key string, act func()) {
	var only sync.Once
	s.on = func(r journal.Record) {
		if r.Type == typ && r.Key == key {
			only.Do(act)
		}
	}
}

// process is flip as a process of its own, for what only a process can suffer.
func (s *site) process(args ...string) *exec.Cmd {
	s.Helper()
	c := exec.CommandContext(s.Context(), flipProgram(s.TB), args...)
	c.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	for k, v := range s.env {
		c.Env = append(c.Env, k+"="+v)
	}
	return c
}

// run is the arguments of flip run for a plan of the repository; vars are "name=value".
func (s *site) run(plan string, vars ...string) []string {
	args := []string{"run", "--yes", filepath.Join("..", "plans", plan+".yaml")}
	for _, v := range vars {
		args = append(args, "--var", v)
	}
	return args
}

// impatient is run with a copy of the plan whose gates wait a minute instead of two minutes.
func (s *site) impatient(args []string) []string {
	s.Helper()
	text, err := os.ReadFile(args[2])
	if err != nil {
		s.Fatal(err)
	}
	copied := filepath.Join(s.dir, filepath.Base(args[2]))
	text = bytes.ReplaceAll(text, []byte("timeout: 2m"), []byte("timeout: 1m"))
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		s.Fatal(err)
	}
	args[2] = copied
	return args
}

// release are the variables that the plans with an idle side share.
func (s *site) release(vars ...string) []string {
	return append([]string{"socket=" + s.Socket(), "deploy=" + s.Deploy, "hold=300ms", "drain=5s"}, vars...)
}

// picture is what HAProxy says of its servers and maps, asked without flip: object, attribute, value.
type picture map[string]map[string]string

// picture takes one of all nodes that run.
func (s *site) picture() picture {
	s.Helper()
	p := picture{}
	for i, n := range s.Nodes {
		if n.PID() == 0 {
			continue
		}
		name := fmt.Sprintf("lb%d/", i+1)
		s.servers(p, name, n)
		if n.MapFile == "" {
			continue
		}
		for line := range strings.Lines(s.ask(n, "show map "+n.MapFile)) {
			if f := strings.Fields(line); len(f) == 3 {
				p[name+"map "+f[1]] = map[string]string{"value": f[2]}
			}
		}
	}
	return p
}

// servers reads show servers state, whose header names the columns.
func (s *site) servers(p picture, node string, n *haproxytest.Server) {
	s.Helper()
	_, table, _ := strings.Cut(s.ask(n, "show servers state"), "\n# ")
	r := csv.NewReader(strings.NewReader(table))
	r.Comma, r.FieldsPerRecord = ' ', -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		s.Fatalf("show servers state: %v: %q", err, table)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		at := func(name string) string { return row[column[name]] }
		admin, _ := strconv.Atoi(at("srv_admin_state"))
		check, _ := strconv.Atoi(at("srv_check_state"))
		state, health := "ready", "enabled"
		switch {
		case admin&1 != 0:
			state = "maint"
		case admin&8 != 0:
			state = "drain"
		}
		if check&4 == 0 { // CHK_ST_ENABLED
			health = "disabled"
		}
		p[node+at("be_name")+"/"+at("srv_name")] = map[string]string{
			"address": at("srv_addr") + ":" + at("srv_port"), "weight": at("srv_uweight"), "state": state, "health": health,
		}
	}
}

func (s *site) ask(n *haproxytest.Server, line string) string {
	s.Helper()
	reply, err := n.Command(line)
	if err != nil {
		s.Fatal(err)
	}
	return reply
}

// with is the picture with other values: "lb1/be_web/web1", "weight", "0", and so on.
func (p picture) with(words ...string) picture {
	next := picture{}
	for object, attrs := range p {
		next[object] = maps.Clone(attrs)
	}
	for i := 0; i+2 < len(words); i += 3 {
		if next[words[i]] == nil {
			next[words[i]] = map[string]string{}
		}
		next[words[i]][words[i+1]] = words[i+2]
	}
	return next
}

// shows wants HAProxy to be as in a picture.
func (s *site) shows(want picture, when string) {
	s.Helper()
	if diff := cmp.Diff(want, s.picture()); diff != "" {
		s.Errorf("%s (-want +got):\n%s", when, diff)
	}
}
