package journal_test

import (
	"fmt"
	"testing"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func changes(n int) []state.Change {
	all := make([]state.Change, n)
	for i := range all {
		all[i] = state.Change{Target: "web", Object: fmt.Sprintf("lb1/be_web/web%d", i), Attribute: "weight", From: state.Int(100), To: state.Int(95)}
	}
	return all
}

// BenchmarkAppend is one intent of 10,000 changes, fsync included.
func BenchmarkAppend(b *testing.B) {
	s, err := journal.NewFileStore(b.TempDir(), journal.FileOptions{Redact: func(t []byte) []byte { return t }})
	if err != nil {
		b.Fatal(err)
	}
	l, err := s.Create(b.Context(), s.NewID(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(b.Context(), journal.Record{Type: journal.TypeRun}); err != nil {
		b.Fatal(err)
	}
	data := journal.Encode(journal.Apply{Target: "web", Changes: changes(10_000)})
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := l.Append(b.Context(), journal.Record{Type: journal.TypeIntent, Key: "/a", Activity: "apply", Data: data}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFold is a run of 20 intents of 10,000 changes each.
func BenchmarkFold(b *testing.B) {
	data := journal.Encode(journal.Apply{Target: "web", Changes: changes(10_000)})
	records := []journal.Record{{Seq: 1, Type: journal.TypeRun}}
	for n := range 20 {
		key := fmt.Sprintf("/steps/shift/%d", n)
		records = append(records,
			journal.Record{Seq: len(records) + 1, Type: journal.TypeIntent, Key: key, Activity: "apply", Data: data},
			journal.Record{Seq: len(records) + 2, Type: journal.TypeDone, Key: key})
	}
	for b.Loop() {
		if _, err := journal.Fold(records); err != nil {
			b.Fatal(err)
		}
	}
}
