package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/ui"
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

// place is what the samples of one vantage saw.
type place struct {
	view, vantage, client string
	answers               []resolve.Answer
}

// byPlace groups answers by vantage, in their order.
func byPlace(answers []resolve.Answer) []place {
	var all []place
	for _, a := range answers {
		i := slices.IndexFunc(all, func(p place) bool { return p.view == a.View && p.vantage == a.Vantage && p.client == a.Client })
		if i < 0 {
			all, i = append(all, place{view: a.View, vantage: a.Vantage, client: a.Client}), len(all)
		}
		all[i].answers = append(all[i].answers, a)
	}
	return all
}

func (p place) key() string { return p.view + "\x00" + p.vantage + "\x00" + p.client }

// asked is the place for people.
func (p place) asked() string {
	text := p.vantage
	if p.client != "" && !strings.Contains(text, p.client) {
		text += " for " + p.client
	}
	var servers []string
	for _, a := range p.answers {
		if a.Server != "" && !slices.Contains(servers, a.Server) {
			servers = append(servers, a.Server)
		}
	}
	if len(servers) > 0 {
		text += " at " + strings.Join(servers, ", ")
	}
	return text
}

// sees are the different things that the samples saw.
func (p place) sees() string {
	var texts []string
	count := map[string]int{}
	for _, a := range p.answers {
		text := seen(a)
		if count[text]++; count[text] == 1 {
			texts = append(texts, text)
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " | ")
}

func seen(a resolve.Answer) string {
	text := strings.Join(a.Values, " ")
	switch {
	case !a.Known():
		return "unknown: " + a.Unknown
	case a.Empty == resolve.NXDomain:
		text = "no such name (NXDOMAIN)"
	case a.Empty == resolve.NoData:
		text = "no such record (NODATA)"
	case text == "":
		text = "nothing"
	}
	if len(a.Alias) > 0 {
		text += " by " + strings.Join(a.Alias, ", ")
	}
	return text
}

// ttlText is how long the answers may still be kept, shortest to longest.
func (p place) ttlText(before, after string) string {
	least, most, known := time.Duration(0), time.Duration(0), false
	for _, a := range p.answers {
		if !a.Known() || !a.HasTTL {
			continue
		}
		if !known {
			least, most, known = a.MinTTL, a.MaxTTL, true
		}
		least, most = min(least, a.MinTTL), max(most, a.MaxTTL)
	}
	switch {
	case !known:
		return ""
	case least == most:
		return before + ui.Duration(most) + after
	}
	return before + ui.Duration(least) + ".." + ui.Duration(most) + after
}

// writePlaces is the table.
func writePlaces(w io.Writer, q resolve.Question, places []place) error {
	fmt.Fprintf(w, "%s\n\n", q)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  view\tasked\tsees\tttl\taa\ttook")
	for _, p := range places {
		aa, took := "", time.Duration(0)
		for _, a := range p.answers {
			if a.Known() && a.Authoritative {
				aa = "aa"
			}
			took = max(took, a.Latency)
		}
		times := ""
		if n := len(p.answers); n > 1 {
			times = fmt.Sprintf(", %d times", n)
		}
		fmt.Fprintf(t, "  %s\t%s%s\t%s\t%s\t%s\t%s\n", p.view, p.asked(), times, p.sees(), cmp.Or(p.ttlText("", ""), "-"), cmp.Or(aa, "-"), took.Round(time.Millisecond))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", agreement(places))
	return err
}

// agreement says in a line whether all see the same.
func agreement(places []place) string {
	var different, blind []string
	for _, p := range places {
		for _, a := range p.answers {
			switch text := strings.Join(a.Values, " "); {
			case !a.Known():
				if !slices.Contains(blind, p.view) {
					blind = append(blind, p.view)
				}
			case !slices.Contains(different, text):
				different = append(different, text)
			}
		}
	}
	text := "All that answered see the same."
	switch {
	case len(different) == 0:
		return "Nobody answered."
	case len(different) > 1:
		text = fmt.Sprintf("They see %d different things.", len(different))
	case len(places) == 1 && len(blind) == 0:
		text = "One place was asked."
	}
	if len(blind) > 0 {
		text += " Unknown from " + strings.Join(blind, ", ") + "."
	}
	return text
}

// answerJSON is one answer of `flip resolve -o json`. Its fields are stable.
type answerJSON struct {
	View          string   `json:"view"`
	Asked         string   `json:"asked"`
	Server        string   `json:"server,omitempty"`
	Client        string   `json:"client,omitempty"`
	Sample        int      `json:"sample"`
	Values        []string `json:"values"`
	Empty         string   `json:"empty,omitempty"`
	Alias         []string `json:"alias,omitempty"`
	MinTTL        *int     `json:"min_ttl,omitempty"` // seconds
	MaxTTL        *int     `json:"max_ttl,omitempty"`
	Authoritative bool     `json:"authoritative"`
	Unknown       string   `json:"unknown,omitempty"`
	NoRoute       bool     `json:"no_route,omitempty"`
	Milliseconds  float64  `json:"ms"`
	At            string   `json:"at"`
}

// writeJSON is one object a look; with --watch one a line.
func (w *nameWatch) writeJSON(out io.Writer, answers []resolve.Answer) error {
	doc := struct {
		Name    string       `json:"name"`
		Type    string       `json:"type"`
		Verdict string       `json:"verdict,omitempty"`
		Answers []answerJSON `json:"answers"`
	}{Name: w.q.Name, Type: w.q.Type}
	if w.rule != nil {
		doc.Verdict = w.rule.Judge(answers).Decision.String()
	}
	for _, a := range answers {
		doc.Answers = append(doc.Answers, asJSON(a))
	}
	return json.NewEncoder(out).Encode(doc)
}

func asJSON(a resolve.Answer) answerJSON {
	j := answerJSON{
		View: a.View, Asked: a.Vantage, Server: a.Server, Client: a.Client, Sample: a.Sample, Values: a.Values, Empty: string(a.Empty),
		Alias: a.Alias, Authoritative: a.Authoritative, Unknown: a.Unknown, NoRoute: a.NoRoute,
		Milliseconds: float64(a.Latency.Round(10*time.Microsecond)) / float64(time.Millisecond), At: a.At.Format(time.RFC3339Nano),
	}
	if j.Values == nil {
		j.Values = []string{}
	}
	if a.Known() && a.HasTTL {
		least, most := int(a.MinTTL/time.Second), int(a.MaxTTL/time.Second)
		j.MinTTL, j.MaxTTL = &least, &most
	}
	return j
}
