package cloudflare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// provider is one zone as recordset wants it.
type provider struct {
	client  *client
	zone    string
	zoneID  string
	servers []string
	minTTL  int

	mu    sync.Mutex
	found zone
	seen  map[string]extras // of records that were listed, by "name type value"
}

// extras are what a record has beside its value. A record that comes back
// while flip still runs gets them again.
type extras struct {
	comment  *string
	tags     []string
	settings json.RawMessage
}

const (
	perPage  = 100
	maxPages = 1000
)

// Get lists every host once.
func (p *provider) Get(ctx context.Context, names []recordset.Name) (map[recordset.Name]recordset.Set, error) {
	for _, n := range names {
		if !slices.Contains(types, n.Type) {
			return nil, driver.Permanent(hint.Wrap(fmt.Errorf("%s: %s records cannot be set here", n, n.Type), "types: %s", strings.Join(types, ", ")))
		}
	}
	id, err := p.id(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		_, err := p.list(ctx, id, p.zone)
		return nil, err
	}
	sets := map[recordset.Name]recordset.Set{}
	for _, host := range hostsOf(names) {
		all, err := p.list(ctx, id, host)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if n.Host != host {
				continue
			}
			if sets[n], err = setOf(n, all); err != nil {
				return nil, err
			}
		}
		p.remember(all)
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

// list returns every record of a host. Paging ends with the last page that is
// announced, with an empty one, and with one that brings nothing new.
func (p *provider) list(ctx context.Context, zone, host string) ([]record, error) {
	var all []record
	seen := map[string]bool{}
	for page := 1; page <= maxPages; page++ {
		e, err := p.client.page(ctx, zone, host, page)
		if err != nil {
			return nil, fmt.Errorf("list the records of %s: %w", host, err)
		}
		some, err := parseRecords(e)
		if err != nil {
			return nil, fmt.Errorf("list the records of %s: %w", host, err)
		}
		fresh := 0
		for _, r := range some {
			if !seen[r.ID] {
				seen[r.ID] = true
				fresh++
				all = append(all, r)
			}
		}
		if len(all) >= e.Info.TotalCount || fresh == 0 {
			if len(all) < e.Info.TotalCount {
				return nil, fmt.Errorf("list the records of %s: the pages hold %d of %d records", host, len(all), e.Info.TotalCount)
			}
			break
		}
	}
	return slices.DeleteFunc(all, func(r record) bool { return !strings.EqualFold(r.Name, host) }), nil
}

// setOf makes the set of a name. One proxied record makes the set proxied, and
// of several TTLs the longest counts.
func setOf(n recordset.Name, all []record) (recordset.Set, error) {
	var s recordset.Set
	var raw []record
	proxied := false
	for _, r := range all {
		if r.Type != n.Type {
			if !slices.Contains(s.Beside, r.Type) {
				s.Beside = append(s.Beside, r.Type)
			}
			continue
		}
		value, err := recordset.CanonicalValue(r.Type, r.Content)
		if err != nil {
			return s, driver.Permanent(fmt.Errorf("record %s of %s: %w", r.ID, n, err))
		}
		r.Content = value
		raw = append(raw, r)
		s.Values = append(s.Values, value)
		s.TTL = max(s.TTL, effective(r))
		proxied = proxied || r.Proxied
	}
	slices.Sort(s.Beside)
	if len(raw) == 0 {
		return s, nil
	}
	slices.Sort(s.Values)
	if proxied {
		s.TTL = autoTTL
	}
	s.Raw = raw
	s.Extra = map[string]state.Value{Proxied: state.Bool(proxied)}
	return s, nil
}

// effective is the TTL that is answered: 1 means automatic.
func effective(r record) int {
	if r.TTL == 1 {
		return autoTTL
	}
	return r.TTL
}

func (p *provider) remember(all []record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range all {
		p.seen[r.key()] = extras{r.Comment, r.Tags, r.Settings}
	}
}

func (r record) key() string { return strings.ToLower(r.Name) + " " + r.Type + " " + r.Content }

// Limits are those of a zone without Enterprise unless the block says more.
func (p *provider) Limits(context.Context) (recordset.Limits, error) {
	return recordset.Limits{
		MinTTL: p.minTTL, MaxTTL: maxTTL, DefaultTTL: autoTTL, Types: types,
		Why: "Cloudflare takes 60..86400 seconds, from 30 on an Enterprise zone (min_ttl: 30)",
	}, nil
}

// Refuse: what is proxied has a TTL of its own.
func (p *provider) Refuse(swaps []recordset.Swap) error {
	for _, s := range swaps {
		if isProxied(s.New) && s.New.TTL != autoTTL {
			return hint.Wrap(fmt.Errorf("%s is proxied: its TTL is always %d and cannot be %d", s.Name, autoTTL, s.New.TTL),
				"leave ttl out, or set ttl: %d together with proxied: true; clients see a change of the values at once", autoTTL)
		}
	}
	return nil
}

// Hidden: what is proxied or flattened is answered with other addresses.
func (p *provider) Hidden(n recordset.Name, s recordset.Set) error {
	switch {
	case isProxied(s):
		return hint.Wrap(fmt.Errorf("%s is proxied: it answers with Cloudflare's addresses, so looking it up shows nothing of what is set", n),
			"gate it with a request through the edge (http: {url: https://%s/..., ...} and a header that tells old from new), and count what still comes to the old address", n.Host)
	case n.Type == "CNAME" && (n.Host == p.zone || flattened(s)):
		return hint.Wrap(fmt.Errorf("%s is flattened: it answers with the addresses of its target, not with a CNAME", n), "look up A and AAAA of %s instead", n.Host)
	}
	return nil
}

func isProxied(s recordset.Set) bool { return !s.Absent() && s.Extra[Proxied].Bool() }

func flattened(s recordset.Set) bool {
	all, _ := s.Raw.([]record)
	return slices.ContainsFunc(all, func(r record) bool {
		var set struct {
			Flatten bool `json:"flatten_cname"`
		}
		return json.Unmarshal(r.Settings, &set) == nil && set.Flatten
	})
}

// id is the zone's id, looked up once when the block has none.
func (p *provider) id(ctx context.Context) (string, error) {
	if p.zoneID != "" {
		return p.zoneID, nil
	}
	z, err := p.lookup(ctx)
	return z.ID, err
}

func (p *provider) lookup(ctx context.Context) (zone, error) {
	p.mu.Lock()
	z := p.found
	p.mu.Unlock()
	if z.ID != "" {
		return z, nil
	}
	z, err := p.ask(ctx)
	if err != nil {
		return zone{}, fmt.Errorf("look up zone %s: %w", p.zone, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = z
	return z, nil
}

func (p *provider) ask(ctx context.Context) (zone, error) {
	if p.zoneID != "" {
		e, err := p.client.get(ctx, "zones/"+p.zoneID)
		if err != nil {
			return zone{}, err
		}
		z, err := parseZone(e.Result)
		if err == nil && !strings.EqualFold(z.Name, p.zone) {
			err = driver.Permanent(fmt.Errorf("zone_id is that of %s, not of %s", z.Name, p.zone))
		}
		return z, err
	}
	e, err := p.client.get(ctx, "zones?name="+url.QueryEscape(p.zone))
	if err != nil {
		return zone{}, err
	}
	all, err := parseZones(e.Result)
	if err != nil {
		return zone{}, err
	}
	all = slices.DeleteFunc(all, func(z zone) bool { return !strings.EqualFold(z.Name, p.zone) })
	if len(all) != 1 {
		err := fmt.Errorf("%d zones of that name: %w", len(all), driver.ErrNotFound)
		return zone{}, driver.Permanent(hint.Wrap(err, "the token sees only zones that it was made for; with zone_id nothing is looked up"))
	}
	return all[0], nil
}

// nameServers are those of the block, else those that the zone has.
func (p *provider) nameServers(ctx context.Context, _ string) ([]string, error) {
	if len(p.servers) > 0 {
		return slices.Clone(p.servers), nil
	}
	z, err := p.lookup(ctx)
	if err != nil {
		return nil, err
	}
	if len(z.NameServers) == 0 {
		return nil, errors.New("the zone says none; name them: name_servers: [...]")
	}
	return recordset.Addresses(ctx, z.NameServers, recordset.SystemAddresses)
}

// Close drops idle connections.
func (p *provider) Close() error {
	p.client.http.CloseIdleConnections()
	return nil
}
