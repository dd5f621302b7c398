package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The plans of the tests: web2 goes to drain, then something waits.
const (
	target = `targets: {web: {driver: mem, file: web.json, pool: {web1: {weight: 100}, web2: {weight: 100}}}}
`
	quickPlan = `flip: 1
name: shop
` + target + `steps:
  - {id: out, set: {target: web, members: [web2], state: drain}}
`
	finalPlan = `flip: 1
name: shop
` + target + `steps:
  - {id: out, set: {target: web, members: [web2], state: drain}, commit: true}
`
	waitingPlan = `flip: 1
name: shop
` + target + `steps:
  - {id: out, set: {target: web, members: [web2], state: drain}}
  - {id: ok, approve: {message: go on?, timeout: 1h}}
`
	commandPlan = `flip: 1
name: shop
` + target + `steps:
  - {id: out, set: {target: web, members: [web2], state: drain}}
  - {id: long, run: [sleep, "600"], undo: none}
`
)

// lab is a directory with a plan and a flip that runs in this process.
type lab struct {
	*testing.T
	dir     string
	env     map[string]string
	tty     bool
	in      string
	signals chan os.Signal
	// onRecord hears of every record that is durable.
	onRecord func(journal.Record)
	out      output // of the last command, both streams
}

func newLab(t *testing.T, plan string) *lab {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("plan.yaml", []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	return &lab{
		T: t, dir: dir, signals: make(chan os.Signal, 2),
		env: map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "TERM": "dumb"},
	}
}

// flip runs one command line to its end and returns the exit code.
func (l *lab) flip(line string) int {
	l.out.reset()
	app := App{
		In: strings.NewReader(l.in), Out: &l.out, Err: &l.out, Drivers: all.Drivers(), Gates: gate.Kinds(),
		Getenv: func(name string) (string, bool) { v, ok := l.env[name]; return v, ok },
		TTY:    l.tty, Signals: l.signals, OnRecord: l.onRecord,
	}
	return app.Run(l.Context(), strings.Fields(line))
}

// must runs a command line that has to exit with code.
func (l *lab) must(code int, line string) {
	l.Helper()
	if got := l.flip(line); got != code {
		l.Fatalf("flip %s: exit %d, want %d\n%s", line, got, code, l.out.String())
	}
}

// says fails unless the last command printed the text.
func (l *lab) says(text string) {
	l.Helper()
	if !strings.Contains(l.out.String(), text) {
		l.Errorf("flip does not say %q:\n%s", text, l.out.String())
	}
}

// outside is what somebody else does to the target of the plan.
func (l *lab) outside(object, attribute string, v state.Value) {
	l.Helper()
	if err := mem.New(mem.Options{File: "web.json"}).Set(object, attribute, v); err != nil {
		l.Fatal(err)
	}
}

// changed reports whether web2 is in drain: whether the plan's first step is
// done and was not put back.
func (l *lab) changed() bool {
	l.Helper()
	b, err := os.ReadFile("web.json")
	if os.IsNotExist(err) {
		return false
	}
	if err != nil {
		l.Fatal(err)
	}
	world, _, _ := strings.Cut(string(b), `"seed"`)
	return strings.Contains(world, `"drain"`)
}

// output collects what flip prints, and calls back once when it has printed
// some text.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string
	then func()
}

func (o *output) when(text string, do func()) { o.text, o.then = text, do }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.then != nil && strings.Contains(o.b.String(), o.text) {
		do := o.then
		o.then = nil
		do()
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Reset()
}
