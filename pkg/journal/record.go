// Package journal is a run's memory: records that are durable before the act
// that they speak of, the locks on what is changed, and the fold that says
// from the records alone what state a run is in. One record type is the
// journal's line, the line of `-o json` and what every view reads.
package journal

import (
	"context"
	"encoding/json"
	"time"
)

// Type says what a record is about.
type Type string

// The record types.
const (
	TypeRun      Type = "run"      // first record; Data is Meta
	TypeTakeover Type = "takeover" // a process begins to drive the run; Data is Holder
	TypeIntent   Type = "intent"   // about to act; Data is the activity's input
	TypeDone     Type = "done"     // acted; Data is the activity's output
	TypeFailed   Type = "failed"   // the activity ended with Error
	TypeSleep    Type = "sleep"    // a wait begins; Data is Until
	TypeAwait    Type = "await"    // an approval is asked for; Data is Until
	TypeSignal   Type = "signal"   // an approval or a denial came; Data is Signal
	TypeStep     Type = "step"     // a step begins or ends; Data is Step
	TypeRetry    Type = "retry"    // results below Key are forgotten, the step is done anew
	TypeRollback Type = "rollback" // the way back begins; Data is Rollback
	TypePause    Type = "pause"    // stopped at a safe point; Data is End
	TypeEnd      Type = "end"      // terminal; Data is End
	// TypeLook is an observation: never in the chain, kept in the second file.
	TypeLook Type = "look"
)

// Format is the version of the journal's lines that this flip writes and reads.
const Format = 1

// Record is one line of a journal.
type Record struct {
	V        int             `json:"v,omitempty"`   // Format, in the first record only
	Seq      int             `json:"seq,omitempty"` // from 1; 0 for observations
	Time     time.Time       `json:"time"`          // UTC
	Type     Type            `json:"type"`
	Key      string          `json:"key,omitempty"`      // structural path: /steps/shift/5.raise
	Activity string          `json:"activity,omitempty"` // of intent, done, failed
	Data     json.RawMessage `json:"data,omitempty"`
	Error    *Error          `json:"error,omitempty"`
	Prev     string          `json:"prev,omitempty"` // first 8 bytes of the SHA-256 of the line before, hex
	Sum      string          `json:"sum,omitempty"`  // the same of this line up to this member: guards the newest record, which no Prev covers yet
}

// Error is an error that went through the journal.
type Error struct {
	// Class is what code decides on: "drift", "gate", "guard", "timeout",
	// "unreadable", "denied", "reload", "" for all others.
	Class string   `json:"class,omitempty"`
	Text  string   `json:"text"`
	Hints []string `json:"hints,omitempty"`
	// Unwritten: the activity is known to have changed nothing. False says
	// nothing about it.
	Unwritten bool `json:"unwritten,omitempty"`
}

func (e *Error) Error() string { return e.Text }

// Log is the journal of one run. Append is for the one process that drives the
// run; everything else may be called by anybody.
type Log interface {
	// ID is the run's id.
	ID() string
	// Dir is where the run keeps its files.
	Dir() string
	// Records returns the chain up to now.
	Records() []Record
	// Append writes r at the next slot, durably, and returns it with Seq, Time
	// and the hashes filled in. It fails with ErrFenced when somebody else
	// wrote that slot: from then on this process must not touch anything. It
	// fails with ErrNotDurable when the disk did not take the record, then and
	// ever after. An ended run takes only a takeover or a rollback (ErrEnded).
	// ctx bounds the wait for another writer, nothing else: what happened is
	// recorded on a cancelled context too.
	Append(ctx context.Context, r Record) (Record, error)
	// Look writes an observation, without waiting for the disk. At most one a
	// second is kept for each key and member.
	Look(r Record)
	// Close releases the file. It does not end the run.
	Close() error
}
