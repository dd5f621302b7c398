package plan

// Scope is what the expressions of a plan can name, by name: vars
// (map[string]any), live and idle (GroupValue), groups (map[string]GroupValue),
// member (MemberValue; only inside each), steps (map[string]StepValue), run
// (RunValue) and attempt (int).
type Scope map[string]any

// GroupValue is a group in an expression.
type GroupValue struct {
	Name      string        `expr:"name"`
	Members   []MemberValue `expr:"members"`
	Addresses []string      `expr:"addresses"` // hosts, each once
	Names     []string      `expr:"names"`
}

// MemberValue is a member in an expression.
type MemberValue struct {
	Name    string   `expr:"name"`
	Address string   `expr:"address"` // host:port
	Host    string   `expr:"host"`
	Port    int      `expr:"port"`
	Targets []string `expr:"targets"` // targets of the plan that hold it
}

// StepValue is a finished step in an expression.
type StepValue struct {
	Outputs map[string]any `expr:"outputs"`
}

// RunValue is the run in an expression.
type RunValue struct {
	ID string `expr:"id"`
}
