package state

import "slices"

// Verdict is what a three-way comparison says about one attribute.
type Verdict int

// The verdicts of Judge.
const (
	// Restored: the live value already is the one before the run.
	Restored Verdict = iota
	// Ours: the live value is one that the run wrote or meant to write.
	Ours
	// Drift: somebody else wrote the live value.
	Drift
)

// Judge compares the live value with the one before the run and with every
// value that the run ever intended. A write of a dead process that lands late
// is in ours, so it is not called drift.
func Judge(before Value, ours []Value, now Value) Verdict {
	switch {
	case now == before:
		return Restored
	case slices.Contains(ours, now):
		return Ours
	}
	return Drift
}
