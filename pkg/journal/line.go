package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strconv"
	"time"
)

// hashBytes is how much of a SHA-256 a line carries: enough to see damage and
// mistakes, short enough to read.
const hashBytes = 8

// sumMember is how a chained line ends: sumMember, 16 hex digits, sumEnd.
const (
	sumMember = `,"sum":"`
	sumEnd    = `"}`
	sumTail   = len(sumMember) + 2*hashBytes + len(sumEnd)
)

func short(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:hashBytes]) }

// encode turns r into its line, without the newline, and for a chained record
// (Seq > 0) fills in Sum. It returns the hash that the next record carries as
// Prev. Data goes into the line as it is.
func encode(r Record) (line []byte, done Record, next string, err error) {
	if err := checkData(&r); err != nil {
		return nil, r, "", err
	}
	head, err := marshal(struct {
		V        int       `json:"v,omitempty"`
		Seq      int       `json:"seq,omitempty"`
		Time     time.Time `json:"time"`
		Type     Type      `json:"type"`
		Key      string    `json:"key,omitempty"`
		Activity string    `json:"activity,omitempty"`
	}{r.V, r.Seq, r.Time, r.Type, r.Key, r.Activity})
	if err != nil {
		return nil, r, "", fmt.Errorf("record %d: %w", r.Seq, err)
	}
	line = make([]byte, 0, len(head)+len(r.Data)+256)
	line = append(line, head[:len(head)-1]...)
	if len(r.Data) > 0 {
		line = append(line, `,"data":`...)
		line = append(line, r.Data...)
	}
	if r.Error != nil {
		text, err := marshal(r.Error)
		if err != nil {
			return nil, r, "", fmt.Errorf("record %d: %w", r.Seq, err)
		}
		line = append(line, `,"error":`...)
		line = append(line, text...)
	}
	if r.Seq == 0 {
		return append(line, '}'), r, "", nil
	}
	if r.Prev != "" {
		line = append(line, `,"prev":`...)
		line = strconv.AppendQuote(line, r.Prev)
	}
	h := sha256.New()
	h.Write(line)
	r.Sum = short(h)
	body := len(line)
	line = append(line, sumMember...)
	line = append(line, r.Sum...)
	line = append(line, sumEnd...)
	h.Write(line[body:])
	return line, r, short(h), nil
}

// checkData makes sure that r.Data cannot break the line.
func checkData(r *Record) error {
	if len(r.Data) == 0 {
		return nil
	}
	if !json.Valid(r.Data) {
		return fmt.Errorf("record %s %s: the data is not JSON", r.Type, r.Key)
	}
	if bytes.IndexByte(r.Data, '\n') < 0 {
		return nil
	}
	var buf bytes.Buffer
	if err := json.Compact(&buf, r.Data); err != nil {
		return fmt.Errorf("record %s %s: %w", r.Type, r.Key, err)
	}
	r.Data = buf.Bytes()
	return nil
}

// hashes returns what the line's Sum must be and the Prev of the next line.
func hashes(line []byte) (sum, next string, ok bool) {
	body := len(line) - sumTail
	if body < 0 || !bytes.HasPrefix(line[body:], []byte(sumMember)) {
		return "", "", false
	}
	h := sha256.New()
	h.Write(line[:body])
	sum = short(h)
	h.Write(line[body:])
	return sum, short(h), true
}

// stamp is the time as a record keeps it: wall clock, UTC, milliseconds.
func stamp(t time.Time) time.Time { return t.Round(0).UTC().Truncate(time.Millisecond) }
