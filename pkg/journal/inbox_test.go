package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/pkg/journal"
)

func TestMessagesWaitInOrderUntilConsumed(t *testing.T) {
	dir := t.TempDir()
	if got, err := journal.Poll(dir); err != nil || len(got) != 0 {
		t.Fatalf("without an inbox: %v, %v", got, err)
	}
	now := clock()
	want := []journal.Message{
		{Kind: journal.AskApprove, Key: "/steps/ok", By: "ann", Reason: "looks <good>", Time: now()},
		{Kind: journal.AskDeny, Key: "/steps/ok", By: "bob", Time: now()},
		{Kind: journal.AskStop, By: "ann", Time: now()},
		{Kind: journal.AskRollback, By: "ann", Time: now()},
	}
	for _, m := range want {
		if _, err := journal.Post(dir, m); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		got, err := journal.Poll(dir)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(journal.Message{}, "Name")); diff != "" || err != nil {
			t.Fatalf("messages (-want +got):\n%s %v", diff, err)
		}
	}
	got, _ := journal.Poll(dir)
	for range 2 {
		if err := journal.Consume(dir, got[0].Name); err != nil {
			t.Fatal(err)
		}
	}
	got, err := journal.Poll(dir)
	if diff := cmp.Diff(want[1:], got, cmpopts.IgnoreFields(journal.Message{}, "Name")); diff != "" || err != nil {
		t.Errorf("after one was consumed (-want +got):\n%s %v", diff, err)
	}
}

func TestWhatIsNoMessageIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if _, err := journal.Post(dir, journal.Message{Kind: "dance"}); err == nil {
		t.Error("a message of an unknown kind was posted")
	}
	if _, err := journal.Post(dir, journal.Message{Kind: journal.AskStop}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"0.json": "{", "1.json": `{"kind":"dance"}`, "2.json": string(make([]byte, 70_000)), "half.tmp": "{"} {
		if err := os.WriteFile(filepath.Join(dir, "inbox", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := journal.Poll(dir)
	if err == nil || len(got) != 1 {
		t.Fatalf("first poll: %v, %v", got, err)
	}
	mentions(t, "the error", err.Error(), "0.json", "1.json", "2.json")
	if got, err = journal.Poll(dir); err != nil || len(got) != 1 {
		t.Errorf("second poll: %v, %v", got, err)
	}
	for _, bad := range []string{"../journal.json", "x", ""} {
		if journal.Consume(dir, bad) == nil {
			t.Errorf("%q was consumed", bad)
		}
	}
}
