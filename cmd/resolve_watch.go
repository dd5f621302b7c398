package cmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/resolve"
)

// nameWatch looks a name up and shows what comes.
type nameWatch struct {
	app   *App
	q     resolve.Question
	views []resolve.View
	rule  *resolve.Rule // of --expect

	last map[string]string // what each place saw last
}

// once looks and shows once.
func (w *nameWatch) once(ctx context.Context) error {
	answers := resolve.LookAll(ctx, w.views, w.q)
	if err := w.show(answers, true); err != nil {
		return err
	}
	return w.verdict(answers)
}

// watch looks until the operator stops it, the time is over, or what is
// expected is seen. A look that has begun is not cut by the time.
func (w *nameWatch) watch(ctx context.Context, every, end time.Duration) error {
	var over <-chan time.Time
	if end > 0 {
		timer := time.NewTimer(end)
		defer timer.Stop()
		over = timer.C
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	var answers []resolve.Answer
	for first := true; ; first = false {
		look := resolve.LookAll(ctx, w.views, w.q)
		if ctx.Err() == nil || first {
			answers = look
			if err := w.show(answers, first); err != nil {
				return err
			}
			if w.rule != nil && w.rule.Judge(answers).Decision == resolve.Pass {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return w.verdict(answers)
		case <-over:
			return w.verdict(answers)
		case <-tick.C:
		}
	}
}

// verdict is how the command ends after these answers.
func (w *nameWatch) verdict(answers []resolve.Answer) error {
	if !slices.ContainsFunc(answers, resolve.Answer.Known) {
		return unseen(w.q)
	}
	if w.rule == nil {
		return nil
	}
	v := w.rule.Judge(answers)
	switch v.Decision {
	case resolve.Pass:
		return nil
	case resolve.Fail:
		return &exitError{ExitDifferences, fmt.Errorf("%s is not as expected: %s", w.q, v)}
	}
	return &exitError{ExitPrecondition, fmt.Errorf("%s cannot be decided: %s", w.q, v)}
}

// show writes a look: whole the first time, then what is different.
func (w *nameWatch) show(answers []resolve.Answer, first bool) error {
	out := redactWriter{w.app.Out, w.app.redact}
	places := byPlace(answers)
	defer func() {
		w.last = map[string]string{}
		for _, p := range places {
			w.last[p.key()] = p.sees()
		}
	}()
	switch {
	case w.app.settings.output == "json":
		return w.writeJSON(out, answers)
	case first:
		return writePlaces(out, w.q, places)
	}
	for _, p := range places {
		if before := w.last[p.key()]; before != p.sees() {
			now := time.Now().In(w.app.zone()).Format("15:04:05")
			if _, err := fmt.Fprintf(out, "%s %s %s: %s -> %s%s\n", now, p.view, p.asked(), before, p.sees(), p.ttlText(" (ttl ", ")")); err != nil {
				return err
			}
		}
	}
	return nil
}
