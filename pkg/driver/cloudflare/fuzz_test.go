package cloudflare

import (
	"errors"
	"slices"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
)

// FuzzAnswers: no answer makes flip panic, and what is taken for a record set
// has values of its type, a TTL, and a record for each value.
func FuzzAnswers(f *testing.F) {
	one := `{"id":"1","name":"www.example.com","type":"A","content":"192.0.2.1","ttl":1,"proxied":true,"settings":{"flatten_cname":true},"tags":[]}`
	for _, seed := range []string{
		`{"success":true,"errors":[],"result":[` + one + `],"result_info":{"page":1,"total_count":1}}`,
		`{"success":false,"errors":[{"code":1003,"message":"a","error_chain":[{"code":9103,"message":"b"}]}],"result":null}`,
		`{"success":true,"result":{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"example.com","name_servers":["a.ns"]}}`,
		`{"success":true,"result":[{"id":"023e105f4ecef8ad9ca31a8372d0c353","name":"example.com"}]}`,
		`<html>502</html>`, `null`, `{}`, `{"success":true}`, `{"success":true,"result":[{"ttl":-1}]}`, `{"success":null,"result":[null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if failed(500, body).Error() == "" {
			t.Error("an error without words")
		}
		e, err := parse(body)
		if err != nil {
			return
		}
		_, _ = parseZone(e.Result)
		_, _ = parseZones(e.Result)
		all, err := parseRecords(e)
		if err != nil {
			return
		}
		for _, r := range all {
			if !slices.Contains(types, r.Type) {
				continue
			}
			n := recordset.Name{Host: r.Name, Type: r.Type}
			s, err := setOf(n, all)
			if err != nil {
				continue
			}
			if s.Absent() || s.TTL < 1 {
				t.Errorf("%s is %s", n, s)
			}
			for _, v := range s.Values {
				if canonical, err := recordset.CanonicalValue(n.Type, v); err != nil || canonical != v {
					t.Errorf("%s has the value %q, canonical %q, %v", n, v, canonical, err)
				}
			}
			p := &provider{seen: map[string]extras{}, zone: "example.com"}
			p.remember(all)
			_ = p.Hidden(n, s)
		}
	})
}

// TestAnErrorIsNeverSilent: an answer that says no is an error with its words.
func TestAnErrorIsNeverSilent(t *testing.T) {
	_, err := parse([]byte(`{"success":false,"errors":[{"code":1,"message":"one\ntwo"}]}`))
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.Error() != "200 OK: 1 one two" {
		t.Errorf("got %v", err)
	}
}
