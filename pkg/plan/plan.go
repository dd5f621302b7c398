// Package plan reads the YAML file that says what a run does: strictly, with
// positions, without touching the network. What a target's or a gate's own
// block means is checked by whoever knows that driver or gate, through
// Node.Decode, which reports errors at the same positions.
package plan

import (
	"time"
)

// Plan is one parsed plan with its variables filled in.
type Plan struct {
	Name        string
	Description string
	File        string // as given on the command line
	Source      []byte // the text that was parsed
	Vars        map[string]any
	Defaults    Defaults
	Targets     []Target
	Groups      []Group
	Alternate   []string // two group names, or none
	Unequal     bool     // members of one side may have different weights
	Guards      []Guard
	Gates       []Gate // the named ones
	Views       Node   // raw; zero when the plan has none
	Steps       []Step
	Warnings    []Warning

	env *env // what expressions may name, and the source for errors
}

// Defaults apply to every step that does not say otherwise.
type Defaults struct {
	Timeout time.Duration // 10m when the plan is silent
	Retry   Retry
	OnFail  string
}

// Warning is something lint tells and run does not refuse.
type Warning struct {
	Pos  Pos
	Text string
	Hint string
}

// Target is one live thing a driver handles.
type Target struct {
	Name   string
	Driver string
	Config Node // the block without "driver"
	Pos    Pos
}

// Group is a named set of members across targets.
type Group struct {
	Name    string
	Members []GroupMembers // in the order of the plan
	Pos     Pos
}

// GroupMembers are a group's members in one target, as the plan names them:
// names, or patterns with * and ?.
type GroupMembers struct {
	Target string
	Names  []string
	Pos    Pos
	// NamePos are the positions of Names.
	NamePos []Pos
}

// Guard holds before every change, also on the way back.
type Guard struct {
	Target     string
	MinServing int
	Pos        Pos
}

// Gate is a condition: which kind, its block, and when it is looked at.
type Gate struct {
	Name   string // of a named gate; "<step id>" of one written in a step
	Kind   string
	Config Node // the block below the kind's key
	// Each names a group (or live, idle, member): one gate for each member.
	Each     string
	Every    time.Duration
	Timeout  time.Duration
	For      time.Duration
	Passes   int
	Failures int
	Pos      Pos
}

// Retry says how often a step is tried.
type Retry struct {
	Attempts int           // in all; 1 is no retry
	Backoff  time.Duration // before the second; doubles
	Max      time.Duration // longest backoff
}

// Step is one verb with an id.
type Step struct {
	ID      string
	Pos     Pos
	When    *Expr
	Timeout time.Duration // 0: the verb's own default
	Retry   Retry
	Gates   []GateRef // post-condition; watched during ramp and wait
	OnFail  string    // rollback, pause, continue
	Undo    *Command  // of run
	NoUndo  bool      // undo: none
	Commit  bool

	// Exactly one of these is set.
	Set      *Set
	Ramp     *Ramp
	Drain    *Drain
	Gate     []GateRef // the verb
	Wait     *Wait
	Run      *Command
	Approve  *Approve
	Steps    []Step
	Parallel *Parallel
	Each     *Each
}

// Verb names the step's verb.
func (s Step) Verb() string {
	switch {
	case s.Set != nil:
		return "set"
	case s.Ramp != nil:
		return "ramp"
	case s.Drain != nil:
		return "drain"
	case s.Wait != nil:
		return "wait"
	case s.Run != nil:
		return "run"
	case s.Approve != nil:
		return "approve"
	case s.Steps != nil:
		return "steps"
	case s.Parallel != nil:
		return "parallel"
	case s.Each != nil:
		return "each"
	}
	return "gate"
}

// GateRef is the name of a gate of the plan, or a gate written in place.
type GateRef struct {
	Name   string
	Inline *Gate
	Pos    Pos
}

// Selection says which objects a verb is about.
type Selection struct {
	Group   string   // a group, live or idle; inside each, empty means the member
	On      []string // only these targets of the group
	Target  string   // without a group: all members of the target, or Members
	Members []string // names or patterns in Target
	// Object holds the keys that name one object which is not a member, as the
	// driver's kind declares them: {"record": "www.example.com A"} or
	// {"map": "/etc/haproxy/hosts.map", "key": "www"}. The plan parser cannot
	// tell them from attributes; it leaves every unknown key of a set in
	// Set.Attrs, and the binder moves them here.
	Object map[string]string
	// Open: its group or target is a variable without a value, which only a
	// look at a plan without its variables meets.
	Open bool
	Pos  Pos
}

// Set changes attributes.
type Set struct {
	Selection
	Attrs []Attr // in the order of the plan
}

// Attr is one attribute and the value to set, maybe a template.
type Attr struct {
	Name     string
	Value    any // string, int64/uint64/float64, bool, []any, or Template
	Pos      Pos // of the key
	ValuePos Pos
}

// Ramp moves weight between two groups.
type Ramp struct {
	From, To string
	On       []string
	Percent  []int
	Full     int // weight of a member that takes everything; 0: as From has it
	Hold     time.Duration
	Pos      Pos
}

// Drain waits until nothing is in flight.
type Drain struct {
	Selection
	Sessions int           // at or below is quiet
	Interval time.Duration // between samples; default 100ms
	Samples  int           // that agree; default 3
	Then     string        // fail, kill, continue at the deadline
	Metric   *GateRef      // instead of the driver's own count
	Count    *Count        // asked of each member, instead of the driver's own count
	Ask      *Ask          // of each member when the drain begins
	Kill     *Ask          // of each member at the deadline, instead of the driver's own
}

// Wait is a pause.
type Wait struct {
	For time.Duration
	TTL *TTL // the rule for record sets
	Pos Pos
}

// Command is a process to run: argv, or a line for the shell.
type Command struct {
	Argv    []string // templates are still in
	Shell   string
	Env     map[string]string
	Dir     string
	Timeout time.Duration // of an undo; 0: the step's
	Pos     Pos
}

// Approve asks a person.
type Approve struct {
	Message string
	Timeout time.Duration
	Pos     Pos
}

// Parallel runs branches at once.
type Parallel struct {
	Steps []Step
	Limit int // 0: all at once
}

// Each runs steps for each member of a group.
type Each struct {
	Group string
	On    []string
	Limit int // at once; default 1
	Do    []Step
}
