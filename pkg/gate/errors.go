package gate

import (
	"errors"
	"fmt"
	"time"
)

// errNoGates: without a look there is no verdict. A gate about each member of
// an empty group would otherwise pass unseen.
var errNoGates = errors.New("there is no gate to look at")

// TimeoutError says that a gate did not pass in time.
type TimeoutError struct {
	Gate   string
	Member string // empty unless the gate is about each member
	Last   Look   // the last look that ended; zero if none did
	// Seen is the last look that could look.
	Seen Result
	// NeverLooked: not one look could look. The gate said nothing, good or
	// bad; Last.Err says why.
	NeverLooked bool
	After       time.Duration // how long it was looked at
	Policy      Policy        // what was asked of it
}

func (e *TimeoutError) Error() string {
	head := name(e.Gate, e.Member)
	after := brief(e.After)
	switch {
	case e.NeverLooked && e.Last.Err == nil:
		return fmt.Sprintf("%s: could not look: no look ended within %s", head, after)
	case e.NeverLooked:
		return fmt.Sprintf("%s: could not look for %s: %v", head, after, e.Last.Err)
	case e.Last.Err != nil:
		return fmt.Sprintf("%s: not passed within %s: %s; then could not look: %v", head, after, e.Seen.Detail, e.Last.Err)
	case e.Last.Result.Pass && e.Last.Passes < e.Policy.Passes:
		return fmt.Sprintf("%s: not passed within %s: %d of %d passes in a row (%s)",
			head, after, e.Last.Passes, e.Policy.Passes, e.Seen.Detail)
	case e.Last.Result.Pass:
		return fmt.Sprintf("%s: not passed within %s: held %s of %s (%s)",
			head, after, brief(e.Last.Held), brief(e.Policy.For), e.Seen.Detail)
	}
	return fmt.Sprintf("%s: not passed within %s: %s", head, after, e.Seen.Detail)
}

// Unwrap gives the reason why the last look could not look, if it could not.
func (e *TimeoutError) Unwrap() error { return e.Last.Err }

// FailedError says that a watched gate ended the watch.
type FailedError struct {
	Gate   string
	Member string // empty unless the gate is about each member
	// Detail is what the gate did not like.
	Detail string
	// Err is set when the gate said nothing because it could not look for
	// longer than its timeout.
	Err error
}

func (e *FailedError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: could not look: %v", name(e.Gate, e.Member), e.Err)
	}
	return fmt.Sprintf("%s: %s", name(e.Gate, e.Member), e.Detail)
}

// Unwrap gives the reason why the gate could not look, if it could not.
func (e *FailedError) Unwrap() error { return e.Err }

func name(gate, member string) string {
	if member == "" {
		return "gate " + gate
	}
	return fmt.Sprintf("gate %s (%s)", gate, member)
}
