package engine_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

const four = `
flip: 1
name: four
targets:
  web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {w1: {weight: 10, address: "192.0.2.1:80"}, w2: {weight: 10, address: "192.0.2.2:81"}, w3: {weight: 10}, w4: {weight: 10}}}
groups: {all: {web: ["w*"]}}
`

func TestEachKnowsItsMemberAndGoesOneByOne(t *testing.T) {
	l := newLab(t, four+`
steps:
  - id: rolling
    each: all
    do:
      - {id: out, set: {weight: 0}}
      - {id: note, run: "echo ${{ member.name }} ${{ member.host }} ${{ member.port }} >> $FLIP_OUTPUT.log; echo m=${{ member.name }} >> $FLIP_OUTPUT", undo: none}
      - {id: in, set: {weight: 10}, when: member.name != "w3"}
`)
	l.run(journal.OutcomeDone)
	var want []string
	for _, w := range []string{"w1", "w2", "w3", "w4"} {
		want = append(want, "web lb1/"+w+" weight 10 -> 0", "web lb2/"+w+" weight 10 -> 0")
		if w != "w3" {
			want = append(want, "web lb1/"+w+" weight 0 -> 10", "web lb2/"+w+" weight 0 -> 10")
		}
	}
	same(t, "writes", want, l.writes())
	contains(t, strings.Join(l.lines(), "\n"), "done apply /steps/rolling[w2]/out.web.lower")
}

func TestEachRunsAsManyAtOnceAsItsLimit(t *testing.T) {
	for _, limit := range []string{"1", "2", "4"} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, four+`
steps:
  - {id: rolling, each: all, limit: `+limit+`, do: [{id: wait, wait: 1m}]}
`)
			began := time.Now()
			l.run(journal.OutcomeDone)
			want := map[string]time.Duration{"1": 4 * time.Minute, "2": 2 * time.Minute, "4": time.Minute}[limit]
			same(t, "limit "+limit, want, time.Since(began))
		})
	}
}

func TestAGateAboutTheMemberIsAskedForItAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, four+`
gates:
  up: {script: {name: "${{ member.name }}"}, each: member, every: 1s}
steps:
  - {id: rolling, each: all, do: [{id: up, gate: up}]}
`)
		l.run(journal.OutcomeDone)
		same(t, "looks", map[string]int{"w1": 1, "w2": 1, "w3": 1, "w4": 1}, l.looks)
	})
}

func TestAfterOneBranchFailedTheOthersFinishTheirChangeAndStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: branches
targets:
  web:  {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}}}
  slow: {driver: mem, name: slow, settle: 30s, pool: {s1: {weight: 100}, s2: {weight: 100}}}
steps:
  - id: both
    parallel:
      - id: left
        steps:
          - {id: left-1, set: {target: web, members: [a1], weight: 50}}
          - {id: left-2, gate: {script: {name: bad}, timeout: 10s}}
      - id: right
        steps:
          - {id: right-1, set: {target: slow, members: [s1], weight: 50}}
          - {id: right-2, set: {target: slow, members: [s2], weight: 50}}
      - {id: third, wait: 1h}
`)
		l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
		began := time.Now()
		var back time.Duration
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeRollback {
				back = time.Since(began)
			}
		}
		end := l.run(journal.OutcomeRolledBack)
		same(t, "step", "left-2", end.Step)
		same(t, "the way back began when the change was finished", 30*time.Second, back)
		all := strings.Join(l.lines(), "\n")
		contains(t, all, "done apply /steps/both/right/right-1.slow.lower")
		if strings.Contains(all, "right-2.slow") {
			t.Error("the other branch went on after its change")
		}
		l.shows("web", map[string]string{"a1": "100", "a2": "100"})
		l.shows("slow", map[string]string{"s1": "100", "s2": "100"})
	})
}

func TestABranchThatHasNotBegunDoesNotBegin(t *testing.T) {
	l := newLab(t, four+`
steps:
  - {id: rolling, each: all, do: [{id: out, set: {weight: 0}}, {id: check, run: "test ${{ member.name }} != w2", undo: none}]}
`)
	l.run(journal.OutcomeRolledBack)
	got := strings.Join(l.lines(), "\n")
	if strings.Contains(got, "[w3]") {
		t.Error("w3 was begun after w2 had failed")
	}
	l.shows("web", map[string]string{"lb1/w1": "10", "lb1/w2": "10", "lb1/w3": "10", "lb1/w4": "10", "lb2/w1": "10", "lb2/w2": "10", "lb2/w3": "10", "lb2/w4": "10"})
}

func TestAPausedBranchGoesOnWithoutRepeatingTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, four+`
steps:
  - id: rolling
    each: all
    limit: 2
    do:
      - {id: out, set: {weight: 0}}
      - {id: up, gate: {script: {name: "${{ member.name }}"}, each: member, timeout: 5s}, on_fail: pause}
      - {id: in, set: {weight: 10}}
`)
		var mu sync.Mutex
		bad := true
		l.gates["w2"] = func(int) (gate.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			if bad {
				return no("503")
			}
			return yes("200")
		}
		end := l.run(journal.OutcomePaused)
		same(t, "key", "/steps/rolling[w2]/up", end.Key)
		bad = false
		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "writes: out and in, on two nodes, of four members", 16, len(l.writes()))
		for _, w := range []string{"w1", "w3", "w4"} {
			if l.looks[w] != 1 {
				t.Errorf("%s was looked at %d times", w, l.looks[w])
			}
		}
	})
}

func TestATimeoutOfStepsBoundsAllThatIsInThem(t *testing.T) {
	tests := map[string]string{
		"a wait that does not fit fails at once": "{id: nap, wait: 2m}",
		"a gate ends":                            "{id: up, gate: {script: {name: bad}, timeout: 4m}}",
		"a drain ends":                           "{id: quiet, drain: {target: web, timeout: 4m}}",
		"a command ends":                         "{id: cmd, run: {shell: sleep 1000}, undo: none}",
	}
	for name, inner := range tests {
		t.Run(name, func(t *testing.T) {
			timeout := "1m"
			in := func(f func(*testing.T)) { synctest.Test(t, f) }
			if strings.Contains(inner, "sleep") {
				timeout = "300ms" // a process does not live in the bubble's time
				in = func(f func(*testing.T)) { f(t) }
			}
			in(func(t *testing.T) {
				l := newLab(t, `
flip: 1
name: bounded
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100, sessions: 1}}}}
steps:
  - {id: out, set: {target: web, weight: 99}}
  - id: outer
    timeout: `+timeout+`
    steps: [{id: middle, parallel: [`+inner+`]}]
`)
				l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
				began := time.Now()
				l.run(journal.OutcomeRolledBack)
				if took := time.Since(began); timeout == "1m" && took > time.Minute {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}
