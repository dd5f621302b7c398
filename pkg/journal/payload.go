package journal

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// Meta is the data of the first record.
type Meta struct {
	Plan        string    `json:"plan"` // the plan's name
	File        string    `json:"file,omitempty"`
	Description string    `json:"description,omitempty"`
	Hash        string    `json:"hash"` // of the resolved plan beside the journal
	Flip        string    `json:"flip"` // version
	Interpreter int       `json:"interpreter"`
	Live        string    `json:"live,omitempty"`
	Idle        string    `json:"idle,omitempty"`
	Targets     []string  `json:"targets,omitempty"`
	Scopes      []string  `json:"scopes,omitempty"`
	Started     time.Time `json:"started"`
}

// Holder is who drives a run.
type Holder struct {
	Who   string    `json:"who"`
	Host  string    `json:"host"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
	// Verb is the command: run, resume, rollback.
	Verb string `json:"verb,omitempty"`
	// Plan is the file beside the journal that the run follows from here on;
	// empty for the one that it began with.
	Plan string `json:"plan,omitempty"`
}

// Until is the data of a wait: an absolute time in UTC.
type Until struct {
	Until   time.Time `json:"until"`
	Message string    `json:"message,omitempty"`
}

// Signal is an answer to an Await.
type Signal struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
	Reason   string `json:"reason,omitempty"`
	// Message is the name of the inbox message that brought it, so that one
	// message is journaled once.
	Message string `json:"message,omitempty"`
}

// Step is the data of a step record.
type Step struct {
	ID     string  `json:"id"`
	Verb   string  `json:"verb"`
	Status string  `json:"status"` // begin, done, skipped, failed
	Text   string  `json:"text,omitempty"`
	Took   float64 `json:"took_s,omitempty"`
	// Commit says of a done step that there is no automatic way back beyond it.
	Commit bool `json:"commit,omitempty"`
}

// Rollback is the data of a rollback record.
type Rollback struct {
	Attempt int    `json:"attempt"`
	Reason  string `json:"reason"`
	Step    string `json:"step,omitempty"` // the step that failed
	OnDrift string `json:"on_drift,omitempty"`
	Unclean bool   `json:"unclean,omitempty"` // a process died before; a sweep is due
}

// Outcome is how a run ended or where it stands.
type Outcome string

// The outcomes. Each has its exit code (see package cmd).
const (
	OutcomeDone        Outcome = "done"
	OutcomeFailed      Outcome = "failed"              // before any change
	OutcomeRolledBack  Outcome = "rolled back"         // completely, and read back
	OutcomeIncomplete  Outcome = "ROLLBACK INCOMPLETE" // a person is needed
	OutcomePaused      Outcome = "paused"
	OutcomeInterrupted Outcome = "interrupted"
	OutcomeWaiting     Outcome = "waiting"
	OutcomeAccepted    Outcome = "accepted" // a person said: leave it as it is
	OutcomeRunning     Outcome = "running"
	OutcomeInDoubt     Outcome = "IN DOUBT"
)

// End is the data of a pause or end record.
type End struct {
	Outcome Outcome `json:"outcome"`
	Step    string  `json:"step,omitempty"`
	Key     string  `json:"key,omitempty"` // of the failed step; a resumed run does it anew
	Reason  string  `json:"reason,omitempty"`
	Drift   []Drift `json:"drift,omitempty"`
	// Unmet: a run that failed before any change did so because a live system
	// was not as the plan needs it.
	Unmet bool `json:"unmet,omitempty"`
	// Restored counts values that were put back and read back, Changed all
	// that the run ever changed.
	Restored int `json:"restored"`
	Changed  int `json:"changed"`
	// Off counts values that did not read as the run left them when it came to
	// the plan's end.
	Off int `json:"off,omitempty"`
	// Uncertain: the outcome of a call was unknown, so it may take effect
	// later. A rollback that comes next sweeps.
	Uncertain bool `json:"uncertain,omitempty"`
	// Cached is what others may go on answering after a way back.
	Cached *Cached `json:"cached,omitempty"`
}

// Drift is one value that neither the run's beginning nor the run explains.
type Drift struct {
	state.Key
	Before state.Value   `json:"before"`
	Ours   []state.Value `json:"ours"`
	Now    state.Value   `json:"now"`
	// Unreadable says why Now is not known.
	Unreadable string `json:"unreadable,omitempty"`
}

// Observe asks for the state of objects before they are changed.
type Observe struct {
	Target string   `json:"target"`
	IDs    []string `json:"ids"`
}

// Observed is the pre-image.
type Observed struct {
	Objects map[string]map[string]state.Value `json:"objects"`
	Nodes   map[string]state.Incarnation      `json:"nodes,omitempty"`
}

// Apply is the intent to make changes on one target.
type Apply struct {
	Target  string         `json:"target"`
	Changes []state.Change `json:"changes"`
	// Creates are the objects that did not exist before: all that they have
	// goes with them.
	Creates []string `json:"creates,omitempty"`
	// Heirs are members that are to carry what is taken from others: nothing is
	// taken while one of them that takes traffic is down.
	Heirs []string `json:"heirs,omitempty"`
	// Label is for people: "5 %".
	Label string `json:"label,omitempty"`
	// Phase is raise for changes that add capacity: members that begin to
	// serve must be seen healthy before the activity is done. Else lower.
	Phase    string    `json:"phase,omitempty"`
	Deadline time.Time `json:"deadline,omitzero"`
}

// Applied says that every change was read back.
type Applied struct {
	Nodes   int `json:"nodes"`             // how many nodes agree
	Already int `json:"already,omitempty"` // changes that were there before
	// Replaced are the answers that nobody gives any more since.
	Replaced []Replaced `json:"replaced,omitempty"`
}

// Restore is the intent to put values of one target back.
type Restore struct {
	Target string `json:"target"`
	// Segment numbers the stretches of changes between two commands, the
	// last one first.
	Segment int      `json:"segment"`
	Items   []Before `json:"items"`
	Phase   string   `json:"phase"` // raise, lower, sweep
	Force   bool     `json:"force,omitempty"`
	// Doubt: a process that died may have restored the values already, and
	// nobody knows when.
	Doubt bool      `json:"doubt,omitempty"`
	Until time.Time `json:"deadline,omitzero"`
}

// Before is one attribute's way back.
type Before struct {
	Object    string        `json:"object"`
	Attribute string        `json:"attribute"`
	Before    state.Value   `json:"before"`
	Ours      []state.Value `json:"ours"`
	// Left is what the run's last finished change made of it, where others may
	// have kept that: a record set. Absent otherwise.
	Left state.Value `json:"left,omitempty"`
}

// Restored is what a Restore found and did.
type Restored struct {
	Changes []state.Change `json:"changes,omitempty"` // made and read back
	Already int            `json:"already,omitempty"`
	Drift   []Drift        `json:"drift,omitempty"`
	Nodes   int            `json:"nodes"`
	// Replaced are the answers that nobody gives any more since.
	Replaced []Replaced `json:"replaced,omitempty"`
}

// Command is the intent to run a command.
type Command struct {
	Argv     []string          `json:"argv,omitempty"`
	Shell    string            `json:"shell,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Dir      string            `json:"dir,omitempty"`
	Attempt  int               `json:"attempt"`
	Deadline time.Time         `json:"deadline,omitzero"`
	Timeout  string            `json:"timeout,omitempty"`
	Log      string            `json:"log,omitempty"` // file in the run's directory
	// Undo is the way back of this command, evaluated before it ran; nil when
	// there is none.
	Undo *Command `json:"undo,omitempty"`
	// Hidden, of an undo: it holds a secret, which is not in the journal.
	Hidden bool `json:"hidden,omitempty"`
	// Held, of an undo, are the values that its members must keep meanwhile.
	Held []state.Change `json:"held,omitempty"`
}

// Exit is how a command ended.
type Exit struct {
	Code int `json:"code"`
	// Output is the end of what it printed.
	Output string `json:"output,omitempty"`
	// Outputs are name=value lines that the command wrote to $FLIP_OUTPUT.
	Outputs map[string]string `json:"outputs,omitempty"`
	// Hidden are the outputs that hold a secret: what the journal has of them
	// is not what the command wrote.
	Hidden []string `json:"hidden,omitempty"`
	// Fresh: this is what the command wrote, not what the journal has of it.
	Fresh bool `json:"-"`
}

// Drain is the question whether members are quiet.
type Drain struct {
	Target   string    `json:"target,omitempty"`
	IDs      []string  `json:"ids"`
	Sessions int       `json:"sessions"`
	Interval string    `json:"interval"`
	Samples  int       `json:"samples"`
	Deadline time.Time `json:"deadline,omitzero"`
	// Count is the place in the plan that says how Members are asked what is in
	// flight on them; empty where the target's driver tells.
	Count   string                       `json:"count,omitempty"`
	Members []Asked                      `json:"members,omitempty"`
	Outputs map[string]map[string]string `json:"outputs,omitempty"`
	// Since is when the drain began, for its words.
	Since time.Time `json:"since,omitzero"`
	// Again is when members are to be asked once more to end what they have.
	Again time.Time `json:"again,omitzero"`
}

// Drained is the answer.
type Drained struct {
	// Again: it is neither quiet nor over; members are to be asked once more.
	Again bool   `json:"again,omitempty"`
	Quiet bool   `json:"quiet"`
	Left  int    `json:"left"` // in flight at the end
	Text  string `json:"text"`
}

// Verdict is the output of a gate or hold activity.
type Verdict struct {
	Text string `json:"text"`
}

// LookData is the data of an observation.
type LookData struct {
	Gate   string `json:"gate,omitempty"`
	Member string `json:"member,omitempty"`
	Pass   *bool  `json:"pass,omitempty"`
	Text   string `json:"text"`
	// InFlight by member, of a drain.
	InFlight map[string]int `json:"in_flight,omitempty"`
	// Unseen says of members why it is not known what is in flight on them.
	Unseen map[string]string `json:"unseen,omitempty"`
	Until  time.Time         `json:"until,omitzero"`
}

// Encode turns a payload into a record's data. Payloads are plain structs, so
// it cannot fail on them.
func Encode(v any) json.RawMessage {
	b, err := marshal(v)
	if err != nil {
		panic("journal: payload: " + err.Error())
	}
	return b
}

// marshal is json.Marshal without turning < and > into escapes: people grep
// journals.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// Decode reads a record's data.
func Decode[T any](r Record) (T, error) {
	var v T
	if len(r.Data) == 0 {
		return v, nil
	}
	err := json.Unmarshal(r.Data, &v)
	return v, err
}
