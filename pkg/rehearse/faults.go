package rehearse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// Fault is one way in which a target misbehaves.
type Fault string

// The faults. None is a kill and nothing else.
const (
	None      Fault = ""
	LostReply Fault = "lost-reply" // a call takes effect, its answer is lost
	LateWrite Fault = "late-write" // a call takes effect after its sender gave up or died
	Throttle  Fault = "429"        // a call is refused, then refused again
	Slow      Fault = "slow"       // a call takes 20 s
	Partial   Fault = "partial"    // half of a call takes effect
	Drift     Fault = "drift"      // another operator writes what the run wrote
)

// Faults are all of them.
func Faults() []Fault { return []Fault{LostReply, LateWrite, Throttle, Slow, Partial, Drift} }

// Name is what tables call it.
func (f Fault) Name() string {
	if f == None {
		return "kill"
	}
	return string(f)
}

// ParseFaults reads a list of faults: "all", "none" or names.
func ParseFaults(text string) ([]Fault, error) {
	var out []Fault
	for word := range strings.SplitSeq(text, ",") {
		switch f := Fault(strings.TrimSpace(word)); {
		case f == "" || f == "none":
		case f == "all":
			return Faults(), nil
		case !slices.Contains(Faults(), f):
			return nil, hint.Wrap(fmt.Errorf("no fault %q", f), "faults: lost-reply, late-write, 429, slow, partial, drift, all, none")
		case !slices.Contains(out, f):
			out = append(out, f)
		}
	}
	return out, nil
}
