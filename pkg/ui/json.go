package ui

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/flip-cli/flip/pkg/journal"
)

type jsonLines struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// NewJSON writes the records themselves, one a line, observations too. The
// fields are those of journal.Record.
func NewJSON(w io.Writer) Sink { return &jsonLines{enc: encoder(w)} }

func (j *jsonLines) Record(r journal.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(r.Data) > 0 && !json.Valid(r.Data) {
		r.Data = journal.Encode(string(r.Data)) // a torn record is still a line
	}
	_ = j.enc.Encode(r) // see Sink
}

func (j *jsonLines) Close() {}

func encoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc
}

// writeJSON writes one indented document.
func writeJSON(w io.Writer, v any) error {
	enc := encoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
