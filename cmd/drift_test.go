package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/state"
)

// desk is a directory with plans in which flip is called.
type desk struct {
	testing.TB
	dir string
}

// shop moves everything from web1 to web2, and back when its command fails.
const shop = `flip: 1
name: shop
vars: {end: {type: string, default: "true"}}
targets:
  web: {driver: mem, file: web.json, nodes: [lb1, lb2], pool: {web1: {weight: 100}, web2: {weight: 0}}}
groups: {blue: {web: [web1]}, green: {web: [web2]}}
alternate: [blue, green]
steps:
  - {id: shift, ramp: {from: live, to: idle, percent: [50, 100]}}
  - {id: end, run: "${{ vars.end }}", undo: none}
`

func newDesk(t *testing.T, plans map[string]string) desk {
	t.Helper()
	d := desk{t, t.TempDir()}
	t.Chdir(d.dir)
	for name, text := range plans {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// flip runs a command, wants its exit code and returns what it printed.
func (d desk) flip(code int, args ...string) string {
	d.Helper()
	var out, errs bytes.Buffer
	app := &cmd.App{
		In: strings.NewReader(""), Out: &out, Err: &errs, Drivers: all.Drivers(), Gates: gate.Kinds(),
		Getenv: func(name string) (string, bool) {
			v, ok := map[string]string{"FLIP_STATE_DIR": filepath.Join(d.dir, "state"), "FLIP_WHO": "ann", "CI": "true"}[name]
			return v, ok
		},
	}
	if got := app.Run(d.Context(), args); got != code {
		d.Fatalf("flip %s: exit %d, want %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	return out.String() + errs.String()
}

// web is the target as another operator reaches it.
func (d desk) web() *mem.Target { return mem.New(mem.Options{File: filepath.Join(d.dir, "web.json")}) }

func (d desk) set(object, attribute string, v state.Value) {
	d.Helper()
	if err := d.web().Set(object, attribute, v); err != nil {
		d.Fatal(err)
	}
}

// files are the contents of everything in the directory.
func (d desk) files() map[string]string {
	d.Helper()
	all := map[string]string{}
	err := filepath.Walk(d.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	return all
}

func wants(tb testing.TB, got string, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			tb.Errorf("%q is not in\n%s", text, got)
		}
	}
}

func TestDriftIsWhatMovedSinceTheRunWasDone(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	wants(t, d.flip(3, "drift"), "none has finished and changed anything")
	d.flip(0, "run", "p.yaml")
	before := d.files()
	wants(t, d.flip(0, "drift", "--detailed-exitcode"), "no drift: 4 values read, all as the run left them")
	d.set("lb2/web2", mem.Weight, "37")
	d.set("lb1/web1", mem.State, state.Text("maint")) // not the run's: none of its business
	got := d.flip(2, "drift", "--detailed-exitcode")
	wants(t, got, "1 of 4 values read differ", "web lb2/web2  weight     100       37")
	if strings.Contains(got, "maint") {
		t.Errorf("it tells of what the run never changed:\n%s", got)
	}
	d.flip(0, "drift")
	after := d.files()
	delete(before, filepath.Join(d.dir, "web.json"))
	delete(after, filepath.Join(d.dir, "web.json"))
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("flip drift wrote (-before +after):\n%s", diff)
	}
}

func TestAfterAWayBackDriftIsFromWhatWasBefore(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	d.flip(10, "run", "p.yaml", "--var", "end=false")
	wants(t, d.flip(0, "drift", "--detailed-exitcode"), "rolled back", "no drift")
	d.set("lb1/web1", mem.Weight, "50") // the run had it there once; it left it at 100
	wants(t, d.flip(2, "drift", "--detailed-exitcode"), "web lb1/web1  weight     100       50")
}

func TestANodeThatForgotTheRunIsNamed(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	d.flip(0, "run", "p.yaml")
	if err := d.web().Restart("lb1"); err != nil {
		t.Fatal(err)
	}
	wants(t, d.flip(2, "drift", "--detailed-exitcode"), "lb1 was restarted or reloaded at 20", "values set at run time were lost", "web lb1/web1  weight     0         100")
	var rep engine.DriftReport
	if err := json.Unmarshal([]byte(d.flip(0, "drift", "-o", "json")), &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Drift) != 2 || len(rep.Restarts) != 1 || rep.Restarts[0].Node != "lb1" || rep.Checked != 4 {
		t.Errorf("got %+v", rep)
	}
}

func TestWhatCannotBeReadIsNoAgreement(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	d.flip(0, "run", "p.yaml")
	d.set("lb1/web2", mem.Weight, "37")
	if err := d.web().Break("lb2", "no route to host"); err != nil {
		t.Fatal(err)
	}
	wants(t, d.flip(4, "drift"), "node lb2: no route to host", "1 of 2 values read differ", "37")
}

func TestARunIsChosenByItsID(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	d.flip(0, "run", "p.yaml")
	var rep engine.DriftReport
	if err := json.Unmarshal([]byte(d.flip(0, "drift", "-o", "json")), &rep); err != nil {
		t.Fatal(err)
	}
	first := rep.Run
	d.flip(0, "run", "p.yaml") // and back again
	wants(t, d.flip(0, "drift"), "no drift")
	wants(t, d.flip(2, "drift", first, "--detailed-exitcode"), "run "+first, "4 of 4 values read differ")
	d.flip(3, "drift", "nosuchrun")
}
