package gate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/resolve"
)

// resolveLimit ends one look: views bound their answers by themselves, this is
// for many vantages that do not answer.
const resolveLimit = time.Minute

// ResolveConfig is the configuration of the resolve gate.
type ResolveConfig struct {
	Name string   `yaml:"name,required"` // what to look up: www.example.com, or with the type: www.example.com AAAA
	Type string   `yaml:"type"`          // of the record; A when neither it nor the name says
	From []string `yaml:"from"`          // views of the plan; all of them when left out

	Set     []string       `yaml:"set"`     // the answer has exactly these values; [] means that it has none
	Has     []string       `yaml:"has"`     // these among others
	Not     []string       `yaml:"not"`     // none of these
	Within  []netip.Prefix `yaml:"within"`  // every address lies in one of these networks
	Changed []string       `yaml:"changed"` // the values are others than these, and there are some

	Quorum  resolve.Quorum    `yaml:"quorum"`  // of the answers of each view: all, a number, or a share like 90%; all when left out
	Unknown resolve.OnUnknown `yaml:"unknown"` // what a view without an answer means: wait, ignore or fail; wait when left out
	Stable  Stable            `yaml:"stable"`  // passes in a row like 3, or passing for a time like 1ttl: the longest TTL seen
}

// question reads name and type, which may stand together.
func (c *ResolveConfig) question() (resolve.Question, error) {
	if c.Type != "" {
		return resolve.NewQuestion(c.Name, c.Type)
	}
	return resolve.ParseQuestion(c.Name)
}

// rule is how answers are judged.
func (c *ResolveConfig) rule(q resolve.Question) (resolve.Rule, error) {
	expect, err := resolve.Expectation{Set: c.Set, Has: c.Has, Not: c.Not, Within: c.Within, Changed: c.Changed}.For(q)
	return resolve.Rule{Expect: expect, Quorum: c.Quorum, Unknown: c.Unknown}, err
}

// Validate says what is wrong with c.
func (c *ResolveConfig) Validate() error {
	q, err := c.question()
	if err != nil {
		return err
	}
	_, err = c.rule(q)
	return err
}

// Stable is how long a look must stay a pass: a number of looks, or a multiple
// of the TTL. The zero value asks for nothing.
type Stable struct {
	looks int
	ttls  float64
}

// UnmarshalText reads "3" or "1ttl".
func (s *Stable) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	bad := hint.Wrap(fmt.Errorf("%q does not say how long", word), "write a number of looks like 3, or a multiple of the TTL like 1ttl")
	if times, ok := strings.CutSuffix(word, "ttl"); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(times), 64)
		if err != nil || !(f > 0 && f <= 100) {
			return bad
		}
		*s = Stable{ttls: f}
		return nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		return bad
	}
	*s = Stable{looks: n}
	return nil
}

// Resolve is the gate that looks a name up from views of the plan. What a view
// cannot see is neither a pass nor a no; when none sees anything the gate could
// not look. Nothing is asked before the first look: asking fills caches.
func Resolve() Kind {
	return Define("resolve", "A name resolves as expected from several places", func(c ResolveConfig, env Env) (Gate, error) {
		q, err := c.question()
		if err != nil {
			return nil, err
		}
		rule, err := c.rule(q)
		if err != nil {
			return nil, err
		}
		return &resolveGate{c: c, q: q, rule: rule, env: env}, nil
	})
}

type resolveGate struct {
	c    ResolveConfig
	q    resolve.Question
	rule resolve.Rule
	env  Env

	// The row of passes so far.
	row   int
	since time.Time
	ttl   time.Duration // the longest seen in it
}

// LookLimit leaves time for vantages that do not answer.
func (g *resolveGate) LookLimit() time.Duration { return resolveLimit }

// Question is the record set that the gate is about.
func (g *resolveGate) Question() resolve.Question { return g.q }

// Check looks once from every view.
func (g *resolveGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx)
	return g.env.clean(res, err)
}

func (g *resolveGate) look(ctx context.Context) (Result, error) {
	if g.env.Views == nil {
		return Result{}, errors.New("there are no views here")
	}
	views, err := g.env.Views(g.c.From)
	if err != nil {
		return Result{}, err
	}
	answers := resolve.LookAll(ctx, views, g.q)
	v := g.rule.Judge(answers)
	switch v.Decision {
	case resolve.Unseen:
		return Result{}, errors.New(v.String())
	case resolve.Fail:
		g.row, g.ttl = 0, 0
		return no("%s", v), nil
	case resolve.Pass:
		return g.stable(v, answers)
	}
	return undecided("%s", v), nil
}

// stable counts a pass and says whether there are enough.
func (g *resolveGate) stable(v resolve.Verdict, answers []resolve.Answer) (Result, error) {
	if g.row++; g.row == 1 {
		g.since = time.Now()
	}
	known := false
	for _, a := range answers {
		if a.Known() && a.HasTTL {
			known = true
			g.ttl = max(g.ttl, a.MaxTTL)
		}
	}
	if g.row < g.c.Stable.looks {
		return undecided("%s; %d of %d looks in a row", v, g.row, g.c.Stable.looks), nil
	}
	if g.c.Stable.ttls > 0 {
		if !known && g.ttl == 0 {
			return Result{}, hint.Wrap(errors.New("stable: no view tells a TTL"), "give a number of looks instead: stable: 3")
		}
		need := time.Duration(float64(g.ttl) * g.c.Stable.ttls)
		if held := time.Since(g.since); held < need {
			return undecided("%s; so for %s of %s", v, brief(held), brief(need)), nil
		}
	}
	return yes("%s", v), nil
}
