package cmd

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/ui"
)

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

// shortest is the view, or the place itself where the view has several.
func (p place) shortest(among []place) string {
	for _, o := range among {
		if o.view == p.view && o.key() != p.key() {
			return p.asked()
		}
	}
	return p.view
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
			a.Alias = nil // the way there may differ
			switch text := seen(a); {
			case !a.Known():
				if name := p.shortest(places); !slices.Contains(blind, name) {
					blind = append(blind, name)
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
