package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// lookAtMost bounds one round of looks.
const lookAtMost = 15 * time.Second

// glance is the input of an activity that tells what a wait still waits for,
// for people. Nothing of it is recorded and nothing depends on it.
type glance struct {
	Until time.Time
	Why   string // ttl 60 of 12:00:19Z
	Views journal.Views
}

// glance says: floor in 41 s (ttl 60 of 12:00:19); isp 1/5 still 192.0.2.1.
func (x *Executor) glance(ctx context.Context, in glance) string {
	text := fmt.Sprintf("floor in %s (%s)", brieflyFor(in.Until.Sub(x.clock().Now())), in.Why)
	if len(in.Views.From) > 0 {
		text += "; " + x.round(ctx, in.Views).text
	}
	return text
}

// brieflyFor is a time for people, in whole seconds, as "1h 2m".
func brieflyFor(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	text := d.String()
	if d >= time.Minute {
		text = strings.TrimSuffix(text, "0s")
	}
	if d >= time.Hour {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// views asks until nobody sees any more what is retired, or the ceiling is
// reached. Places that cannot be looked at are not passed.
func (x *Executor) views(ctx context.Context, key string, in journal.Views) (journal.Seen, error) {
	every, err := time.ParseDuration(in.Every)
	if err != nil {
		return journal.Seen{}, err
	}
	began, behind := x.clock().Now(), newDownstream()
	for passes := 0; ; {
		r := x.round(ctx, in)
		if ctx.Err() != nil {
			return journal.Seen{}, context.Cause(ctx)
		}
		passes++
		if !r.pass {
			passes = 0
		}
		now := x.clock().Now()
		behind.look(now, in, r.answers)
		left := behind.until.Sub(now)
		look := journal.LookData{Text: r.text, Until: latest(in.Until, behind.until)}
		if r.pass && left > 0 {
			look.Text += fmt.Sprintf("; who asked before may keep it %s more", brieflyFor(left))
		}
		x.Look(key, look)
		switch {
		case passes >= in.Passes && left <= 0:
			return journal.Seen{Pass: true, Text: r.text}, nil
		case r.pass && left > 0: // the time that caches need is never cut
		case !now.Before(in.Until):
			return journal.Seen{Text: r.text}, nil
		}
		if x.Detach > 0 && now.Sub(began) >= x.Detach {
			return journal.Seen{}, ErrDetached
		}
		if err := x.pause(ctx, min(every, latest(in.Until, behind.until).Sub(now))); err != nil {
			return journal.Seen{}, err
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// round is one look from all views at all records.
type round struct {
	pass    bool
	text    string
	answers [][][]resolve.Answer // by view and question
}

func (x *Executor) round(ctx context.Context, in journal.Views) round {
	ctx, cancel := x.withTimeout(ctx, lookAtMost)
	defer cancel()
	answers := make([][][]resolve.Answer, len(in.From))
	var wg sync.WaitGroup
	for i, name := range in.From {
		answers[i] = make([][]resolve.Answer, len(in.Asks))
		for j, ask := range in.Asks {
			wg.Go(func() { answers[i][j] = x.lookFrom(ctx, name, ask) })
		}
	}
	wg.Wait()
	var fine, not []string
	for i, view := range in.From {
		if why := viewText(in.Asks, answers[i]); why != "" {
			not = append(not, view+" "+why)
		} else {
			fine = append(fine, view)
		}
	}
	if len(not) == 0 {
		return round{true, "gone for " + strings.Join(fine, ", "), answers}
	}
	if len(fine) > 0 {
		not = append(not, "gone for "+strings.Join(fine, ", "))
	}
	return round{text: strings.Join(not, "; "), answers: answers}
}

// lookFrom asks one view about one record set.
func (x *Executor) lookFrom(ctx context.Context, name string, ask journal.Question) []resolve.Answer {
	view, ok := x.Program.Views[name]
	if !ok {
		return []resolve.Answer{{Unknown: "the plan has no such view"}}
	}
	q, err := resolve.ParseQuestion(ask.Record)
	if err != nil {
		return []resolve.Answer{{Unknown: err.Error()}}
	}
	return view.Look(ctx, q)
}

// viewText says why a view does not pass, "" when it does.
func viewText(asks []journal.Question, answers [][]resolve.Answer) string {
	var parts []string
	for j, ask := range asks {
		why := askText(ask, answers[j])
		if why != "" && len(asks) > 1 {
			why = ask.Record + " " + why
		}
		parts = append(parts, why)
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// askText is "1/5 still 192.0.2.1 (ttl 37)", or "unknown: timeout".
func askText(ask journal.Question, answers []resolve.Answer) string {
	// That this machine has no IPv6 says nothing about a view that answers.
	if slices.ContainsFunc(answers, resolve.Answer.Known) {
		answers = slices.DeleteFunc(slices.Clone(answers), func(a resolve.Answer) bool { return a.NoRoute })
	}
	if len(answers) == 0 {
		return "unknown: nobody answered"
	}
	bad, unknown, seen := 0, "", ""
	longest := time.Duration(-1)
	for _, a := range answers {
		if !a.Known() {
			unknown = strings.TrimPrefix(a.Vantage+": "+a.Unknown, ": ")
			continue
		}
		if why := old(ask, a); why != "" {
			bad++
			if seen == "" || a.HasTTL && a.MaxTTL > longest {
				seen = why
			}
			if a.HasTTL {
				longest = max(longest, a.MaxTTL)
			}
		}
	}
	switch {
	case bad > 0 && longest >= 0:
		return fmt.Sprintf("%d/%d %s (ttl %d)", bad, len(answers), seen, int(longest.Seconds()))
	case bad > 0:
		return fmt.Sprintf("%d/%d %s", bad, len(answers), seen)
	case unknown != "":
		return "unknown: " + unknown
	}
	return ""
}

// old says why an answer is one that was replaced, "" when it is not.
func old(ask journal.Question, a resolve.Answer) string {
	for _, v := range a.Values {
		if among(ask.Not, v) {
			return "still " + v
		}
	}
	for _, v := range ask.Set {
		if !among(a.Values, v) {
			return "without " + v
		}
	}
	// A resolver that rounds up shows one second more.
	if ask.TTL > 0 && a.HasTTL && a.MinTTL > time.Duration(ask.TTL+1)*time.Second {
		return "kept from before"
	}
	return ""
}
