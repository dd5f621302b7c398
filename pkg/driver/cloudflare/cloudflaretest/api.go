package cloudflaretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failure is an error of the API with its status.
type failure struct {
	status, code int
	message      string
}

func (e *failure) Error() string { return fmt.Sprintf("%d: %d %s", e.status, e.code, e.message) }

func refuse(status, code int, format string, args ...any) error {
	return &failure{status, code, fmt.Sprintf(format, args...)}
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	x, faulty := f.fault(r.Method)
	if faulty {
		switch x.Kind {
		case Hang:
			f.wait(r, time.Hour)
			return
		case Slow:
			if !f.wait(r, x.Delay) {
				return
			}
		case Between:
			x.Do()
		case Refuse:
			f.lose(w, r, body, x)
			return
		case LoseAnswer, BreakOff:
		}
	}
	result, more, err := f.handle(r, body)
	switch {
	case faulty && x.Kind == BreakOff:
		f.log(r, body, 0)
		panic(http.ErrAbortHandler)
	case faulty && x.Kind == LoseAnswer:
		f.lose(w, r, body, x)
	default:
		f.answer(w, r, body, result, more, err)
	}
}

// wait reports whether d went by before the client or the test did.
func (f *Fake) wait(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-f.gone:
	}
	return false
}

// lose answers with a fault. Gateways answer HTML, the API answers JSON.
func (f *Fake) lose(w http.ResponseWriter, r *http.Request, body []byte, x Fault) {
	f.log(r, body, x.Status)
	if x.RetryAfter != "" {
		w.Header().Set("Retry-After", x.RetryAfter)
	}
	if x.Code == 0 {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(x.Status)
		fmt.Fprintf(w, "<html><title>%d</title><body>a gateway speaks</body></html>", x.Status)
		return
	}
	write(w, x.Status, map[string]any{
		"success": false, "errors": []any{map[string]any{"code": x.Code, "message": x.Message}}, "messages": []any{}, "result": nil,
	})
}

func (f *Fake) answer(w http.ResponseWriter, r *http.Request, body []byte, result, more any, err error) {
	envelope := map[string]any{"success": err == nil, "errors": []any{}, "messages": []any{}, "result": result}
	status := http.StatusOK
	if err != nil {
		var e *failure
		if x, ok := err.(*failure); ok { //nolint:errorlint // made here
			e = x
		} else {
			e = &failure{http.StatusBadRequest, 9207, err.Error()}
		}
		status = e.status
		envelope["errors"] = []any{map[string]any{"code": e.code, "message": e.message}}
		envelope["result"] = nil
	}
	if more != nil {
		envelope["result_info"] = more
	}
	f.log(r, body, status)
	write(w, status, envelope)
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone, or sees it
}

func (f *Fake) log(r *http.Request, body []byte, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{r.Method, r.URL.Path, r.URL.RawQuery, string(body), status})
}

func (f *Fake) handle(r *http.Request, body []byte) (result, more any, err error) {
	switch auth := r.Header.Get("Authorization"); {
	case auth == "":
		return nil, nil, refuse(http.StatusBadRequest, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
	case auth != "Bearer "+Token:
		return nil, nil, refuse(http.StatusForbidden, 9109, "Invalid access token")
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/client/v4/zones")
	if !ok {
		return nil, nil, refuse(http.StatusNotFound, 7000, "No route for that URI")
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "" && r.Method == http.MethodGet:
		return f.zones(r.URL.Query())
	case parts[0] != "" && parts[0] != ZoneID:
		return nil, nil, refuse(http.StatusNotFound, 7003, "Could not route to /client/v4/zones/%s, perhaps your object identifier is invalid?", parts[0])
	case len(parts) == 1 && r.Method == http.MethodGet:
		if err := known(r.URL.Query()); err != nil {
			return nil, nil, err
		}
		return f.zone(), nil, nil
	case len(parts) == 2 && parts[1] == "dns_records" && r.Method == http.MethodGet:
		return f.list(r.URL.Query())
	case len(parts) == 3 && parts[1] == "dns_records" && parts[2] == "batch" && r.Method == http.MethodPost:
		if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			return nil, nil, refuse(http.StatusUnsupportedMediaType, 9207, "Content-type must be application/json")
		}
		result, err = f.batch(body)
		return result, nil, err
	}
	return nil, nil, refuse(http.StatusMethodNotAllowed, 10405, "Method %s not allowed for %s", r.Method, r.URL.Path)
}

// known refuses query parameters that are not listed.
func known(q url.Values, names ...string) error {
	for name := range q {
		if !slices.Contains(names, name) {
			return refuse(http.StatusBadRequest, 9207, "unknown query parameter %q", name)
		}
	}
	return nil
}

func (f *Fake) zone() any {
	servers := f.o.NameServers
	if servers == nil {
		servers = []string{f.DNSAddress()}
	}
	return map[string]any{"id": ZoneID, "name": Zone, "status": "active", "name_servers": servers}
}

func (f *Fake) zones(q url.Values) (result, more any, err error) {
	if err := known(q, "name", "page", "per_page", "status", "match"); err != nil {
		return nil, nil, err
	}
	found := []any{}
	if q.Get("name") == Zone || q.Get("name") == "" {
		found = append(found, f.zone())
	}
	return found, map[string]any{"page": 1, "per_page": 20, "count": len(found), "total_count": len(found), "total_pages": 1}, nil
}

// list answers a page of the records that the filters leave.
func (f *Fake) list(q url.Values) (result, more any, err error) {
	if err := known(q, "name", "name.exact", "type", "content", "content.exact", "page", "per_page", "order", "direction", "proxied", "match"); err != nil {
		return nil, nil, err
	}
	name, content := q.Get("name.exact")+q.Get("name"), q.Get("content.exact")+q.Get("content")
	found := []Record{}
	for _, r := range f.Records() {
		fits := (name == "" || strings.EqualFold(r.Name, name)) && (q.Get("type") == "" || r.Type == q.Get("type")) &&
			(content == "" || r.Content == content) && (q.Get("proxied") == "" || q.Get("proxied") == strconv.FormatBool(r.Proxied))
		if fits {
			found = append(found, r)
		}
	}
	page, per, err := paging(q)
	if err != nil {
		return nil, nil, err
	}
	per = min(per, f.o.PerPage)
	pages := (len(found) + per - 1) / per
	if f.o.IgnorePage {
		page = 1
	}
	from := min((page-1)*per, len(found))
	show := found[from:min(from+per, len(found))]
	out := make([]any, 0, len(show))
	for _, r := range show {
		out = append(out, shown(r))
	}
	return out, map[string]any{"page": page, "per_page": per, "count": len(show), "total_count": len(found), "total_pages": pages}, nil
}

func paging(q url.Values) (page, per int, err error) {
	page, per = 1, 100
	for name, into := range map[string]*int{"page": &page, "per_page": &per} {
		if text := q.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 5000000 {
				return 0, 0, refuse(http.StatusBadRequest, 9207, "%s is not valid: %q", name, text)
			}
			*into = n
		}
	}
	return page, per, nil
}

// shown is a record with the fields that nobody sets.
func shown(r Record) map[string]any {
	b, _ := json.Marshal(r) // a struct of plain fields
	m := map[string]any{}
	_ = json.Unmarshal(b, &m)
	if r.Comment == "" {
		m["comment"] = nil
	}
	m["proxiable"] = r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME"
	m["created_on"], m["modified_on"] = "0001-01-01T00:00:00Z", "2026-01-01T05:20:00.12345Z"
	m["meta"] = map[string]any{}
	if m["tags"] == nil {
		m["tags"] = []string{}
	}
	return m
}

func strictly(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, 9207, "Failed to parse JSON: %v", err)
	}
	if dec.More() {
		return refuse(http.StatusBadRequest, 9207, "Failed to parse JSON: more than one value")
	}
	return nil
}
