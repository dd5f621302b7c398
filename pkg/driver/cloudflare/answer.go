package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// record is what flip needs of a record; the API shows more.
type record struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Type     string          `json:"type"`
	Content  string          `json:"content"`
	TTL      int             `json:"ttl"`
	Proxied  bool            `json:"proxied"`
	Comment  *string         `json:"comment"`
	Tags     []string        `json:"tags"`
	Settings json.RawMessage `json:"settings"`
}

// envelope is around every answer.
type envelope struct {
	Success *bool     `json:"success"`
	Errors  []problem `json:"errors"`
	Result  json.RawMessage
	Info    struct {
		Page       int `json:"page"`
		PerPage    int `json:"per_page"`
		TotalCount int `json:"total_count"`
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

// problem is an error of the API.
type problem struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Chain   []problem `json:"error_chain"`
}

// parse reads an answer that says success.
func parse(body []byte) (envelope, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("the answer is not what the API answers: no JSON")
	}
	if e.Success == nil {
		return e, errors.New("the answer is not what the API answers: it says nothing about success")
	}
	if !*e.Success {
		return e, &apiError{status: http.StatusOK, problems: e.Errors}
	}
	return e, nil
}

// parseRecords reads a list. It refuses a record that it could not name.
func parseRecords(e envelope) ([]record, error) {
	var all *[]record
	if err := json.Unmarshal(e.Result, &all); err != nil || all == nil {
		return nil, errors.New("the answer holds no list of records")
	}
	for _, r := range *all {
		if r.ID == "" || r.Name == "" || r.Type == "" || r.TTL < 1 {
			return nil, fmt.Errorf("the answer lists a record without id, name, type or TTL: %q", r.String())
		}
	}
	return *all, nil
}

// zone is what flip needs of a zone.
type zone struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	NameServers []string `json:"name_servers"`
}

func parseZone(raw json.RawMessage) (zone, error) {
	var z zone
	if err := json.Unmarshal(raw, &z); err != nil || !zoneID.MatchString(z.ID) || z.Name == "" {
		return z, errors.New("the answer holds no zone")
	}
	return z, nil
}

func parseZones(raw json.RawMessage) ([]zone, error) {
	var list *[]json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil || list == nil {
		return nil, errors.New("the answer holds no list of zones")
	}
	var all []zone
	for _, one := range *list {
		z, err := parseZone(one)
		if err != nil {
			return nil, err
		}
		all = append(all, z)
	}
	return all, nil
}

// apiError is what Cloudflare says instead of doing what it was asked for.
type apiError struct {
	status   int
	problems []problem
	text     string // of an answer that is not the API's
}

func (e *apiError) Error() string {
	said := make([]string, 0, len(e.problems))
	for _, p := range e.problems {
		said = append(said, oneLine(fmt.Sprintf("%d %s", p.Code, p.Message)))
		for _, c := range p.Chain {
			said = append(said, oneLine(fmt.Sprintf("%d %s", c.Code, c.Message)))
		}
	}
	if len(said) == 0 {
		said = append(said, orElse(e.text, "no reason given"))
	}
	return fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), strings.Join(said, "; "))
}

// has reports whether one of the codes was said.
func (e *apiError) has(codes ...int) bool {
	return slices.ContainsFunc(e.problems, func(p problem) bool {
		return slices.Contains(codes, p.Code) || slices.ContainsFunc(p.Chain, func(c problem) bool { return slices.Contains(codes, c.Code) })
	})
}

// failed makes an error of an answer with an error status. Gateways in front
// of the API answer HTML: then the status is all that is known.
func failed(status int, body []byte) *apiError {
	e := &apiError{status: status}
	var env envelope
	if json.Unmarshal(body, &env) == nil && len(env.Errors) > 0 {
		e.problems = env.Errors
		return e
	}
	e.text = "an answer that is not the API's"
	return e
}

func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
