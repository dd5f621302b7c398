package journal_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/secret"
)

var update = flag.Bool("update", false, "write golden files")

const id = "01K9Z3M8000000000000000000"

func journalPath(l journal.Log) string { return filepath.Join(l.Dir(), "journal.jsonl") }

func TestAJournalIsTheseLines(t *testing.T) {
	s := newStore(t, journal.FileOptions{Now: clock()})
	l, err := s.Create(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	add(t, l, journal.Record{Type: journal.TypeRun, Data: journal.Encode(journal.Meta{Plan: "shop-web", Hash: "abc", Flip: "1.0", Interpreter: 1, Started: began})})
	add(t, l, journal.Record{Type: journal.TypeStep, Key: "/steps/shift", Data: journal.Encode(journal.Step{ID: "shift", Verb: "ramp", Status: "begin", Text: "live -> idle"})})
	add(t, l, journal.Record{Type: journal.TypeFailed, Key: "/steps/shift.gate", Activity: "gate", Error: &journal.Error{Class: "gate", Text: "error rate 4.1 % > 1 %", Hints: []string{"look at web3"}}})
	add(t, l, end(journal.OutcomeRolledBack))
	got, err := os.ReadFile(journalPath(l))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/journal.jsonl"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func TestARunIsReadBackAsItWasWritten(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	big := journal.Apply{Target: "web", Changes: changes(10_000)}
	add(t, l, journal.Record{Type: journal.TypeIntent, Key: "/steps/a.apply", Activity: "apply", Data: journal.Encode(big)})
	add(t, l, journal.Record{Type: journal.TypeDone, Key: "/steps/a.apply", Data: []byte("{\n \"nodes\": 2\n}")})
	want := l.Records()
	again, err := s.Open(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if diff := cmp.Diff(want, again.Records(), sameData); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	v, err := s.View(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, v.Records(), sameData); diff != "" {
		t.Errorf("viewed (-want +got):\n%s", diff)
	}
}

func TestNobodyElseCanReadARun(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	l.Look(journal.Record{Key: "/steps/a", Data: journal.Encode(journal.LookData{Text: "200"})})
	if _, err := journal.Post(l.Dir(), journal.Message{Kind: journal.AskStop}); err != nil {
		t.Fatal(err)
	}
	got := map[string]fs.FileMode{}
	err := filepath.WalkDir(filepath.Join(s.Dir(), "runs"), func(path string, d fs.DirEntry, err error) error {
		info, ierr := d.Info()
		if errors.Join(err, ierr) == nil {
			got[strings.ReplaceAll(filepath.Base(path), l.ID(), "RUN")] = info.Mode().Perm()
		}
		return errors.Join(err, ierr)
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range got {
		if mode&0o077 != 0 {
			t.Errorf("%s has mode %o", name, mode)
		}
	}
	for _, name := range []string{"runs", "RUN", "journal.jsonl", "events.jsonl", "plan.yaml", "inbox"} {
		if got[name] == 0 {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestARecordIsWrittenOnACancelledContext(t *testing.T) {
	l := newRun(t, newStore(t, journal.FileOptions{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Append(ctx, step("a", "begin")); err != nil {
		t.Error(err)
	}
}

func TestSecretsReachNeitherFileNorReader(t *testing.T) {
	redactor := &secret.Redactor{}
	for _, s := range []string{`pa"ss<word`, "token-1234", "54321"} {
		redactor.Add(s)
	}
	var heard []journal.Record
	s := newStore(t, journal.FileOptions{Redact: redactor.Bytes, OnRecord: func(r journal.Record) { heard = append(heard, r) }})
	l := newRun(t, s)
	add(t, l, journal.Record{
		Type: journal.TypeFailed, Key: "/steps/a.run", Activity: "run",
		Data:  []byte(`{"code":54321,"output":"x pa\"ss\u003cword y token-1234 54321","outputs":{"token-1234":"ok"}}`),
		Error: &journal.Error{Text: "401 for token-1234", Hints: []string{"not token-1234"}},
	})
	l.Look(journal.Record{Key: "/steps/a", Data: journal.Encode(journal.LookData{Text: "token-1234"})})
	for _, name := range []string{"journal.jsonl", "events.jsonl"} {
		text, err := os.ReadFile(filepath.Join(l.Dir(), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range []string{"token-1234", "word", `"54321`, " 54321"} {
			if strings.Contains(string(text), leak) {
				t.Errorf("%s holds %q:\n%s", name, leak, text)
			}
		}
	}
	got, err := journal.Decode[journal.Exit](l.Records()[1])
	want := journal.Exit{Code: 54321, Output: "x *** y *** ***", Outputs: map[string]string{"***": "ok"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("data (-want +got):\n%s %v", diff, err)
	}
	if diff := cmp.Diff(l.Records(), heard[:2]); diff != "" {
		t.Errorf("heard (-want +got):\n%s", diff)
	}
	if _, err := s.Open(t.Context(), l.ID()); err != nil {
		t.Errorf("a redacted journal does not open: %v", err)
	}
}

func TestReadersSeeWholeRecordsInOrderWhileManyWrite(t *testing.T) {
	var heard []int
	s := newStore(t, journal.FileOptions{OnRecord: func(r journal.Record) {
		if r.Type != journal.TypeLook {
			heard = append(heard, r.Seq)
		}
	}})
	l := newRun(t, s)
	const writers, each = 4, 10
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				if _, err := l.Append(t.Context(), step(fmt.Sprintf("s%d-%d", w, n), "begin")); err != nil {
					t.Error(err)
				}
				l.Look(journal.Record{Key: fmt.Sprint(w, n), Data: journal.Encode(journal.LookData{Text: "look"})})
			}
		})
	}
	stop := make(chan struct{})
	reading.Go(func() {
		v, err := s.View(t.Context(), l.ID())
		for err == nil {
			_, err = v.Refresh(t.Context())
			for n, r := range v.Records() {
				if r.Seq != n+1 {
					t.Errorf("record %d stands at %d", r.Seq, n)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
		t.Error(err)
	})
	writing.Wait()
	close(stop)
	reading.Wait()
	v, err := s.View(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.Records(), v.Records(), sameData); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	for n, seq := range heard {
		if seq != n+1 {
			t.Fatalf("heard %v", heard)
		}
	}
	if len(v.Looks()) != writers*each {
		t.Errorf("%d looks, want %d", len(v.Looks()), writers*each)
	}
}

func TestAViewFollowsARun(t *testing.T) {
	s := newStore(t, journal.FileOptions{Now: clock()})
	l := newRun(t, s)
	v, err := s.View(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, step("a", "begin"))
	l.Look(journal.Record{Key: "/steps/a", Data: journal.Encode(journal.LookData{Text: "200"})})
	add(t, l, step("a", "done"))
	fresh, err := v.Refresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []journal.Type
	for _, r := range fresh {
		got = append(got, r.Type)
	}
	if diff := cmp.Diff([]journal.Type{journal.TypeStep, journal.TypeLook, journal.TypeStep}, got); diff != "" {
		t.Errorf("new records (-want +got):\n%s", diff)
	}
	// A record that never became durable is taken back and another one written.
	if err := os.Truncate(journalPath(l), fileSize(t, journalPath(l))-1); err != nil {
		t.Fatal(err)
	}
	again, err := s.Open(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	add(t, again, step("b", "begin"))
	fresh, err = v.Refresh(t.Context())
	if err != nil || len(fresh) != 1 || fresh[0].Key != "/steps/b" {
		t.Errorf("after the repair: %v, %v", fresh, err)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestTheNewestRunIsListedFirst(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	if ids, err := s.List(t.Context()); err != nil || len(ids) != 0 {
		t.Fatalf("an empty store lists %v, %v", ids, err)
	}
	var want []string
	for range 3 {
		want = append([]string{newRun(t, s).ID()}, want...)
	}
	if err := os.MkdirAll(filepath.Join(s.Dir(), "runs", "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := s.List(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("runs (-want +got):\n%s %v", diff, err)
	}
}

func TestARunIsNotBegunTwiceNorWithABadName(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	if _, err := s.Create(t.Context(), l.ID(), nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second create: %v", err)
	}
	for _, bad := range []string{"", "x", "../../etc", strings.ToLower(l.ID())} {
		_, cerr := s.Create(t.Context(), bad, nil)
		_, oerr := s.Open(t.Context(), bad)
		_, verr := s.View(t.Context(), bad)
		if !errors.Is(cerr, journal.ErrNoRun) || !errors.Is(oerr, journal.ErrNoRun) || !errors.Is(verr, journal.ErrNoRun) {
			t.Errorf("id %q: %v, %v, %v", bad, cerr, oerr, verr)
		}
	}
	for _, bad := range []string{"", ".", "..", "a/b", "journal.jsonl", "events.jsonl", "inbox", "journal.torn-1", "/"} {
		if _, err := s.Create(t.Context(), s.NewID(), map[string][]byte{bad: nil}); err == nil {
			t.Errorf("file name %q was taken", bad)
		}
	}
	if _, err := s.Open(t.Context(), id); !errors.Is(err, journal.ErrNoRun) || len(hint.Of(err)) == 0 {
		t.Errorf("open of an unknown run: %v, hints %q", err, hint.Of(err))
	}
}

func TestARunNeedsItsLocksUntilItEnded(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	if !s.Ended(id) {
		t.Error("a run that never was does not need its locks")
	}
	l := newRun(t, s)
	if s.Ended(l.ID()) {
		t.Error("an open run needs its locks")
	}
	add(t, l, end(journal.OutcomeDone))
	if !s.Ended(l.ID()) {
		t.Error("an ended run does not need its locks")
	}
	add(t, l, journal.Record{Type: journal.TypeRollback})
	if s.Ended(l.ID()) {
		t.Error("a run that goes back after its end needs its locks")
	}
	if err := os.WriteFile(journalPath(l), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Ended(l.ID()) {
		t.Error("a run that cannot be read may need its locks")
	}
}
