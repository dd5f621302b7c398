package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/gate"
)

// goodPlan is a plan with nothing wrong; every row breaks one thing.
const goodPlan = `flip: 1
name: shop
targets:
  web:
    driver: haproxy
    endpoints: ["unix://SOCKET"]
    backend: be_web
    timeout: 1s
groups:
  blue:  {web: [web1, web2]}
  green: {web: [web3, web4]}
alternate: [blue, green]
guards:
  - {target: web, min_serving: 2}
gates:
  up: {haproxy: {target: web, members: [live], max_error_rate: 1%}}
steps:
  - id: raise
    set: {group: idle, weight: 0, state: ready}
  - id: shift
    ramp: {from: live, to: idle, percent: [100], gate: up}
`

// badInput is one mistake and the command that meets it.
type badInput struct {
	name string
	// old is replaced by new in goodPlan; with no old, new is the whole plan.
	old, new string
	args     string // "run p.yaml" unless given
	// world changes the load balancer and may return another socket.
	world func(*badWorld) string
	// powerless runs flip as a user that owns nothing.
	powerless bool
}

// badWorld is the load balancer of one row.
type badWorld struct {
	*testing.T
	fake *haproxytest.Fake
	dir  string
}

func (w *badWorld) chmod(path string, mode os.FileMode) {
	if err := os.Chmod(path, mode); err != nil {
		w.Fatal(err)
	}
}

// mine are the rights that the owner loses too: flip runs as somebody else only
// where this test runs as root.
func (w *badWorld) mine() os.FileMode {
	if os.Getuid() == 0 {
		return 0
	}
	return 0o700
}

var badInputs = []badInput{
	// The command line.
	{name: "no command that exists", args: "rnu p.yaml"},
	{name: "no plan named", args: "run"},
	{name: "two plans", args: "run p.yaml q.yaml"},
	{name: "a plan that is not there", args: "run q.yaml"},
	{name: "a plan that is a directory", args: "run ."},
	{name: "an unknown flag", args: "run p.yaml --yse"},
	{name: "a flag of another command", args: "plan p.yaml --yes"},
	{name: "a flag without its value", args: "run p.yaml --live"},
	{name: "a duration that is none", args: "run p.yaml --lock-wait soon"},
	{name: "an output that is none", args: "status -o yaml"},
	{name: "a color that is none", args: "status --color blue"},
	{name: "an answer to drift that is none", args: "run p.yaml --on-drift=ignore"},
	{name: "an answer to a stop that is none", args: "run p.yaml --on-interrupt=wait"},
	{name: "a time that is negative", args: "run p.yaml --lock-wait=-1s"},
	{name: "two answers to where a run stands", args: "stop --accept --rollback"},
	{name: "a run that does not exist", args: "show 01ARZ3NDEKTSV4RRFFQ69G5FAV"},
	{name: "a word that is no run", args: "resume yesterday"},
	{name: "no run at all", args: "rollback"},
	{name: "nothing to resume", args: "resume"},
	{name: "nothing to stop", args: "stop"},
	{name: "an approval of nothing", args: "approve"},
	{name: "a target that the plan does not have", args: "get p.yaml wbe"},
	{name: "a driver that does not exist", args: "drivers haprxy"},
	{name: "a lock that nobody holds", args: "unlock haproxy://lb/be_web --yes"},
	{name: "a settings file that is not there", args: "run p.yaml --config flip.toml"},
	{name: "a variable that the plan does not have", args: "run p.yaml --var version=v1"},
	{name: "a variable without a value", args: "run p.yaml --var version"},
	{name: "a variable file that is not there", args: "run p.yaml --var-file prod.yaml"},

	{name: "a plan from the net", args: "run https://git.example/p.yaml"},
	{name: "a plan on standard input", args: "lint -"},
	{name: "a long flag with one dash", args: "run p.yaml -var version=v1"},
	{name: "a dry run", args: "run p.yaml --dry-run"},
	{name: "a patience that is negative", args: "run p.yaml --undo-timeout=-1s"},

	// The plan.
	{name: "an empty plan", new: "\n"},
	{name: "not yaml", new: "{"},
	{name: "a settings file instead of a plan", new: "output: json\n"},
	{name: "an unknown key", old: "alternate:", new: "alternative:"},
	{name: "an unknown verb", old: "    set: {group: idle, weight: 0, state: ready}", new: "    sett: {group: idle, weight: 0, state: ready}"},
	{name: "two verbs in a step", old: "    set: {group: idle, weight: 0, state: ready}", new: "    set: {group: idle, weight: 0}\n    wait: 1s"},
	{name: "no verb in a step", old: "    set: {group: idle, weight: 0, state: ready}", new: "    timeout: 1s"},
	{name: "an id twice", old: "id: shift", new: "id: raise"},
	{name: "an unknown driver", old: "driver: haproxy", new: "driver: haprxy"},
	{name: "a line that is indented too far", old: "  blue:  {web", new: "    blue:  {web"},
	{name: "a reference to a kind of secret that flip does not know", new: `flip: 1
name: users
targets:
  users: {driver: nacos, servers: ["http://127.0.0.1:1"], service: users, username: flip, password: "${vault:nacos}"}
steps:
  - {id: out, set: {target: users, enabled: false}}
`},
	{name: "an unknown option of a driver", old: "backend: be_web", new: "backnd: be_web"},
	{name: "an unknown attribute", old: "weight: 0", new: "wieght: 0"},
	{name: "weight 300", old: "weight: 0", new: "weight: 300"},
	{name: "a weight that is a word", old: "weight: 0", new: "weight: full"},
	{name: "a state that HAProxy does not know", old: "state: ready", new: "state: up"},
	{name: "an unknown group", old: "group: idle", new: "group: gren"},
	{name: "a group of an unknown target", old: "green: {web: [web3", new: "green: {wbe: [web3"},
	{name: "an unknown gate", old: "gate: up", new: "gate: upp"},
	{name: "an unknown kind of gate", old: "haproxy: {target: web, members", new: "haprxy: {target: web, members"},
	{name: "a ramp from a group to itself", old: "to: idle", new: "to: live"},
	{name: "a ramp that ends at 101 percent", old: "[100]", new: "[50, 101]"},
	{name: "a ramp that goes down", old: "[100]", new: "[50, 25]"},
	{name: "a guard of an unknown target", old: "- {target: web, min", new: "- {target: wbe, min"},
	{name: "an anchor that holds itself", old: "    set: {group: idle, weight: 0, state: ready}", new: "    parallel: &loop\n      - *loop"},
	{name: "the output of a later step", old: "    set: {group: idle, weight: 0, state: ready}", new: "    run: echo ${{ steps.shift.outputs.x }}\n    undo: none"},
	{name: "a required variable that is missing", old: "targets:", new: "vars:\n  version: {type: string, required: true}\ntargets:"},

	// The live system.
	{name: "a socket that is not there", world: func(*badWorld) string { return "gone.sock" }},
	{name: "a socket in a directory that is not there", world: func(*badWorld) string { return "run/haproxy/admin.sock" }},
	{name: "a socket that flip may not use", powerless: true, world: func(w *badWorld) string {
		w.chmod(filepath.Dir(w.fake.Socket), 0o755)
		w.chmod(w.fake.Socket, 0o600&^w.mine())
		return w.fake.Socket
	}},
	{name: "a socket in a directory that flip may not enter", powerless: true, world: func(w *badWorld) string {
		w.chmod(filepath.Dir(w.fake.Socket), 0o700&^w.mine())
		w.Cleanup(func() { w.chmod(filepath.Dir(w.fake.Socket), 0o700) })
		return w.fake.Socket
	}},
	{name: "a file that is no socket", world: func(w *badWorld) string {
		if err := os.WriteFile("admin.sock", nil, 0o600); err != nil {
			w.Fatal(err)
		}
		return "admin.sock"
	}},
	{name: "a socket that nobody listens on", world: func(w *badWorld) string {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "dead.sock", Net: "unix"})
		if err != nil {
			w.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()
		return "dead.sock"
	}},
	{name: "a socket that hangs", world: faulty(haproxytest.Hang)},
	{name: "a socket that closes without an answer", world: faulty(haproxytest.CloseWithoutReply)},
	{name: "a socket that answers garbage", world: faulty(haproxytest.Garbage)},
	{name: "a socket that answers with half a table", world: faulty(haproxytest.CutReply)},
	{name: "a socket that may only look", world: func(w *badWorld) string { w.fake.Level("operator"); return w.fake.Socket }},
	{name: "an unknown backend", old: "backend: be_web", new: "backend: be_wbe"},
	{name: "an unknown member", old: "[web3, web4]", new: "[web3, web5]"},
	{name: "an unknown member of a set", old: "set: {group: idle,", new: "set: {target: web, members: [web9],"},
	{name: "a pattern that matches nobody", old: "[web3, web4]", new: `["app*"]`},
	{name: "both sides live", world: func(w *badWorld) string {
		w.fake.Update("be_web", "web3", func(s *haproxytest.FakeServer) { s.Weight = 37 })
		return w.fake.Socket
	}},
	{name: "no side live", world: func(w *badWorld) string {
		for _, name := range []string{"web1", "web2"} {
			w.fake.Update("be_web", name, func(s *haproxytest.FakeServer) { s.Admin = 1 })
		}
		return w.fake.Socket
	}},
	{name: "a member of the live side in maintenance", world: func(w *badWorld) string {
		w.fake.Update("be_web", "web2", func(s *haproxytest.FakeServer) { s.Admin = 1 })
		return w.fake.Socket
	}},
	{name: "a member that no group names", old: "[web3, web4]", new: "[web3]"},
	{name: "a drain of members that nobody can count", new: `flip: 1
name: users
targets:
  users: {driver: nacos, servers: ["http://127.0.0.1:1"], service: users}
steps:
  - id: quiet
    drain: {target: users, timeout: 1m}
`, args: "lint p.yaml"},
	{
		name: "a member's answer without a number", old: `    ramp: {from: live, to: idle, percent: [100], gate: up}`,
		new: `    drain: {group: live, count: {http: {url: "http://${{ member.address }}/"}}}`, args: "lint p.yaml",
	},
	{name: "a side that does not exist", args: "run p.yaml --live red"},
	{name: "a guard that would break", old: "    ramp: {from: live, to: idle, percent: [100], gate: up}", new: "    set: {group: live, weight: 0}"},
	{name: "a point of no return without --yes", old: "  - id: shift", new: "  - id: shift\n    commit: true"},
	{name: "get of a socket that is not there", args: "get p.yaml", world: func(*badWorld) string { return "gone.sock" }},
	{name: "plan of a socket that is not there", args: "plan p.yaml", world: func(*badWorld) string { return "gone.sock" }},
	{name: "a plan that only flip plan sees fail", args: "plan p.yaml", old: "    ramp: {from: live, to: idle, percent: [100], gate: up}", new: "    set: {group: live, weight: 0}"},
}

func faulty(k haproxytest.FaultKind) func(*badWorld) string {
	return func(w *badWorld) string {
		w.fake.Fault(haproxytest.Fault{Kind: k})
		return w.fake.Socket
	}
}

// TestBadInput holds every word of what flip says to bad input, its exit code,
// and that nothing was changed and no run begun. UPDATE=1 rewrites the golden.
func TestBadInput(t *testing.T) {
	file, err := filepath.Abs("testdata/badinput.txtar")
	if err != nil {
		t.Fatal(err)
	}
	got := &txtar.Archive{Comment: []byte("What flip says to bad input. UPDATE=1 go test -run TestBadInput rewrites it.\n\n")}
	for _, in := range badInputs {
		t.Run(in.name, func(t *testing.T) {
			got.Files = append(got.Files, txtar.File{Name: in.name, Data: []byte(in.said(t))})
		})
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
		t.Errorf("what flip says changed (-want +got):\n%s", diff)
	}
}

// said sets the row's scene, runs its command and returns what a person sees.
func (in badInput) said(t *testing.T) string {
	t.Helper()
	w := &badWorld{T: t, dir: t.TempDir()}
	w.fake = haproxytest.StartFake(t, haproxytest.FakeBackend{Name: "be_web", Servers: []haproxytest.FakeServer{
		{Name: "web1", Address: "127.0.0.1:8001", Weight: 100},
		{Name: "web2", Address: "127.0.0.1:8002", Weight: 100},
		{Name: "web3", Address: "127.0.0.1:8003", Zero: true},
		{Name: "web4", Address: "127.0.0.1:8004", Zero: true},
	}})
	t.Chdir(w.dir)
	socket := w.fake.Socket
	if in.world != nil {
		socket = in.world(w)
		if !filepath.IsAbs(socket) {
			socket = filepath.Join(w.dir, socket)
		}
	}
	text := in.new
	if in.old != "" {
		if !strings.Contains(goodPlan, in.old) {
			t.Fatalf("goodPlan has no %q", in.old)
		}
		text = strings.Replace(goodPlan, in.old, in.new, 1)
	} else if in.new == "" {
		text = goodPlan
	}
	if err := os.WriteFile("p.yaml", []byte(strings.ReplaceAll(text, "SOCKET", socket)), 0o644); err != nil {
		t.Fatal(err)
	}
	args := in.args
	if args == "" {
		args = "run p.yaml"
	}
	before := w.servers()
	var out bytes.Buffer
	run := runHere
	if in.powerless {
		run = runPowerless
	}
	code := run(t, &out, w.dir, strings.Fields(args))
	if diff := cmp.Diff(before, w.servers()); diff != "" {
		t.Errorf("the load balancer changed (-before +after):\n%s", diff)
	}
	if runs, err := filepath.Glob(filepath.Join(w.dir, "state", "runs", "*")); err != nil || len(runs) > 0 {
		t.Errorf("a run was begun: %v %v", runs, err)
	}
	if locks, err := filepath.Glob(filepath.Join(w.dir, "state", "locks", "*.lock.json")); err != nil || len(locks) > 0 {
		t.Errorf("a lock stayed: %v %v", locks, err)
	}
	said := strings.NewReplacer(w.fake.Socket, "/run/haproxy/admin.sock", filepath.Dir(w.fake.Socket), "/run/haproxy", w.dir, "/home/me", owner(w.fake.Socket), "haproxy:haproxy").Replace(out.String())
	said = driverList.ReplaceAllString(said, "drivers: haproxy, ...")
	return fmt.Sprintf("$ flip %s\n%sexit %d\n", args, said, code)
}

// driverList grows with every driver.
var driverList = regexp.MustCompile(`drivers: \w+(, [\w-]+)+`)

// owner is user:group of a file, as flip tells it.
func owner(path string) string {
	b, err := exec.Command("stat", "-c", "%U:%G", path).Output()
	if err != nil {
		return path
	}
	return strings.TrimSpace(string(b))
}

// servers is all that flip could change, and what it asked to change.
func (w *badWorld) servers() []string {
	var all []string
	for _, name := range []string{"web1", "web2", "web3", "web4"} {
		s := w.fake.Server("be_web", name)
		all = append(all, fmt.Sprintf("%s %s weight %d admin %d", s.Name, s.Address, s.Weight, s.Admin))
	}
	return append(all, w.fake.Commands()...)
}

func runHere(t *testing.T, out io.Writer, dir string, args []string) int {
	env := map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "CI": "true"}
	app := flip.App{
		In: strings.NewReader(""), Out: out, Err: out, Drivers: all.Drivers(), Gates: gate.Kinds(),
		Getenv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
	return app.Run(t.Context(), args)
}

// runPowerless runs flip as nobody, because root may use every socket. A user
// that is not root is powerless already: the row took the rights away.
func runPowerless(t *testing.T, out io.Writer, dir string, args []string) int {
	t.Helper()
	c := exec.CommandContext(t.Context(), flipProgram(t), args...)
	c.Env = []string{"FLIP_STATE_DIR=" + filepath.Join(dir, "state"), "CI=true", "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	c.Stdout, c.Stderr = out, out
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}
