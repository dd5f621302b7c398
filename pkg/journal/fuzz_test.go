package journal_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
)

// FuzzRead: whatever a file holds, reading ends with whole records or an
// error, and what was accepted is accepted again.
func FuzzRead(f *testing.F) {
	seed, err := os.ReadFile("testdata/journal.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:len(seed)-10])
	f.Add([]byte("{\"seq\":1}\n\x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, end, err := journal.Read("j", data)
		if end > int64(len(data)) {
			t.Fatalf("%d of %d bytes", end, len(data))
		}
		if end > 0 && data[end-1] != '\n' {
			t.Fatalf("the records end in the middle of a line")
		}
		again, _, aerr := journal.Read("j", data[:end])
		if aerr != nil {
			t.Fatalf("what was read is refused: %v (first %v)", aerr, err)
		}
		if diff := cmp.Diff(records, again, sameData); diff != "" {
			t.Fatal(diff)
		}
		_, _ = journal.Fold(records)
	})
}

// FuzzFold: whatever records say, folding them ends with a status or an error.
func FuzzFold(f *testing.F) {
	seed, err := os.ReadFile("testdata/journal.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	for _, text := range []string{
		`{"type":"intent","key":"/a","activity":"apply","data":{"target":"web","changes":[{"object":"a","attribute":"w","from":1,"to":null}]}}`,
		`{"type":"intent","key":"/a","activity":"restore","data":{"items":[{"object":"a","before":[1,"x"]}]}}` + "\n" + `{"type":"done","key":"/a","data":{"changes":[{}]}}`,
		`{"type":"rollback"}` + "\n" + `{"type":"step","data":{"id":"a","status":"begin"}}` + "\n" + `{"type":"retry"}` + "\n" + `{"type":"end"}`,
		`{"type":"sleep","key":"x","data":{"until":"2026-11-21T14:02:07Z"}}` + "\n" + `{"type":"signal","key":"x","data":{"message":"m"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var records []journal.Record
		for line := range bytes.Lines(data) {
			var r journal.Record
			if json.Unmarshal(line, &r) == nil {
				records = append(records, r)
			}
		}
		s, err := journal.Fold(records)
		if err != nil {
			return
		}
		for _, k := range s.Changed() {
			if len(s.Ours(k)) == 0 {
				t.Fatalf("%v was changed to nothing", k)
			}
		}
	})
}
