package adguardtest

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/internal/dnsserver"
)

// resolve answers without authority, in the order of the list, never rotated.
func (f *Fake) resolve(q dnsserver.Question, m *dnsserver.Reply) {
	m.RecursionAvailable = true
	f.mu.Lock()
	rows, off, ttl := slices.Clone(f.rows), f.off, f.ttl
	f.mu.Unlock()
	if !off {
		if answers, matched := find(rows, q.Name, q.Type); matched {
			for _, a := range answers {
				kind, _ := a.kind()
				m.Add(ttl, kind, a.Answer)
			}
			return // a rewrite for another type: NOERROR without an answer
		}
	}
	values, ok := f.o.Upstream[q.Name+" "+q.Type]
	if !ok {
		m.Rcode = dns.RcodeNameError
	}
	for _, v := range values {
		kind, _ := Row{Answer: v}.kind()
		m.Add(3600, kind, v)
	}
}

// find is findRewrites: an exact name before wildcards, a CNAME before
// addresses, one row only of a wildcard. matched without rows is an answer
// without records.
func find(rows []Row, name, kind string) (answers []Row, matched bool) {
	best := ""
	for _, r := range rows {
		wild := strings.HasPrefix(r.Domain, "*.") && strings.HasSuffix(name, r.Domain[1:])
		if !r.Disabled && (r.Domain == name || wild) && better(r.Domain, best) {
			best = r.Domain
		}
	}
	if best == "" {
		return nil, false
	}
	for _, r := range rows {
		k, through := r.kind()
		switch {
		case r.Disabled || r.Domain != best:
		case k == "CNAME":
			return []Row{r}, true
		case k == kind && through:
			return nil, false // let through to the upstream
		case k == kind && !through:
			answers = append(answers, r)
		}
	}
	if strings.HasPrefix(best, "*.") && len(answers) > 1 {
		answers = answers[:1]
	}
	return answers, true
}

// better: exact before wildcard, then the longer one.
func better(domain, than string) bool {
	wild, thanWild := strings.HasPrefix(domain, "*."), strings.HasPrefix(than, "*.")
	if than == "" || wild != thanWild {
		return than == "" || thanWild
	}
	return len(domain) > len(than)
}
