package integration

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

const nacosSteps = `flip: 1
name: refused
targets:
  users: {driver: nacos, servers: ["SERVER"], service: users, consumer_cache: none}
groups:
  a: {users: ["10.1.0.11:8080"]}
  b: {users: ["10.1.0.12:8080"]}
steps:
`

// TestARefusalOfNacosIsSeenBeforeAnythingIsChanged: what the driver would
// refuse in the middle is refused by flip plan, and by flip run before its
// first change.
func TestARefusalOfNacosIsSeenBeforeAnythingIsChanged(t *testing.T) {
	const harmless = "  - {id: share, set: {group: a, weight: 5}}\n"
	for _, tt := range []struct {
		name    string
		prepare func(*nacostest.Fake)
		steps   string
		want    []string
	}{
		{
			"the last healthy instance", nil, "  - {id: a-out, set: {group: a, enabled: false}}\n  - {id: b-out, set: {group: b, enabled: false}}\n",
			[]string{"service DEFAULT_GROUP@@users would have no healthy enabled instance left", "many consumers keep the last instance for ever", "10.1.0.11:8080 disabled, 10.1.0.12:8080 disabled", "b-out"},
		},
		{
			"the last one that is healthy", func(f *nacostest.Fake) { f.Unhealthy("users", crashB) }, "  - {id: a-out, set: {group: a, enabled: false}}\n",
			[]string{"would have no healthy enabled instance left", "10.1.0.11:8080 disabled, 10.1.0.12:8080 unhealthy", "a-out"},
		},
		{"a threshold that would be crossed", func(f *nacostest.Fake) {
			f.Register("users", nacostest.Instance{Address: crashC, Weight: 1})
			f.Unhealthy("users", crashB)
			f.Threshold("users", 0.5)
		}, "  - {id: a-out, set: {group: a, enabled: false}}\n", []string{"would cross its protectThreshold 0.5: 1 of 2 instances", "Nacos sends traffic to unhealthy instances too"}},
		{
			"the registration of somebody else", nil, "  - {id: gone, set: {group: a, registered: false}}\n",
			[]string{"is ephemeral: its owner keeps it registered", "set enabled: false instead"},
		},
		{"an instance that nobody registered", nil, "  - {id: gone, set: {target: users, members: [\"10.9.9.9:1\"], enabled: false}}\n", []string{"10.9.9.9:1", "10.1.0.11:8080"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHome(t, t.TempDir())
			f := nacostest.StartFake(t, nacostest.Options{})
			f.Register("users", nacostest.Instance{Address: crashA, Weight: 1}, nacostest.Instance{Address: crashB, Weight: 1})
			if tt.prepare != nil {
				tt.prepare(f)
			}
			plan := h.file("plan.yaml", strings.ReplaceAll(nacosSteps, "SERVER", f.Servers()[0])+harmless+tt.steps)
			for _, args := range [][]string{{"plan", plan}, {"run", "--yes", plan}} {
				saysAll(t, h.wants([]int{4}, args...), tt.want...)
			}
			if w := f.Writes(); len(w) > 0 {
				t.Errorf("it wrote %v", w)
			}
			ok := h.file("harmless.yaml", strings.ReplaceAll(nacosSteps, "SERVER", f.Servers()[0])+harmless)
			h.wants([]int{0}, "plan", ok) // it was not the plan's beginning
		})
	}
}

// TestNacosLeavesNoFileBehind runs flip as a program over a Nacos plan, with a
// home, a working directory and a temporary directory of its own.
func TestNacosLeavesNoFileBehind(t *testing.T) {
	f := nacostest.StartFake(t, nacostest.Options{Nodes: 2})
	f.Register("users", nacostest.Instance{Address: crashA, Weight: 1}, nacostest.Instance{Address: crashB, Weight: 1})
	root := t.TempDir()
	dirs := map[string]string{}
	for _, name := range []string{"cwd", "home", "tmp"} {
		dirs[name] = filepath.Join(root, name)
		if err := os.Mkdir(dirs[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	program := flipProgram(t)
	steps := "  - {id: out, set: {group: a, enabled: false}}\n  - {id: in, set: {group: a, enabled: true}}\n"
	plan := filepath.Join(dirs["cwd"], "plan.yaml")
	if err := os.WriteFile(plan, []byte(strings.ReplaceAll(nacosSteps, "SERVER", strings.Join(f.Servers(), `", "`))+steps), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"plan", "plan.yaml"}, {"run", "--yes", "plan.yaml"}, {"rollback", "--yes"}, {"drift"}} {
		c := exec.CommandContext(t.Context(), program, args...)
		c.Dir = dirs["cwd"]
		c.Env = []string{"HOME=" + dirs["home"], "TMPDIR=" + dirs["tmp"], "PATH=" + os.Getenv("PATH"), "CI=true", "NO_COLOR=1", "GORACE=atexit_sleep_ms=0"}
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("flip %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if len(f.Writes()) == 0 {
		t.Fatal("nothing was changed: nothing was tested")
	}
	if diff := cmp.Diff([]string{filepath.Base(program)}, files(t, filepath.Dir(program))); diff != "" {
		t.Errorf("beside the program (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"plan.yaml"}, files(t, dirs["cwd"])); diff != "" {
		t.Errorf("in the working directory (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string(nil), files(t, dirs["tmp"])); diff != "" {
		t.Errorf("in the temporary directory (-want +got):\n%s", diff)
	}
	stray := slices.DeleteFunc(files(t, dirs["home"]), func(name string) bool { return strings.HasPrefix(name, ".local/state/flip/") })
	if len(stray) > 0 {
		t.Errorf("in the home, beside the state of runs: %v", stray)
	}
}

// files are all below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
