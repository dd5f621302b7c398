// Package gate looks at conditions that a run waits for. A Gate makes one
// observation; interval, timeout and how many passes are needed live in one
// loop around it (Wait, Watch).
package gate

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
)

// Gate makes one observation. It may remember earlier ones (an error rate is
// a difference of counters), so every use of a gate is a fresh one from Build.
type Gate interface {
	// Check observes once and returns soon after ctx ends. An error means that
	// the gate could not look, which is something else than looking and not
	// liking what it saw. Calls do not overlap.
	Check(ctx context.Context) (Result, error)
}

// Result is what one look saw: a pass, a no, or nothing that decides yet.
type Result struct {
	Pass bool
	// Undecided: it looked, and what it saw is neither good nor bad, such as
	// an error rate of three answers. Pass is false then. It neither adds to a
	// row of passes or failures nor ends one.
	Undecided bool
	// Detail is short, for people: "status 503", "p99 840ms > 500ms".
	Detail string
}

// Limiter is implemented by gates whose looks may take longer, or must end
// sooner, than the ten seconds that Wait and Watch give a look.
type Limiter interface {
	// LookLimit is when a look is cut off. A cut look could not look.
	LookLimit() time.Duration
}

// Patient is implemented by gates that cannot say yes at once, however good
// what they see is.
type Patient interface {
	// Earliest is the time from the first look to the first one that may pass,
	// with a look every so often.
	Earliest(every time.Duration) time.Duration
}

// Shortest is the least time that gates need for their verdict, from the first
// look on.
func Shortest(gates []Named) time.Duration {
	var longest time.Duration
	for _, g := range gates {
		p := g.Policy.withDefaults()
		need := p.atLeast() - p.Every
		if slow, ok := g.Gate.(Patient); ok {
			need += slow.Earliest(p.Every)
		}
		longest = max(longest, need)
	}
	return longest
}

// looksUntil is the time of the first look that is at least d after the first
// one.
func looksUntil(d, every time.Duration) time.Duration { return (d + every - 1) / every * every }

// Close releases what gates keep between their looks, such as an open log.
func Close(gates []Named) {
	for _, g := range gates {
		if c, ok := g.Gate.(io.Closer); ok {
			_ = c.Close() // there is nothing that could be done
		}
	}
}

// Target gives gates a look at a target of the plan: its driver and the ids of
// the members that the gate is about (all members when it names none).
type Target struct {
	Driver driver.Driver
	IDs    []string
	// Names are what the plan calls the ids.
	Names map[string]string
}

// Env is what a gate is lent.
type Env struct {
	Log       *slog.Logger
	Transport *http.Transport // base for HTTP; nil means a default one
	Secrets   *secret.Resolver
	// Target finds a target of the plan by name, nil if there is none. members
	// limits it to those member names; empty means all.
	Target func(name string, members []string) (Target, error)
	// Views opens views of the plan by name, in that order; all of the plan
	// when no name is given. Nil if there are none.
	Views func(names []string) ([]resolve.View, error)
}

// Kind is one kind of gate: the key in a plan, its configuration and how to
// build it.
type Kind struct {
	Name    string
	Summary string
	// Config is a zero value of the configuration type.
	Config any
	// Build makes a gate that has looked at nothing yet.
	Build func(decode func(any) error, env Env) (Gate, error)
	// Check decodes and validates only; nothing is opened or looked at.
	Check func(decode func(any) error) error
}

// Define makes a Kind out of a configuration type and a constructor. A
// configuration type may implement driver.Validator.
func Define[C any](name, summary string, build func(C, Env) (Gate, error)) Kind {
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
	return Kind{
		Name: name, Summary: summary, Config: *new(C),
		Build: func(decode func(any) error, env Env) (Gate, error) {
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

// Registry is a set of gate kinds by name.
type Registry struct{ kinds map[string]Kind }

// NewRegistry returns a registry of those kinds. Two of one name are a
// programming error and panic.
func NewRegistry(kinds ...Kind) *Registry {
	r := &Registry{map[string]Kind{}}
	for _, k := range kinds {
		if _, dup := r.kinds[k.Name]; dup {
			panic("gate: two kinds named " + k.Name)
		}
		r.kinds[k.Name] = k
	}
	return r
}

// Lookup returns the kind of that name.
func (r *Registry) Lookup(name string) (Kind, bool) {
	k, ok := r.kinds[name]
	return k, ok
}

// All returns the kinds in the order of their names.
func (r *Registry) All() []Kind {
	var all []Kind
	for _, k := range r.kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b Kind) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Look is one look of a gate, as the loop reports it.
type Look struct {
	Gate   string // the gate's name in the plan
	Member string // empty unless the gate is about each member
	Result Result
	Err    error // could not look
	Passes int   // in a row so far
	// Failures counts looks that said no, in a row so far.
	Failures int
	// Held is how long every look has passed.
	Held time.Duration
}

// Named is a gate with its name and, for a gate about each member, the member.
type Named struct {
	Name   string
	Member string
	Gate   Gate
	Policy Policy
}
