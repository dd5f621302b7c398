package gate

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Policy says when a gate that is looked at again and again has decided.
// The zero value is usable: one pass, every two seconds, for five minutes.
//
// A look that could not look and one that is undecided count for nothing: they
// add no pass and no failure, end no row, and their time is not time held. But
// the last look must be a pass: what cannot be seen now is not a yes now.
type Policy struct {
	Every    time.Duration // between the starts of two looks; default 2s
	Timeout  time.Duration // until the verdict is no; default 5m
	Passes   int           // passes in a row; default 1
	For      time.Duration // how long every look must pass; default 0
	Failures int           // looks in a row that say no and end a Watch; default 1
}

// The values of a Policy that says nothing.
const (
	defaultEvery   = 2 * time.Second
	defaultTimeout = 5 * time.Minute
)

func (p Policy) withDefaults() Policy {
	p.Every = cmp.Or(p.Every, defaultEvery)
	p.Timeout = cmp.Or(p.Timeout, defaultTimeout)
	p.Passes = max(p.Passes, 1)
	p.Failures = max(p.Failures, 1)
	return p
}

// Validate refuses a policy that cannot be meant: a negative value, or one
// that no gate can fulfil before its timeout.
func (p Policy) Validate() error {
	switch {
	case p.Every < 0, p.Timeout < 0, p.For < 0:
		return errors.New("every, timeout and for cannot be negative")
	case p.Passes < 0, p.Failures < 0:
		return errors.New("passes and failures cannot be negative")
	}
	p = p.withDefaults()
	if p.For >= p.Timeout {
		return hint.Wrap(fmt.Errorf("for %s cannot be reached within timeout %s", brief(p.For), brief(p.Timeout)),
			"give it a timeout longer than for")
	}
	if need := time.Duration(p.Passes-1) * p.Every; need >= p.Timeout {
		return hint.Wrap(fmt.Errorf("%d passes every %s take %s, longer than timeout %s",
			p.Passes, brief(p.Every), brief(need), brief(p.Timeout)), "give it a longer timeout or fewer passes")
	}
	return nil
}

// atLeast is the shortest time in which a gate can fulfil the policy.
func (p Policy) atLeast() time.Duration {
	return max(p.For, time.Duration(p.Passes-1)*p.Every) + p.Every
}

// brief writes a duration as a plan would: 5m, not 5m0s.
func brief(d time.Duration) string {
	switch {
	case d >= time.Minute:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(time.Millisecond)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
