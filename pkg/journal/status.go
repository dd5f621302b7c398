package journal

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// Status is what a run's records say about it, and nothing else: whether its
// process lives is not in them (see Locks).
type Status struct {
	Meta Meta
	// Holder is who drove the run last, Epochs how many processes did.
	Holder Holder
	Epochs int
	// Open: there is no terminal record, or the run was begun again after it.
	Open bool
	// Outcome is how the run ended or paused. Of an open run that did not
	// pause it is OutcomeRunning; whoever knows that its process is gone calls
	// that OutcomeInDoubt. Of a run without any record it is OutcomeFailed:
	// nothing was changed.
	Outcome Outcome
	// End is the data of the last pause or end record.
	End End
	// Step is the id of the step that the run is in, or stopped in.
	Step string
	// Since is when the run came to where it stands: the end, the pause, the
	// beginning of the wait or of the step.
	Since time.Time
	// Updated is the time of the last record, Seq its slot.
	Updated time.Time
	Seq     int

	Steps []StepState // in the order they began
	// Results of activities, waits and approvals by key, but for those that a
	// retry made forgotten.
	Results map[string]Result
	// Pending are intents without a result, by slot: in doubt when their
	// process died.
	Pending []Intent
	// Effects are everything that the run meant to do to the world, by slot.
	Effects []Effect
	// Rollbacks are the attempts to go back. RollingBack: one has begun and the
	// run has not ended since.
	Rollbacks   []Rollback
	RollingBack bool
	// Waiting are the waits that are not over, by slot.
	Waiting []Wait
	// Sleeps are the deadlines of all waits by key.
	Sleeps map[string]time.Time
	// Consumed are the names of the inbox messages that were journaled.
	Consumed map[string]bool
	// Commit is the slot of the last step beyond which there is no automatic
	// way back; 0 when there is none.
	Commit int

	ours  map[state.Key][]state.Value
	first map[state.Key]state.Value
}

// StepState is how far a step came.
type StepState struct {
	Key    string
	ID     string
	Verb   string
	Status string // begin, done, skipped, failed
	Text   string
	Began  time.Time
	Took   time.Duration
}

// Running reports whether the step has begun and not ended.
func (s StepState) Running() bool { return s.Status == "begin" }

// Result is how an activity ended.
type Result struct {
	Done     bool // else it failed with Err
	Data     []byte
	Err      *Error
	Activity string
	Seq      int
}

// Intent is an activity that began.
type Intent struct {
	Seq      int
	Key      string
	Activity string
	Time     time.Time
}

// The activities that Fold knows the data of.
const (
	ActivityApply   = "apply"   // Apply, Applied
	ActivityRun     = "run"     // Command, Exit
	ActivityRestore = "restore" // Restore, Restored
)

// Effect is one thing that a run meant to do to the world.
type Effect struct {
	Seq      int
	Key      string
	Kind     string // ActivityApply, ActivityRun or ActivityRestore
	Time     time.Time
	Target   string
	Label    string
	Changes  []state.Change // of a restore: those that it reports as made
	Creates  []string       // objects that did not exist before
	Replaced []Replaced     // answers that nobody gives any more since
	Command  Command
	Done     bool // it was seen to have worked
	Failed   bool // it ended with an error and may have worked in part
	// Unwritten: it failed and is known to have changed nothing.
	Unwritten bool
	Rollback  int // attempt of the way back that it is part of; 0 on the way forward
}

// Wait is a wait that is not over.
type Wait struct {
	Key     string
	Type    Type // TypeSleep or TypeAwait
	Seq     int
	Since   time.Time
	Until   time.Time
	Message string
}

// Ours returns every value that the run ever meant k to have, forward and
// back, in the order of the first time. A live value among them is no drift,
// whenever it was written.
func (s Status) Ours(k state.Key) []state.Value { return slices.Clone(s.ours[k]) }

// FirstBefore returns the value that k had before the run first meant to
// change it; ok is false when it never did.
func (s Status) FirstBefore(k state.Key) (before state.Value, ok bool) {
	before, ok = s.first[k]
	return before, ok
}

// Changed returns every attribute that the run meant to change, ordered, but
// for those of which it is known that it never did.
func (s Status) Changed() []state.Key {
	keys := map[state.Key]bool{}
	for _, e := range s.Effects {
		if e.Kind != ActivityApply || e.Unwritten {
			continue
		}
		for _, c := range e.Changes {
			keys[c.Key()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(keys), state.Key.Compare)
}

// below reports whether key is base or lies under it.
func below(key, base string) bool {
	rest, ok := strings.CutPrefix(key, base)
	return ok && (rest == "" || strings.IndexByte("/.#[", rest[0]) >= 0 || strings.HasSuffix(base, "/"))
}
