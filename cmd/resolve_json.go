package cmd

import (
	"encoding/json"
	"io"
	"time"

	"github.com/flip-cli/flip/pkg/resolve"
)

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
