package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// waitTTL waits until nobody can have an answer any more that was replaced:
// first for the time that caches may keep it, then for what the views see.
func (f frame) waitTTL(rule plan.TTL) (string, error) {
	sets, err := f.cachings(rule)
	if err != nil {
		return "", err
	}
	began, err := f.clock("wait.began.until", 0)
	if err != nil {
		return "", err
	}
	if err := f.mayRetire(sets, rule.Retire); err != nil {
		return "", err
	}
	floor, last, any := floorOf(sets, rule.Retire, rule.Slack)
	if !any && len(rule.From) == 0 {
		return "nothing was replaced that caches may hold", nil
	}
	if !any {
		floor = began
	}
	if !f.deadline.IsZero() && floor.After(f.deadline) {
		return "", fail(classInvalid, "caches may hold %s until %s, which does not fit into what is left of the step's time",
			f.what(sets, last), floor.Format("2006-01-02 15:04:05Z"))
	}
	why := because(last)
	if f.foresees() {
		why, _, _ = strings.Cut(why, " of ") // when is not known before
	}
	ceiling, err := f.ceilingOf(rule, began, floor)
	if err != nil {
		return "", err
	}
	views := journal.Views{
		From: rule.From, Asks: f.p.asks(sets, rule.Retire), Every: rule.Every.String(), Passes: rule.Passes,
		Until: earlier(f.deadline, ceiling),
	}
	if any {
		message := fmt.Sprintf("caches may hold %s: %s", f.what(sets, last), why)
		if err := f.c.WaitUntil(f.path+".wait", message, floor, glance{floor, why, views}); err != nil {
			return "", err
		}
	}
	if len(rule.From) == 0 {
		return why, nil
	}
	var seen journal.Seen
	if err := f.c.Do(f.path+".views", journal.ActivityViews, views, &seen); err != nil {
		return "", err
	}
	if seen.Pass {
		return strings.TrimPrefix(why+"; "+seen.Text, "; "), nil
	}
	return f.reached(rule, fmt.Sprintf("after %s: %s", brieflyFor(views.Until.Sub(began)), seen.Text))
}

// ceilingOf is when the views are not asked any more. It never cuts the time
// that caches need; where that is known before the run, the plan has to say so.
func (f frame) ceilingOf(rule plan.TTL, began, floor time.Time) (time.Time, error) {
	rounds := time.Duration(rule.Passes) * rule.Every
	if rule.Max == 0 {
		return floor.Add(viewsAtMost), nil
	}
	ceiling := began.Add(rule.Max)
	if f.foresees() && len(rule.From) > 0 && ceiling.Before(floor.Add(rounds)) {
		e := fail(classInvalid, "caches need %s, which is more than max: %s allows", brieflyFor(floor.Sub(began)), brieflyFor(rule.Max))
		e.Hints = []string{"make max longer, or leave it out"}
		return ceiling, e
	}
	if least := floor.Add(rounds); ceiling.Before(least) {
		return least, nil
	}
	return ceiling, nil
}

// viewsAtMost is how long views may take beyond the time that caches need where
// the plan is silent.
const viewsAtMost = 24 * time.Hour

// reached is what happens when the views still see what is retired.
func (f frame) reached(rule plan.TTL, text string) (string, error) {
	switch rule.OnMax {
	case "continue":
		return text + "; the plan goes on", nil
	case "fail":
		return "", fail(classTimeout, "%s", text)
	}
	e := fail(classCeiling, "%s", text)
	e.Hints = []string{"whoever still has the old answer does not keep to its TTL: flip resume looks again, flip rollback goes back"}
	return "", e
}

// what is waited for, for people: the values that go, or the record.
func (f frame) what(sets []caching, last journal.Replaced) string {
	for _, c := range sets {
		if c.target != last.Target || c.id != last.Object {
			continue
		}
		if gone := retiredOf(c, nil, nil); len(gone) > 0 {
			return strings.Join(gone, ", ")
		}
	}
	return "the old " + f.p.name(last.Target, last.Object)
}

// because is "ttl 60 of 12:00:19Z".
func because(last journal.Replaced) string {
	if last.At.IsZero() {
		return ""
	}
	what := "ttl"
	if len(last.Values) == 0 {
		what = "no such record, kept"
	}
	return fmt.Sprintf("%s %d of %s", what, last.Keep, last.At.Format("15:04:05Z"))
}

func describeTTL(rule plan.TTL) string {
	var names []string
	for _, r := range rule.Records {
		names = append(names, r.Name)
	}
	text := "wait for the caches of " + strings.Join(names, ", ")
	if len(rule.From) > 0 {
		text += ", seen by " + strings.Join(rule.From, ", ")
	}
	return text
}
