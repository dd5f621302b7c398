package journal

import "time"

// The activities that make members do something.
const (
	ActivityAsk  = "ask"  // Call, Called
	ActivityKill = "kill" // Call, or Observe for the driver's own; Called
)

// Asked is one member that is asked something, as the expressions of a plan
// know it.
type Asked struct {
	// Label is its name, made unique in the drain.
	Label   string   `json:"label"`
	Name    string   `json:"name"`
	Address string   `json:"address,omitempty"`
	Host    string   `json:"host,omitempty"`
	Targets []string `json:"targets,omitempty"`
}

// Call is the intent to make members do something: to end what is open on them
// politely, or, as a kill, at once. A process that dies before it has the
// answers does it again when it is resumed: members may be asked twice.
type Call struct {
	// Ref is its place in the plan, of a call over HTTP.
	Ref     string  `json:"ref,omitempty"`
	Members []Asked `json:"members"`
	// What is done, for people: "POST http://${{ member.address }}/drain".
	What string `json:"what"`
	// Commands are what is run, one for each member, instead of a call.
	Commands []Command `json:"commands,omitempty"`
	Optional bool      `json:"optional,omitempty"`
	// Timeout bounds it on one member.
	Timeout  string                       `json:"timeout,omitempty"`
	Deadline time.Time                    `json:"deadline,omitzero"`
	Outputs  map[string]map[string]string `json:"outputs,omitempty"`
}

// Called is what came of a Call.
type Called struct {
	Text string `json:"text"`
	// Failed says why, by member.
	Failed map[string]string `json:"failed,omitempty"`
}
