// Package httpdnstest is an HTTPDNS service for tests: a strict stand-in,
// written from the client document of the service. What it does not know it
// answers as the service does, with status 200 and nothing to use.
package httpdnstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/httpdns"
)

// Service answers as an HTTPDNS service. It is an http.Handler; Start and
// Network put it where a client can reach it. It is safe for concurrent use.
type Service struct {
	mu       sync.Mutex
	zones    []zone
	faults   []Fault
	options  Options
	requests []Request
	leave    chan struct{}
}

// Options are the habits of one service.
type Options struct {
	// MostNames is how many names of one request are answered; 0: all.
	MostNames int
	// NumberCodes writes retCode as a number, not as text.
	NumberCodes bool
	// Separator is the only one that is understood: ";" or "%3B". Empty: both.
	Separator string
	// BothFamilies answers with addresses of both families over any
	// connection.
	BothFamilies bool
}

// Request is what the service was asked.
type Request struct {
	Names    []string
	ClientIP string // ws_cli_IP as it came
	Remote   netip.Addr
	Host     string
	SNI      string // the name in the TLS handshake
	JSON     bool
	RawQuery string
}

// zone is what clients of a network get for a name.
type zone struct {
	name    string
	clients netip.Prefix // zero: all
	ttl     int
	ips     []netip.Addr
}

// New returns a service that knows no names.
func New(o Options) *Service { return &Service{options: o, leave: make(chan struct{})} }

// Answer sets what everybody gets for a name; no addresses: nothing.
func (s *Service) Answer(name string, ttl int, ips ...string) { s.AnswerFor("", name, ttl, ips...) }

// AnswerFor sets what clients of one network get: a region. The longest prefix
// decides.
func (s *Service) AnswerFor(clients, name string, ttl int, ips ...string) {
	z := zone{name: strings.ToLower(name), ttl: ttl}
	if clients != "" {
		z.clients = netip.MustParsePrefix(clients)
	}
	for _, ip := range ips {
		z.ips = append(z.ips, netip.MustParseAddr(ip))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones = slices.DeleteFunc(s.zones, func(o zone) bool { return o.name == z.name && o.clients == z.clients })
	if len(ips) > 0 {
		s.zones = append(s.zones, z)
	}
}

// Requests are the requests so far.
func (s *Service) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, ok := s.read(r)
	s.mu.Lock()
	s.requests = append(s.requests, req)
	var fault Fault
	if len(s.faults) > 0 {
		if fault = s.faults[0]; !fault.Always {
			s.faults = s.faults[1:]
		}
	}
	s.mu.Unlock()
	if s.spoil(w, r, fault) {
		return
	}
	switch {
	case !ok && req.JSON:
		s.write(w, "1", "Parameter error", map[string]answer{})
	case !ok: // the plain format has no words for it
	case req.JSON:
		s.write(w, "0", "Success", s.lookup(req))
	default:
		s.plain(w, req)
	}
}

// read takes the query apart itself: net/url refuses a bare ';'.
func (s *Service) read(r *http.Request) (Request, bool) {
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	req := Request{Remote: remote.Addr().Unmap(), Host: r.Host, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		req.SNI = r.TLS.ServerName
	}
	ok := r.Method == http.MethodGet && r.URL.Path == httpdns.Path
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, raw, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		ok = ok && err == nil
		switch key {
		case "ws_domain":
			ok = ok && s.separated(raw)
			req.Names = strings.Split(value, ";")
		case "ws_ret_type":
			req.JSON = value == "json"
			ok = ok && req.JSON
		case "ws_cli_IP":
			req.ClientIP = value
			_, err := netip.ParseAddr(value)
			ok = ok && (value == "" || err == nil)
		default:
			ok = false
		}
	}
	ok = ok && len(req.Names) > 0 && !slices.Contains(req.Names, "")
	return req, ok
}

// separated reports whether the names stand apart as the service wants it.
func (s *Service) separated(raw string) bool {
	switch s.options.Separator {
	case ";":
		return !strings.Contains(strings.ToUpper(raw), "%3B")
	case "%3B":
		return !strings.Contains(raw, ";")
	}
	return true
}

type answer struct {
	IPs []string `json:"ips"`
	TTL int      `json:"ttl"`
}

// lookup answers the names that are known, as many as the service does.
func (s *Service) lookup(req Request) map[string]answer {
	found := map[string]answer{}
	for i, name := range req.Names {
		if s.options.MostNames > 0 && i >= s.options.MostNames {
			break
		}
		if a, ok := s.find(req, name); ok {
			found[name] = a
		}
	}
	return found
}

func (s *Service) find(req Request, name string) (answer, bool) {
	client := req.Remote
	if a, err := netip.ParseAddr(req.ClientIP); err == nil {
		client = a.Unmap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	best := -1
	var a answer
	for _, z := range s.zones {
		bits := -1
		switch {
		case z.name != strings.ToLower(name):
			continue
		case !z.clients.IsValid():
			bits = 0
		case z.clients.Contains(client):
			bits = z.clients.Bits() + 1
		}
		if bits > best {
			best, a = bits, answer{s.family(req.Remote, z.ips), z.ttl}
		}
	}
	return a, len(a.IPs) > 0
}

// family keeps the addresses of the family that the service was asked over.
func (s *Service) family(over netip.Addr, ips []netip.Addr) []string {
	var fit []string
	for _, ip := range ips {
		if s.options.BothFamilies || !over.IsValid() || ip.Is4() == over.Is4() {
			fit = append(fit, ip.String())
		}
	}
	return fit
}

func (s *Service) write(w http.ResponseWriter, code, msg string, data map[string]answer) {
	var retCode any = code
	if s.options.NumberCodes {
		retCode = json.Number(code)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"msg": msg, "data": data, "retCode": retCode})
}

// plain answers with lines that do not tell which name they belong to.
func (s *Service) plain(w http.ResponseWriter, req Request) {
	found := s.lookup(req)
	for _, name := range req.Names {
		for _, ip := range found[name].IPs {
			fmt.Fprintf(w, "%s %d\n", ip, found[name].TTL)
		}
	}
}
