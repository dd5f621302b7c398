package journal_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
)

func look(key, member, text string) journal.Record {
	return journal.Record{Key: key, Data: journal.Encode(journal.LookData{Member: member, Text: text})}
}

func texts(t *testing.T, looks []journal.Record) []string {
	t.Helper()
	var all []string
	for _, r := range looks {
		d, err := journal.Decode[journal.LookData](r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d.Text)
	}
	return all
}

func viewed(t *testing.T, s *journal.FileStore, l journal.Log) []string {
	t.Helper()
	v, err := s.View(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	return texts(t, v.Looks())
}

func TestOneLookASecondIsKeptOfEachKeyAndMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []journal.Record
		s := newStore(t, journal.FileOptions{OnRecord: func(r journal.Record) {
			if r.Type == journal.TypeLook {
				heard = append(heard, r)
			}
		}})
		l := newRun(t, s)
		for n, text := range []string{"0.0", "0.4", "0.8", "1.2", "1.6"} {
			l.Look(look("/a", "web1", text))
			if n == 1 {
				l.Look(look("/a", "web2", "other member"))
				l.Look(look("/b", "web1", "other key"))
			}
			time.Sleep(400 * time.Millisecond)
		}
		want := []string{"0.0", "other member", "other key", "1.2"}
		if diff := cmp.Diff(want, viewed(t, s, l)); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, texts(t, heard)); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
	})
}

func TestLooksOfALongWaitAreBoundedAndTheNewestStay(t *testing.T) {
	s := newStore(t, journal.FileOptions{Now: clock(), LooksBytes: 2000})
	l := newRun(t, s)
	v, err := s.View(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		l.Look(look("/a", "", "one"))
		if _, err := v.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.Look(look("/a", "", "last"))
	kept := viewed(t, s, l)
	if len(kept) < 10 || len(kept) > 60 || kept[len(kept)-1] != "last" {
		t.Errorf("%d looks kept, the last is %q", len(kept), kept[len(kept)-1])
	}
	if n := len(v.Looks()); n != 200 {
		t.Errorf("a reader that follows saw %d looks, want 200", n)
	}
	files, _ := filepath.Glob(filepath.Join(l.Dir(), "events*"))
	for _, f := range files {
		if size := fileSize(t, f); size > 2000 {
			t.Errorf("%s has %d bytes", f, size)
		}
	}
}

func TestLooksThatCannotBeReadAreLeftOut(t *testing.T) {
	s := newStore(t, journal.FileOptions{Now: clock()})
	l := newRun(t, s)
	l.Look(look("/a", "", "one"))
	f, err := os.OpenFile(filepath.Join(l.Dir(), "events.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(`{"type":"look","data":{"te`)
	if err := errors.Join(err, f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	again, err := s.Open(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.Look(look("/a", "", "two"))
	if diff := cmp.Diff([]string{"one", "two"}, viewed(t, s, again)); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
}

func TestALookIsNoRecordOfTheChain(t *testing.T) {
	l := newRun(t, newStore(t, journal.FileOptions{}))
	_, err := l.Append(t.Context(), journal.Record{Type: journal.TypeLook})
	if err == nil || !strings.Contains(err.Error(), "look") {
		t.Errorf("got %v", err)
	}
}
