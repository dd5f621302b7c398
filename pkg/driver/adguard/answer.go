package adguard

import (
	"encoding/json"
	"errors"
	"fmt"
)

// parseRows reads the list of rewrites. A version before v0.107.68 says nothing
// about `enabled`: all are.
func parseRows(body []byte) ([]row, error) {
	var list *[]struct {
		Domain  *string `json:"domain"`
		Answer  *string `json:"answer"`
		Enabled *bool   `json:"enabled"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("the answer is not a list of rewrites: %w", err)
	}
	if list == nil {
		return nil, errors.New("the answer is not a list of rewrites: it is null")
	}
	rows := make([]row, 0, len(*list))
	for _, e := range *list {
		if e.Domain == nil || e.Answer == nil {
			return nil, errors.New("the answer lists a rewrite without domain or answer")
		}
		rows = append(rows, row{domain: *e.Domain, answer: *e.Answer, disabled: e.Enabled != nil && !*e.Enabled})
	}
	return rows, nil
}

// parseSwitch reads whether rewrites are used at all.
func parseSwitch(body []byte) (bool, error) {
	var s struct {
		Enabled *bool `json:"enabled"`
	}
	if err := json.Unmarshal(body, &s); err != nil || s.Enabled == nil {
		return false, errors.New("the answer does not say whether rewrites are used")
	}
	return *s.Enabled, nil
}

// maxTTL is the largest TTL of the protocol (RFC 2181, 8).
const maxTTL = 1<<31 - 1

// parseTTL reads the TTL of all answers that the server makes itself.
func parseTTL(body []byte) (int, error) {
	var s struct {
		TTL *int64 `json:"blocked_response_ttl"`
	}
	if err := json.Unmarshal(body, &s); err != nil || s.TTL == nil || *s.TTL < 0 || *s.TTL > maxTTL {
		return 0, errors.New("the answer does not say blocked_response_ttl")
	}
	return int(*s.TTL), nil
}
