package resolvetest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/miekg/dns"
)

// ServeHTTP answers DNS over HTTPS: GET with dns= as RFC 8484, or with name=
// and type= in the JSON of public resolvers. Anything else is a bad request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	h := s.habit
	s.mu.Unlock()
	switch {
	case h.Status/100 == 3 && r.URL.Path != "/elsewhere":
		http.Redirect(w, r, "/elsewhere", h.Status)
		return
	case h.Status/100 > 3:
		w.WriteHeader(h.Status)
		return
	case h.Body != "":
		w.Header().Set("Content-Type", cmp.Or(h.ContentType, r.Header.Get("Accept")))
		_, _ = w.Write([]byte(h.Body))
		return
	}
	if h.Age != "" {
		w.Header().Set("Age", h.Age)
	}
	values := r.URL.Query()
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case values.Has("dns") && r.Header.Get("Accept") == "application/dns-message":
		s.wire(w, values.Get("dns"))
	case values.Has("name") && r.Header.Get("Accept") == "application/dns-json":
		s.json(w, values.Get("name"), values.Get("type"), values.Get("edns_client_subnet"))
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

func (s *Server) wire(w http.ResponseWriter, text string) {
	q := new(dns.Msg)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = q.Unpack(b)
	}
	if err != nil || len(q.Question) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	m := s.answer(q, "https")
	if m == nil {
		panic(http.ErrAbortHandler)
	}
	packed, err := m.Pack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	kind := cmp.Or(s.habit.ContentType, "application/dns-message")
	s.mu.Unlock()
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(packed)
}

func (s *Server) json(w http.ResponseWriter, name, kind, subnet string) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.StringToType[kind])
	m := s.answer(q, "https")
	if m == nil {
		panic(http.ErrAbortHandler)
	}
	s.mu.Lock()
	s.queries[len(s.queries)-1].Subnet = subnet
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/dns-json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"Status": m.Rcode, "TC": false, "RD": true, "RA": true, "AD": false, "CD": false,
		"Question":  []any{map[string]any{"name": q.Question[0].Name, "type": q.Question[0].Qtype}},
		"Answer":    jsonRecords(m.Answer),
		"Authority": jsonRecords(m.Ns),
	})
}

func jsonRecords(list []dns.RR) []any {
	all := []any{}
	for _, rr := range list {
		all = append(all, map[string]any{
			"name": rr.Header().Name, "type": rr.Header().Rrtype, "TTL": rr.Header().Ttl,
			"data": strings.TrimPrefix(rr.String(), rr.Header().String()),
		})
	}
	return all
}
