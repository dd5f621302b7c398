package driver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/state"
)

// Errors that decide what the engine does next. Drivers wrap them.
var (
	// ErrUnknown: the call may or may not have taken effect. Read back.
	ErrUnknown = errors.New("the outcome is unknown")
	// ErrPermanent: trying the same again cannot help.
	ErrPermanent = errors.New("permanent")
	// ErrNotFound: the target, or an object that was named, does not exist.
	ErrNotFound = errors.New("not found")
)

// Permanent marks err so that nobody retries it; its text stays as it is.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, ErrPermanent}
}

// Uncertain marks err as one that says nothing about the outcome.
func Uncertain(err error) error {
	if err == nil {
		return nil
	}
	return &marked{err, ErrUnknown}
}

type marked struct {
	error
	mark error
}

func (m *marked) Unwrap() []error { return []error{m.error, m.mark} }

// DriftError says that somebody else changed a value between flip's reading
// and its writing. Nothing of that object was written.
type DriftError struct {
	Change state.Change
	Now    state.Value
}

func (e *DriftError) Error() string {
	c := e.Change
	return fmt.Sprintf("%s %s is %s, but was %s when flip looked and %s was to be set: somebody else changed it",
		c.Object, c.Attribute, e.Now, c.From, c.To)
}

// PartialError comes with a State that lacks the objects of some nodes.
type PartialError struct {
	// Nodes are the nodes that did not answer, with the reason.
	Nodes map[string]error
}

func (e *PartialError) Error() string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(e.Nodes)) {
		parts = append(parts, fmt.Sprintf("node %s: %v", n, e.Nodes[n]))
	}
	return strings.Join(parts, "; ")
}

func (e *PartialError) Unwrap() []error {
	var errs []error
	for _, n := range slices.Sorted(maps.Keys(e.Nodes)) {
		errs = append(errs, e.Nodes[n])
	}
	return errs
}

// Named puts the driver's name in front of err, unless it begins with it.
func Named(driver string, err error) error {
	if err == nil || strings.HasPrefix(err.Error(), driver+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", driver, err)
}
