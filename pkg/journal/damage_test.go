package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestATornEndIsSetAsideAtEveryByte(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	add(t, l, step("a", "begin"))
	whole, err := os.ReadFile(journalPath(l))
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, step("a", "done"))
	full, err := os.ReadFile(journalPath(l))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for n := len(whole) + 1; n < len(full); n++ {
		if err := os.WriteFile(journalPath(l), full[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		v, err := s.View(t.Context(), l.ID())
		if err != nil || len(v.Records()) != 2 {
			t.Fatalf("view with %d bytes of the last record: %d records, %v", n-len(whole), len(v.Records()), err)
		}
		if now, _ := os.ReadFile(journalPath(l)); !bytes.Equal(full[:n], now) {
			t.Fatalf("a view wrote to the journal")
		}
		again, err := s.Open(t.Context(), l.ID())
		if err != nil {
			t.Fatalf("open with %d bytes of the last record: %v", n-len(whole), err)
		}
		copied, err := os.ReadFile(filepath.Join(l.Dir(), fmt.Sprintf("journal.torn-%d", n-len(whole))))
		if err != nil || !bytes.Equal(full[len(whole):n], copied) {
			t.Fatalf("the copy of %d torn bytes: %q, %v", n-len(whole), copied, err)
		}
		if r := add(t, again, step("a", "done")); r.Seq != 3 {
			t.Fatalf("the record after a repair is %d, want 3", r.Seq)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEndWithHolesIsTorn(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	f, err := os.OpenFile(journalPath(l), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("{\"seq\":2\x00\x00\x00\x00}\n"))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := s.Open(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := len(again.Records()); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

func TestAChangedByteIsRefusedWithItsRecordAndOffset(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	add(t, l, step("a", "begin"))
	add(t, l, journal.Record{Type: journal.TypeIntent, Key: "/steps/a.apply", Activity: "apply", Data: journal.Encode(journal.Apply{Target: "web", Changes: changes(1)})})
	full, err := os.ReadFile(journalPath(l))
	if err != nil {
		t.Fatal(err)
	}
	record, offset := 1, 0
	for n, b := range full[:len(full)-1] { // without the last newline: that end would be torn
		for _, bit := range []byte{0x01, 0x20} {
			changed := bytes.Clone(full)
			changed[n] ^= bit
			_, _, err := journal.Read("j", changed)
			c, ok := errors.AsType[*journal.CorruptError](err)
			if !ok || c.Record != record || c.Offset != int64(offset) {
				t.Fatalf("byte %d (%q -> %q): %v, want corrupt at record %d, offset %d", n, b, changed[n], err, record, offset)
			}
		}
		if b == '\n' {
			record, offset = record+1, n+1
		}
	}
	if err := os.WriteFile(journalPath(l), bytes.Replace(full, []byte(`"a"`), []byte(`"b"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, openErr := s.Open(t.Context(), l.ID())
	_, viewErr := s.View(t.Context(), l.ID())
	for _, err := range []error{openErr, viewErr} {
		if _, ok := errors.AsType[*journal.CorruptError](err); !ok || len(hint.Of(err)) == 0 {
			t.Errorf("got %v, hints %q", err, hint.Of(err))
		}
	}
}

func TestARecordThatWasTakenOutIsMissed(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	add(t, l, step("a", "begin"))
	add(t, l, step("a", "done"))
	full, err := os.ReadFile(journalPath(l))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(full, []byte("\n"))
	_, _, err = journal.Read("j", slices.Concat(lines[0], lines[2]))
	if c, ok := errors.AsType[*journal.CorruptError](err); !ok || c.Record != 2 {
		t.Errorf("got %v, want corrupt at record 2", err)
	}
}

func TestARecordOfAnotherRunDoesNotFollow(t *testing.T) {
	var lines [2][][]byte
	s := newStore(t, journal.FileOptions{Now: clock()})
	for n := range lines {
		l := newRun(t, s)
		add(t, l, step("a", "begin"))
		text, err := os.ReadFile(journalPath(l))
		if err != nil {
			t.Fatal(err)
		}
		lines[n] = bytes.SplitAfter(text, []byte("\n"))
	}
	_, _, err := journal.Read("j", slices.Concat(lines[0][0], lines[1][1]))
	if c, ok := errors.AsType[*journal.CorruptError](err); !ok || c.Record != 2 {
		t.Errorf("got %v, want corrupt at record 2", err)
	}
}

func TestAJournalOfANewerFlipIsRefused(t *testing.T) {
	_, _, err := journal.Read("j", []byte(`{"v":2,"anything":"else"}`+"\n"))
	if _, ok := errors.AsType[*journal.NewerError](err); !ok {
		t.Fatalf("got %v", err)
	}
	mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), "newer")
}

func TestWhoeverWritesSecondIsFenced(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	first := newRun(t, s)
	second, err := s.Open(t.Context(), first.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	add(t, second, journal.Record{Type: journal.TypeTakeover, Data: journal.Encode(journal.Holder{Who: "ann", Host: "ci-17", PID: 7, Verb: "resume"})})
	for range 2 {
		_, err = first.Append(t.Context(), step("a", "begin"))
		if !errors.Is(err, journal.ErrFenced) {
			t.Fatalf("got %v, want ErrFenced", err)
		}
		mentions(t, "the error", err.Error(), "ann", "ci-17", "resume")
	}
	add(t, second, step("a", "begin"))
}

func TestAJournalThatWasReplacedOrCutFences(t *testing.T) {
	for name, harm := range map[string]func(path string) error{
		"removed": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, 3) },
		"replaced": func(path string) error {
			b, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newRun(t, newStore(t, journal.FileOptions{}))
			if err := harm(journalPath(l)); err != nil {
				t.Fatal(err)
			}
			if _, err := l.Append(t.Context(), step("a", "begin")); !errors.Is(err, journal.ErrFenced) {
				t.Errorf("got %v, want ErrFenced", err)
			}
		})
	}
}

func TestAnEndedRunTakesOnlyATakeoverOrARollback(t *testing.T) {
	for _, reopen := range []journal.Type{journal.TypeTakeover, journal.TypeRollback} {
		l := newRun(t, newStore(t, journal.FileOptions{}))
		add(t, l, end(journal.OutcomeDone))
		if _, err := l.Append(t.Context(), step("a", "begin")); !errors.Is(err, journal.ErrEnded) {
			t.Errorf("got %v, want ErrEnded", err)
		}
		add(t, l, journal.Record{Type: reopen})
		add(t, l, step("a", "begin"))
	}
}
