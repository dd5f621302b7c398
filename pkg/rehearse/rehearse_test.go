package rehearse

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pool is two groups behind one target, blue live, and requests that may land
// 5 s late.
const pool = `flip: 1
name: shop
targets:
  web: {driver: mem, max_in_flight: 5s, pool: {web1: {weight: 100}, web2: {weight: 100}, web3: {weight: 0}, web4: {weight: 0}}}
groups:
  blue:  {web: [web1, web2]}
  green: {web: [web3, web4]}
alternate: [blue, green]
gates:
  up: {http: {url: "http://127.0.0.1:1/", status: 200}}
`

const release = `steps:
  - {id: install, run: "touch EXECUTED", undo: "touch UNDONE"}
  - {id: healthy, gate: up}
  - {id: go, approve: {message: shall it?, timeout: 48h}}
  - {id: shift, ramp: {from: live, to: idle, percent: [5, 50, 100], hold: 24h}, gate: up}
  - id: both
    parallel:
      - {id: quiet, drain: {group: live, sessions: 0}}
      - {id: out, set: {target: web, members: [web1], state: drain}}
  - {id: over, each: live, do: [{id: off, set: {state: maint}}]}
`

func lent() engine.World {
	secrets := secret.NewResolver(&secret.Redactor{})
	return engine.World{
		Drivers: driver.NewRegistry(mem.Factory(), haproxy.Factory()), Gates: gate.Kinds(), Secrets: secrets, Log: slog.New(slog.DiscardHandler),
	}
}

func rehearsed(t *testing.T, text string, o Options) *Report {
	t.Helper()
	rep, err := attempt(t, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func attempt(t *testing.T, text string, o Options) (*Report, error) {
	t.Helper()
	p, err := plan.Load([]byte(text), plan.Options{File: "plan.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := engine.Open(t.Context(), p, lent())
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	return Run(t.Context(), prog, lent(), o)
}

// told is the report as people read it.
func told(t *testing.T, rep *Report) string {
	t.Helper()
	var b strings.Builder
	if err := rep.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// says wants texts in the report, and lines that fit a terminal.
func says(t *testing.T, rep *Report, texts ...string) {
	t.Helper()
	got := told(t, rep)
	for _, text := range texts {
		if !strings.Contains(got, text) {
			t.Errorf("the report does not say %q:\n%s", text, got)
		}
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

func TestAGoodPlanIsProvenFromEveryPointUnderEveryFault(t *testing.T) {
	t.Chdir(t.TempDir())
	rep := rehearsed(t, pool+"guards:\n  - {target: web, min_serving: 2}\n"+release, Options{Faults: Faults(), Seed: 1})
	if !rep.Proven() {
		t.Fatalf("not proven:\n%s", told(t, rep))
	}
	for _, c := range []Count{rep.Forward, rep.Back, rep.Failing, rep.Again} {
		if c.Points == 0 || c.Proven != c.Points {
			t.Errorf("a count is %s", c)
		}
	}
	if got := rep.Scores[0].Back.Points; got != 2*rep.Records {
		t.Errorf("%d points of %d records, want one before and one after each", got, rep.Records)
	}
	says(t, rep, "way forward proven from ", "way back proven from ", "Nothing was changed and no command was run.")
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("something was executed or written: %v %v", left, err)
	}
}

func TestTheSameSeedFindsTheSame(t *testing.T) {
	text := pool + release
	o := Options{Faults: []Fault{LateWrite, Drift}, Seed: 7, noSweep: true} // so that there is something to find
	one, two := rehearsed(t, text, o), rehearsed(t, text, o)
	one.Took, two.Took = 0, 0
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestACommandWithoutUndoIsNotProvenBack(t *testing.T) {
	rep := rehearsed(t, pool+`steps:
  - {id: shift, set: {group: idle, weight: 100}}
  - {id: install, run: ./deploy.sh}
`, Options{Seed: 1})
	if rep.Back.Proven == rep.Back.Points || rep.Forward.Proven != rep.Forward.Points {
		t.Errorf("back %s, forward %s", rep.Back, rep.Forward)
	}
	says(t, rep, "NOT PROVEN: way back, ", "not undone by flip: step install has no undo", "after record 9 (intent /steps/install.run)")
}

func TestACommandWhoseUndoIsNoneIsOnlyNoted(t *testing.T) {
	rep := rehearsed(t, pool+`steps:
  - {id: shift, set: {group: idle, weight: 100}}
  - {id: notify, run: ./notify.sh, undo: none}
`, Options{Seed: 1})
	if !rep.Proven() {
		t.Errorf("not proven:\n%s", told(t, rep))
	}
	says(t, rep, "note: step notify stays done, as its undo: none says")
}

func TestAGuardThatBlocksTheWayBackIsFound(t *testing.T) {
	// The run begins below what the guard allows: back to there is down.
	rep := rehearsed(t, pool+`guards:
  - {target: web, min_serving: 3}
steps:
  - {id: more, set: {group: idle, weight: 100}}
  - {id: check, gate: up}
`, Options{Seed: 1})
	if rep.Back.Proven == rep.Back.Points {
		t.Errorf("back %s", rep.Back)
	}
	says(t, rep, "the way back stopped", "guard: web would serve with 2 of at least 3 members", "web web3  weight     0       0         100")
}

func TestAWriteThatLandsAfterTheWayBackIsFoundWithoutTheSweep(t *testing.T) {
	text := pool + "steps:\n  - {id: shift, set: {group: idle, weight: 100}}\n"
	o := Options{Faults: []Fault{LateWrite}, Seed: 1}
	if rep := rehearsed(t, text, o); !rep.Proven() {
		t.Errorf("with the sweep:\n%s", told(t, rep))
	}
	o.noSweep = true
	rep := rehearsed(t, text, o)
	if rep.Proven() {
		t.Fatal("without the sweep every point is proven: the rehearsal sees nothing")
	}
	says(t, rep, "NOT PROVEN: way back with late-write", "flip says rolled back, but 2 values are not as before", "web web3  weight     0       0         100")
}

func TestAStepThatPausesGoesBackWhenAPersonSaysSo(t *testing.T) {
	rep := rehearsed(t, pool+`steps:
  - {id: one, set: {group: idle, weight: 50}}
  - {id: two, set: {group: idle, weight: 100}, on_fail: pause}
  - {id: three, gate: up, on_fail: continue}
`, Options{Seed: 1})
	if !rep.Proven() {
		t.Errorf("not proven:\n%s", told(t, rep))
	}
}

func TestStepsThatWriteOneValueAgainAndAgainAreProven(t *testing.T) {
	rep := rehearsed(t, pool+`steps:
  - {id: one, set: {group: idle, weight: 50}}
  - {id: two, set: {group: idle, weight: 100}}
  - id: both
    parallel:
      - {id: three, set: {target: web, members: [web3], weight: 20}}
      - {id: four, set: {target: web, members: [web4], state: drain}}
`, Options{Seed: 1, Faults: []Fault{LateWrite, Drift}})
	if !rep.Proven() {
		t.Errorf("not proven:\n%s", told(t, rep))
	}
}

func TestTwoDaysOfWaitsCostNothing(t *testing.T) {
	began := time.Now()
	rehearsed(t, pool+"steps:\n  - {id: w, wait: 48h}\n  - {id: s, set: {group: idle, weight: 100}}\n", Options{Seed: 1})
	if time.Since(began) > time.Hour {
		t.Error("it waited")
	}
}

func TestOfflineNoTargetIsTouched(t *testing.T) {
	rep := rehearsed(t, `flip: 1
name: shop
targets:
  web: {driver: haproxy, endpoints: ["unix:///nowhere/a.sock", "unix:///nowhere/b.sock"], backend: be_web}
  zone: {driver: mem, file: `+filepath.Join(t.TempDir(), "absent", "zone.json")+`}
groups:
  blue:  {web: [web1, web2]}
  green: {web: ["new*"]}
alternate: [blue, green]
steps:
  - {id: shift, ramp: {from: live, to: idle, percent: [50, 100]}}
  - {id: out, set: {group: live, state: drain}}
  - {id: name, set: {target: zone, record: www.example.com A, ttl: 60}}
`, Options{Offline: true, Seed: 1, Faults: []Fault{LostReply}})
	if !rep.Proven() {
		t.Errorf("not proven:\n%s", told(t, rep))
	}
	want := []Twin{{"web", "haproxy", 8}, {"zone", "mem", 1}} // four servers on two nodes; one record
	if diff := cmp.Diff(want, rep.Targets); diff != "" {
		t.Errorf("twins (-want +got):\n%s", diff)
	}
	says(t, rep, "made up from the plan", "blue is taken to be live")
}

func TestATargetThatCannotBeReadIsAPrecondition(t *testing.T) {
	_, err := attempt(t, `flip: 1
name: shop
targets:
  web: {driver: haproxy, endpoints: ["unix:///nowhere/a.sock"], backend: be_web}
groups: {all: {web: [web1]}}
steps: [{id: out, set: {group: all, weight: 1}}]
`, Options{})
	if _, ok := errors.AsType[*engine.PreconditionError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestAPlanThatFailsByItselfIsAPrecondition(t *testing.T) {
	_, err := attempt(t, pool+"guards: [{target: web, min_serving: 2}]\nsteps:\n  - {id: out, set: {group: live, weight: 0}}\n", Options{Seed: 1})
	if _, ok := errors.AsType[*engine.PreconditionError](err); !ok || !strings.Contains(err.Error(), "guard") {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAreReadFromAList(t *testing.T) {
	for text, want := range map[string][]Fault{
		"": nil, "none": nil, "all": Faults(), "429, drift": {Throttle, Drift}, "slow,slow": {Slow},
	} {
		got, err := ParseFaults(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	if _, err := ParseFaults("fire"); err == nil || err.Error() != `no fault "fire"` {
		t.Errorf("got %v", err)
	}
}
