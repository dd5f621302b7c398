package alidns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
)

// provider is one line of one domain as recordset wants it.
type provider struct {
	api     aliyun.DNS
	domain  string
	line    string
	servers []string
	unseen  bool
	force   bool
	timeout time.Duration // of one call of ours, all its steps together
	shows   time.Duration // how long a step may take to be read
	log     *slog.Logger

	mu     sync.Mutex
	info   *aliyun.Domain
	infoAt time.Time
	noted  map[string]note // by record set, from the last look
}

// note is what a look found that no attribute says.
type note struct {
	ttls    []int
	weights weights
	lines   []string // others that the name has records of
}

const (
	maxTTL = 86400
	// apiTTL is what the API takes for a record without a TTL.
	apiTTL = 600
	// showsFor is how long a step may take to be read.
	showsFor = 3 * time.Second
	// infoFor is how long what is known of the domain is not asked again.
	infoFor = 10 * time.Minute
)

// rr is the name of a host in the domain.
func (p *provider) rr(host string) string {
	if host == p.domain {
		return "@"
	}
	return strings.TrimSuffix(host, "."+p.domain)
}

// Get reads every host once.
func (p *provider) Get(ctx context.Context, names []recordset.Name) (map[recordset.Name]recordset.Set, error) {
	if len(names) == 0 {
		_, err := p.api.Domain(ctx, p.domain)
		return nil, aliyun.ForDriver(err)
	}
	for _, n := range names {
		if !slices.Contains(types, n.Type) {
			return nil, driver.Permanent(hint.Wrap(fmt.Errorf("%s: %s records cannot be set here", n, n.Type), "types: %s", strings.Join(types, ", ")))
		}
	}
	sets := map[recordset.Name]recordset.Set{}
	for _, host := range hostsOf(names) {
		h, err := p.look(ctx, host)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if n.Host == host {
				sets[n] = h.set(n.Type)
				p.remember(n, h)
			}
		}
	}
	return sets, nil
}

func hostsOf(names []recordset.Name) []string {
	var hosts []string
	for _, n := range names {
		if !slices.Contains(hosts, n.Host) {
			hosts = append(hosts, n.Host)
		}
	}
	return hosts
}

// host is all that there is under one name.
type host struct {
	name   string
	shapes map[string]shape    // of our line, by type
	lines  map[string][]string // others, by type
}

// look reads a host. Whether weights decide is asked only when it matters.
func (p *provider) look(ctx context.Context, name string) (host, error) {
	h := host{name, map[string]shape{}, map[string][]string{}}
	all, err := p.api.Records(ctx, p.domain, p.rr(name))
	if err != nil {
		return h, aliyun.ForDriver(err)
	}
	var open map[string]bool
	for _, r := range all {
		if r.Line != p.line {
			if !slices.Contains(h.lines[r.Type], r.Line) {
				h.lines[r.Type] = append(h.lines[r.Type], r.Line)
			}
			continue
		}
		if open == nil && weighable(r.Type) && r.Enabled() {
			if open, err = p.api.Weighted(ctx, p.domain, p.rr(name), p.line); err != nil {
				return h, aliyun.ForDriver(err)
			}
		}
		s := h.shapes[r.Type]
		one := rec{DNSRecord: r, value: r.Value, on: r.Enabled()}
		if slices.Contains(types, r.Type) {
			if one.value, err = valueOf(r); err != nil {
				return h, driver.Permanent(fmt.Errorf("record %s of %s %s: %w", r.ID, name, r.Type, err))
			}
		}
		s.recs = append(s.recs, one)
		h.shapes[r.Type] = s
	}
	for typ, s := range h.shapes {
		s = s.sorted()
		s.open = open[typ]
		h.shapes[typ] = s
	}
	return h, nil
}

func (h host) shape(typ string) shape {
	s := h.shapes[typ]
	s.weighing, s.single = weighable(typ), typ == "CNAME"
	return s
}

func (h host) set(typ string) recordset.Set {
	set := h.shape(typ).set()
	for other, s := range h.shapes {
		if other != typ && len(s.values()) > 0 {
			set.Beside = append(set.Beside, other)
		}
	}
	slices.Sort(set.Beside)
	return set
}

// remember keeps what no attribute says. That there are other lines is said
// once.
func (p *provider) remember(n recordset.Name, h host) {
	s := h.shape(n.Type)
	p.mu.Lock()
	before, seen := p.noted[n.String()]
	now := note{ttls: s.ttls(), weights: s.weights(), lines: slices.Sorted(slices.Values(h.lines[n.Type]))}
	p.noted[n.String()] = now
	p.mu.Unlock()
	if len(now.lines) > 0 && (!seen || !slices.Equal(before.lines, now.lines)) {
		p.log.Warn("a record set has records of other lines, which are left alone", "record", n.String(), "line", p.line, "others", strings.Join(now.lines, " "))
	}
}

func (p *provider) note(n recordset.Name) note {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noted[n.String()]
}

// describe is what Alidns says about the domain, asked now and then.
func (p *provider) describe(ctx context.Context) (aliyun.Domain, error) {
	p.mu.Lock()
	known, at := p.info, p.infoAt
	p.mu.Unlock()
	if known != nil && time.Since(at) < infoFor {
		return *known, nil
	}
	d, err := p.api.Domain(ctx, p.domain)
	if err != nil {
		return d, aliyun.ForDriver(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info, p.infoAt = &d, time.Now()
	return d, nil
}

// Limits: the shortest TTL is that of the plan that the domain is paid for.
func (p *provider) Limits(ctx context.Context) (recordset.Limits, error) {
	d, err := p.describe(ctx)
	if err != nil {
		return recordset.Limits{}, err
	}
	shortest := shortestTTL(d)
	return recordset.Limits{
		MinTTL: shortest, MaxTTL: maxTTL, DefaultTTL: max(apiTTL, shortest), Types: types,
		Why: fmt.Sprintf("the plan of %s at Alidns (%s) has TTLs of %d..%d", p.domain, cmp.Or(d.Plan, "unknown"), shortest, maxTTL),
	}, nil
}

func shortestTTL(d aliyun.Domain) int {
	if d.MinTTL > 0 {
		return d.MinTTL
	}
	shortest := 0
	for _, text := range d.TTLs {
		if n, err := strconv.Atoi(text); err == nil && n > 0 && (shortest == 0 || n < shortest) {
			shortest = n
		}
	}
	return cmp.Or(shortest, 1)
}

// nameServers are those of the block, else those that the domain has.
func (p *provider) nameServers(ctx context.Context, _ string) ([]string, error) {
	if len(p.servers) > 0 {
		return slices.Clone(p.servers), nil
	}
	d, err := p.describe(ctx)
	if err != nil {
		return nil, err
	}
	if len(d.Servers) == 0 {
		return nil, errors.New("no name servers are known there; name them: name_servers: [...]")
	}
	return recordset.Addresses(ctx, d.Servers, recordset.SystemAddresses)
}

// Hidden: a single answer does not show a set that is answered by weight. Its
// Settle is the target's own.
func (p *provider) Hidden(n recordset.Name, s recordset.Set) error {
	if len(s.Extra[Weights].List()) > 0 {
		return fmt.Errorf("%s is answered by weight, one value at a time", n)
	}
	return nil
}

// Close drops idle connections.
func (p *provider) Close() error {
	p.api.Close()
	return nil
}
