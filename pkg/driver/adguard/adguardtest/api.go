package adguardtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// entry is a rewrite in the API.
type entry struct {
	Domain  string `json:"domain"`
	Answer  string `json:"answer"`
	Enabled *bool  `json:"enabled,omitempty"`
}

// refusal is an error answer: plain text with a newline.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	x, faulty := f.fault(r.URL.Path)
	if faulty {
		switch x.Kind {
		case Hang:
			f.wait(r)
			return
		case Between:
			x.Do()
		case Refuse, Ignore:
			f.answer(w, r, body, nil, faultOf(x))
			return
		case LoseAnswer, BreakOff:
		}
	}
	result, err := f.handle(r, body)
	switch {
	case faulty && x.Kind == BreakOff:
		f.log(r, body, 0)
		panic(http.ErrAbortHandler)
	case faulty && x.Kind == LoseAnswer:
		f.answer(w, r, body, nil, faultOf(x))
	default:
		f.answer(w, r, body, result, err)
	}
}

func faultOf(x Fault) error {
	if x.Kind == Ignore {
		return nil
	}
	return refuse(x.Status, "%s", x.Text)
}

// answer writes JSON where there is a result; the calls that change something
// answer 200 with an empty body.
func (f *Fake) answer(w http.ResponseWriter, r *http.Request, body []byte, result any, err error) {
	status := http.StatusOK
	if e, ok := err.(*refusal); ok { //nolint:errorlint // made here
		status = e.status
	}
	f.log(r, body, status)
	switch {
	case err != nil:
		http.Error(w, err.Error(), status)
	case result != nil:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(result) // the client is gone, or sees it
	}
}

func (f *Fake) log(r *http.Request, body []byte, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{r.Method, r.URL.Path, string(body), status})
}

// allowed counts wrong passwords and, when there were too many, takes even the
// right one for wrong.
func (f *Fake) allowed(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong >= Attempts || !ok {
		return false
	}
	if user != User || password != Password {
		f.wrong++
		return false
	}
	f.wrong = 0
	return true
}

func (f *Fake) handle(r *http.Request, body []byte) (any, error) {
	if !f.allowed(r) {
		return nil, refuse(http.StatusUnauthorized, "Unauthorized")
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/control/")
	method, known := f.routes()[path]
	switch {
	case !ok || !known:
		return nil, refuse(http.StatusNotFound, "404 page not found")
	case r.Method != method:
		return nil, refuse(http.StatusMethodNotAllowed, "only method %s is allowed", method)
	case r.URL.RawQuery != "":
		return nil, refuse(http.StatusBadRequest, "the stand-in knows no query: %s", r.URL.RawQuery)
	case method != http.MethodGet && r.Header.Get("Content-Type") != "application/json":
		return nil, refuse(http.StatusUnsupportedMediaType, "only content-type application/json is allowed")
	}
	switch path {
	case "rewrite/list":
		return f.list(), nil
	case "rewrite/add":
		return nil, f.add(body)
	case "rewrite/delete":
		return nil, f.remove(body)
	case "rewrite/update":
		return nil, f.update(body)
	case "rewrite/settings":
		f.mu.Lock()
		defer f.mu.Unlock()
		return map[string]bool{"enabled": !f.off}, nil
	case "rewrite/settings/update":
		return nil, f.settings(body)
	case "dns_info":
		return f.info(), nil
	}
	return nil, f.config(body)
}

func (f *Fake) routes() map[string]string {
	routes := map[string]string{
		"rewrite/list": http.MethodGet, "rewrite/add": http.MethodPost, "rewrite/delete": http.MethodPost,
		"dns_info": http.MethodGet, "dns_config": http.MethodPost,
	}
	if !f.o.NoUpdate {
		routes["rewrite/update"] = http.MethodPut
	}
	if !f.o.Old {
		routes["rewrite/settings"], routes["rewrite/settings/update"] = http.MethodGet, http.MethodPut
	}
	return routes
}

func (f *Fake) list() any {
	all := []entry{}
	for _, r := range f.Rows() {
		e := entry{Domain: r.Domain, Answer: r.Answer}
		if !f.o.Old {
			on := !r.Disabled
			e.Enabled = &on
		}
		all = append(all, e)
	}
	return all
}

// decode refuses what the stand-in does not know, also `enabled` where it is
// too old for it. The real program ignores unknown keys.
func (f *Fake) decode(body []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "json.Decode: %s", err)
	}
	return nil
}

func (f *Fake) row(e entry) (Row, error) {
	if f.o.Old && e.Enabled != nil {
		return Row{}, refuse(http.StatusBadRequest, "this version knows no enabled")
	}
	if e.Domain == "" || e.Answer == "" {
		return Row{}, refuse(http.StatusBadRequest, "the stand-in wants a domain and an answer")
	}
	r := normal(Row{Domain: e.Domain, Answer: e.Answer, Disabled: e.Enabled != nil && !*e.Enabled})
	if kind, _ := r.kind(); kind == "CNAME" && strings.ContainsAny(r.Answer, "_ /:") {
		return Row{}, refuse(http.StatusBadRequest, "normalizing: invalid CNAME target %q", r.Answer)
	}
	return r, nil
}

// add appends, also what is there already.
func (f *Fake) add(body []byte) error {
	var e entry
	if err := f.decode(body, &e); err != nil {
		return err
	}
	r, err := f.row(e)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
	return nil
}

// remove takes every row with that domain, in the same case, and that answer,
// and is content when there is none.
func (f *Fake) remove(body []byte) error {
	var e entry
	if err := f.decode(body, &e); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = slices.DeleteFunc(slices.Clone(f.rows), func(r Row) bool { return r.Domain == e.Domain && r.Answer == e.Answer })
	return nil
}

// update replaces the first row that fits, in its place. A row keeps its
// switch unless the update says otherwise.
func (f *Fake) update(body []byte) error {
	var u struct {
		Target entry `json:"target"`
		Update entry `json:"update"`
	}
	if err := f.decode(body, &u); err != nil {
		return err
	}
	next, err := f.row(u.Update)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.rows, func(r Row) bool { return r.Domain == u.Target.Domain && r.Answer == u.Target.Answer })
	if i < 0 {
		return refuse(http.StatusBadRequest, "target rule not found")
	}
	if u.Update.Enabled == nil {
		next.Disabled = f.rows[i].Disabled
	}
	f.rows = slices.Clone(f.rows)
	f.rows[i] = next
	return nil
}

func (f *Fake) settings(body []byte) error {
	var s struct {
		Enabled *bool `json:"enabled"`
	}
	if err := f.decode(body, &s); err != nil {
		return err
	}
	if s.Enabled == nil {
		return refuse(http.StatusBadRequest, "json.Decode: no enabled")
	}
	f.Switch(*s.Enabled)
	return nil
}

func (f *Fake) info() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return map[string]any{
		"blocked_response_ttl": f.ttl, "blocking_mode": "default", "protection_enabled": true, "ratelimit": 20,
		"upstream_dns": []string{}, "cache_enabled": true, "cache_ttl_min": 0, "cache_ttl_max": 0,
	}
}

func (f *Fake) config(body []byte) error {
	var c struct {
		TTL *int `json:"blocked_response_ttl"`
	}
	if err := f.decode(body, &c); err != nil {
		return err
	}
	if c.TTL != nil {
		f.SetTTL(*c.TTL)
	}
	return nil
}
