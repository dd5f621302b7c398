package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func TestTwoRunsDoNotShareATarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSmall(t, "pause")
		l.gates["check"] = func(int) (gate.Result, error) { return no("no") }
		l.run(journal.OutcomePaused)
		first := l.id
		_, err := l.start(engine.Options{})
		var locked *journal.LockedError
		if !errors.As(err, &locked) || locked.Info.Run != first {
			t.Fatalf("got %v", err)
		}
		time.AfterFunc(20*time.Second, func() {
			l.id = first
			_, _ = l.rollback(engine.Options{})
		})
		end, err := l.start(engine.Options{LockWait: time.Minute})
		l.ended(journal.OutcomePaused, end, err)
	})
}

func TestATargetThatCannotBeReadIsAPrecondition(t *testing.T) {
	l := newLab(t, one+"steps: [{id: zero, set: {target: web, weight: 0}}]\n")
	prog := l.program()
	defer prog.Close()
	must(t, l.mems["web"].Break("", "no route to host"))
	_, err := l.runner().Start(context.Background(), prog, l.options(engine.Options{}))
	if _, ok := errors.AsType[*engine.PreconditionError](err); !ok {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "no route to host")
	same(t, "locks", []string(nil), l.locked())
	runs, err := os.ReadDir(filepath.Join(l.dir, "runs"))
	if len(runs) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("runs %v, %v", runs, err)
	}
}

func TestADeletedObjectIsGoneOnlyWhereItsNodeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: delete
targets: {web: {driver: mem, name: web, nodes: [n1, n2], pool: {a1: {weight: 1}, a2: {weight: 1}}}}
steps: [{id: gone, set: {target: web, members: [a2], present: false}}]
`)
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return &half{Driver: d, l: l} }
		end, err := l.start(engine.Options{})
		if err == nil && end.Outcome == journal.OutcomeDone {
			t.Errorf("a2 counts as gone on a node that did not answer:\n%s", l.story())
		}
	})
}

// half makes its changes on node n1 only, and then n2 is silent for a minute.
type half struct {
	driver.Driver
	l    *lab
	once bool
}

func (h *half) Unwrap() driver.Driver { return h.Driver }

func (h *half) Apply(c context.Context, changes []state.Change) error {
	if h.once {
		return h.Driver.Apply(c, changes)
	}
	h.once = true
	err := h.Driver.Apply(c, slices.DeleteFunc(slices.Clone(changes), func(ch state.Change) bool { return strings.HasPrefix(ch.Object, "n2/") }))
	must(h.l.t, h.l.mems["web"].Break("n2", "rebooting"))
	time.AfterFunc(time.Minute, func() { _ = h.l.mems["web"].Mend("n2") })
	return err
}
