package ui_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

func rows() []ui.Row {
	now := options().Now()
	return []ui.Row{
		{Run: "01K9Z3M8", Plan: "shop-web", State: journal.OutcomeRolledBack, Since: now.Add(-3 * time.Minute), Started: now.Add(-5 * time.Minute), By: "deploy@ci-17", Changed: 8, Restored: 8},
		{Run: "01K9Z1QK", Plan: "dns-move", State: journal.OutcomeWaiting, Step: "caches-out", Since: now.Add(-40 * time.Minute), Started: now.Add(-2 * time.Hour), By: "ann@laptop", Changed: 2, Waits: "isp still answers 192.0.2.10 (ttl 37s); floor passed 2m ago; at most until 15:20"},
		{Run: "01K9YZZ0", Plan: "用户发布", State: journal.OutcomeInDoubt, Step: "edge-in", Since: now.Add(-time.Hour), Started: now.Add(-72 * time.Hour), By: "ci@ci-12", Changed: 12, Waits: "runner ci-12 is gone (last beat 58m ago): flip resume 01K9YZZ0 or flip rollback 01K9YZZ0"},
	}
}

func TestTablesFitTheirWidth(t *testing.T) {
	for _, columns := range []int{0, 50, 80, 120} {
		o := options()
		o.Width = columns
		status := render(t, func(b *bytes.Buffer) error { return ui.WriteStatus(b, rows(), o) })
		golden(t, fmt.Sprintf("status-%d.txt", columns), status)
		list := render(t, func(b *bytes.Buffer) error { return ui.WriteList(b, rows(), o) })
		golden(t, fmt.Sprintf("list-%d.txt", columns), list)
		if columns >= 80 {
			fits(t, columns, status)
			fits(t, columns, list)
		}
	}
	golden(t, "rows.json", render(t, func(b *bytes.Buffer) error { return ui.WriteRowsJSON(b, rows()) }))
}

// fits checks every line's length; wide characters count as two.
func fits(t *testing.T, columns int, text []byte) {
	t.Helper()
	for l := range strings.SplitSeq(string(text), "\n") {
		n := 0
		for _, r := range l {
			n++
			if r >= 0x2e80 {
				n++
			}
		}
		if n > columns && !strings.Contains(l, "flip ") { // commands are not broken
			t.Errorf("%d columns of %d: %s", n, columns, l)
		}
	}
}

func TestNoRunsIsSaid(t *testing.T) {
	for name, got := range map[string][]byte{
		"status": render(t, func(b *bytes.Buffer) error { return ui.WriteStatus(b, nil, options()) }),
		"list":   render(t, func(b *bytes.Buffer) error { return ui.WriteList(b, nil, options()) }),
	} {
		if string(got) != "No runs.\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := render(t, func(b *bytes.Buffer) error { return ui.WriteRowsJSON(b, nil) }); string(got) != "[]\n" {
		t.Errorf("json: %q", got)
	}
}

func TestShowTellsARunsStory(t *testing.T) {
	for name, records := range stories() {
		for _, columns := range []int{80, 120} {
			o := options()
			o.Width = columns
			story := ui.Tell(runID, records)
			got := render(t, func(b *bytes.Buffer) error { return ui.WriteShow(b, story, o) })
			golden(t, fmt.Sprintf("show-%s-%d.txt", name, columns), got)
			fits(t, columns, got)
		}
	}
	story := ui.Tell(runID, rolledBack())
	golden(t, "show-rolled-back.json", render(t, func(b *bytes.Buffer) error { return ui.WriteShowJSON(b, story) }))
}

func TestARunWithoutAnEndIsRunning(t *testing.T) {
	story := ui.Tell(runID, raised().records)
	if story.State != journal.OutcomeRunning {
		t.Errorf("state %q", story.State)
	}
	golden(t, "show-running.txt", render(t, func(b *bytes.Buffer) error { return ui.WriteShow(b, story, options()) }))
}

func TestLogsAreEverythingOrOneStep(t *testing.T) {
	var chain, looks []journal.Record
	for _, r := range rolledBack() {
		if r.Type == journal.TypeLook {
			looks = append(looks, r)
		} else {
			chain = append(chain, r)
		}
	}
	all := ui.Merge(chain, looks)
	golden(t, "logs.txt", render(t, func(b *bytes.Buffer) error { return ui.WriteLogs(b, all, "", options()) }))
	golden(t, "logs-install.txt", render(t, func(b *bytes.Buffer) error { return ui.WriteLogs(b, all, "install", options()) }))
}
