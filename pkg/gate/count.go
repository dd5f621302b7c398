package gate

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// Count asks one member what is in flight on it. It is what a drain uses where
// the system in front of the member cannot tell: a registry knows no requests,
// a load balancer forgets the websockets of a member that it no longer lists.
type Count interface {
	// Count asks once and ends soon after ctx. An error means that the member
	// did not tell, for whatever reason: it never means that nothing is in
	// flight. Calls of one Count do not overlap.
	Count(ctx context.Context) (driver.Flight, error)
	// Source says what is asked, for people; secrets stay references.
	Source() string
	// Changes reports whether asking may change something: it is no GET.
	Changes() bool
}

// CountKind is one way to count: the key below count, its configuration and
// how to build it.
type CountKind struct {
	Name    string
	Summary string
	// Config is a zero value of the configuration type.
	Config any
	Build  func(decode func(any) error, env Env) (Count, error)
	// Check decodes and validates only.
	Check func(decode func(any) error) error
}

// Counts are the ways to count, in the order of their names.
func Counts() []CountKind { return []CountKind{httpCountKind(), metricsCountKind()} }

// CountOf returns the way to count of that name.
func CountOf(name string) (CountKind, bool) {
	for _, k := range Counts() {
		if k.Name == name {
			return k, true
		}
	}
	return CountKind{}, false
}

// defineCount makes a CountKind out of a configuration type and a constructor.
func defineCount[C any](name, summary string, build func(C, Env) (Count, error)) CountKind {
	check := func(decode func(any) error) (C, error) {
		var c C
		if err := decode(&c); err != nil {
			return c, err
		}
		if v, ok := any(&c).(driver.Validator); ok {
			return c, v.Validate()
		}
		return c, nil
	}
	return CountKind{
		Name: name, Summary: summary, Config: *new(C),
		Build: func(decode func(any) error, env Env) (Count, error) {
			c, err := check(decode)
			if err != nil {
				return nil, err
			}
			return build(c, env)
		},
		Check: func(decode func(any) error) error {
			_, err := check(decode)
			return err
		},
	}
}

// mostInFlight is more than any member has; a number above it is a mistake.
const mostInFlight = 1 << 40

// whole turns what a member said into a number of things in flight. Half a
// request is one: nothing but zero is quiet.
func whole(what string, f float64) (int64, error) {
	switch {
	case math.IsNaN(f), math.IsInf(f, 0):
		return 0, fmt.Errorf("%s is %g, which is no number of things in flight", what, f)
	case f < 0:
		return 0, hint.Wrap(fmt.Errorf("%s is %g, below nothing", what, f), "a gauge that goes below zero counts wrongly; nobody knows what is in flight")
	case f > mostInFlight:
		return 0, fmt.Errorf("%s is %g, more than can be", what, f)
	}
	return int64(math.Ceil(f)), nil
}

// flight makes a Flight of what was counted; total may be absent.
func flight(now float64, total *float64) (driver.Flight, error) {
	n, err := whole("what is in flight", now)
	if err != nil {
		return driver.Flight{}, err
	}
	f := driver.Flight{Now: int(n), Total: -1}
	if total != nil {
		if math.IsNaN(*total) || *total < 0 || *total > math.MaxInt64/2 {
			return driver.Flight{}, fmt.Errorf("total is %g", *total)
		}
		f.Total = int64(*total)
	}
	return f, nil
}

// errNoAnswer turns a look that says no into an error: of what a member did
// not tell nothing is known.
func errNoAnswer(res Result, err error) error {
	if err != nil {
		return err
	}
	return errors.New(res.Detail)
}
