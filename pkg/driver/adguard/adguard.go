// Package adguard sets DNS rewrites of AdGuard Home as record sets.
//
// A rewrite is one row of a list, and answers follow the list: the server does
// not rotate them. Clients that take the first answer therefore all use the
// first row, so the order is part of a set's values and flip keeps it. The API
// changes one row a call, says 200 when nothing matched, and takes duplicates;
// only the list counts, which is read after every call. The TTL is one for all
// answers that the server makes itself.
package adguard

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that plans use.
const (
	Name     = "adguard"
	Disabled = "disabled"
)

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "DNS rewrites of AdGuard Home, in the order of its answers",
		Kinds: []driver.Kind{{
			Name: recordset.KindRecord, Selector: []string{recordset.KindRecord},
			Doc: "The rewrites of a name to addresses of one kind, or to another name: \"www.example.com A\", AAAA or CNAME.",
			Attributes: []driver.Attribute{
				{Name: recordset.Values, Type: driver.TypeList, Ordered: true, Via: via, Doc: "what is answered, in this order; clients that take the first answer use the first value only"},
				{Name: recordset.TTL, Type: driver.TypeInt, Min: 0, Max: maxTTL, Doc: "that of all answers of the server (blocked_response_ttl of its DNS settings); a plan may name it but not change it"},
				{Name: Disabled, Type: driver.TypeList, Ordered: true, ReadOnly: true, Doc: "answers whose rewrite is switched off"},
			},
		}},
	}
}

// Target is one AdGuard Home.
type Target struct {
	cfg    Config
	log    *slog.Logger
	client *client
	scope  string
	dns    string // host:port, or empty

	// writing is held from reading the rows to the last call.
	writing chan struct{}
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := newClient(cfg, env, log)
	if err != nil {
		return nil, err
	}
	t := &Target{cfg: cfg, log: log, client: c, writing: make(chan struct{}, 1)}
	if cfg.DNS != "" {
		if t.dns, err = wire.WithPort(cfg.DNS); err != nil {
			return nil, err
		}
	}
	base, err := cfg.base()
	if err != nil {
		return nil, err
	}
	t.scope = "adguard://" + base.Host + base.Path
	return t, nil
}

// Scopes names the server.
func (t *Target) Scopes() []string { return []string{t.scope} }

// ComparesFirst: see driver.Comparer.
func (t *Target) ComparesFirst() {}

// Close drops idle connections.
func (t *Target) Close() error {
	t.client.http.CloseIdleConnections()
	return nil
}

// parseName reads "www.example.com A".
func parseName(text string) (name, error) {
	n, err := recordset.ParseName(text)
	if err != nil {
		return name{}, err
	}
	if !slices.Contains(types, n.Type) {
		return name{}, hint.Wrap(fmt.Errorf("record %q: a rewrite is A, AAAA or CNAME, not %s", text, n.Type), "name the sets by themselves: %q", n.Host+" A")
	}
	return name{n.Host, n.Type}, nil
}

// Locate names the one object of a record set.
func (t *Target) Locate(kind, text string) (map[string]state.Object, error) {
	if kind != recordset.KindRecord {
		return nil, driver.Permanent(fmt.Errorf("%s has no objects of kind %q", Name, kind))
	}
	n, err := parseName(text)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	return map[string]state.Object{n.String(): {Kind: recordset.KindRecord, Name: n.String()}}, nil
}

// look is what the server says at one moment.
type look struct {
	rows []row
	ttl  int
	used bool // rewrites, at all
}

func (t *Target) look(ctx context.Context) (look, error) {
	rows, err := t.client.rows(ctx)
	if err != nil {
		return look{}, err
	}
	ttl, err := t.client.ttl(ctx)
	if err != nil {
		return look{}, err
	}
	used, err := t.client.used(ctx)
	if err != nil {
		return look{}, err
	}
	return look{rows, ttl, used}, nil
}

// attrs are the attributes of a set; none of one that is absent.
func (l look) attrs(s set) map[string]state.Value {
	attrs := map[string]state.Value{}
	if len(s.live) > 0 {
		attrs[recordset.Values], attrs[recordset.TTL] = s.value(), state.Int(l.ttl)
	}
	if len(s.disabled) > 0 {
		var off []string
		for _, r := range s.disabled {
			_, v := r.read()
			off = append(off, orElse(v, r.answer))
		}
		attrs[Disabled] = state.Sequence(off)
	}
	return attrs
}

// Read returns every name that has rewrites. Those whose name or answer cannot
// be written in a plan are left out.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	l, err := t.look(ctx)
	if err != nil {
		return state.State{}, driver.Named(Name, err)
	}
	s := state.State{Objects: map[string]state.Object{}}
	sets := setsOf(l.rows)
	for n, one := range sets {
		attrs := l.attrs(one)
		if _, err := parseName(n.String()); err != nil || len(attrs) == 0 {
			continue
		}
		s.Objects[n.String()] = state.Object{Kind: recordset.KindRecord, Name: n.String(), Attrs: attrs, Info: l.info(n, one, sets)}
	}
	return s, nil
}

// info holds what somebody who looks at the set should know.
func (l look) info(n name, s set, sets map[name]set) map[string]string {
	var notes []string
	if !l.used {
		notes = append(notes, "rewrites are switched off: nothing of this is answered")
	}
	if s.through {
		notes = append(notes, n.typ+" is let through to the upstream by a rewrite with the answer "+n.typ)
	}
	if len(s.live) > len(s.values()) {
		notes = append(notes, "an answer is listed twice")
	}
	if n.typ == "A" && len(s.live) > 0 && hides(n.host, sets) {
		notes = append(notes, nodata)
	}
	if len(notes) == 0 {
		return nil
	}
	return map[string]string{"note": strings.Join(notes, "; ")}
}

const nodata = "AAAA look-ups of the name get no answer, also where the upstream has one: add AAAA values, or a rewrite with the answer AAAA that lets them through"

// hides reports whether a rewrite of A hides the AAAA of the upstream.
func hides(host string, sets map[name]set) bool {
	v6 := sets[name{host, "AAAA"}]
	return len(v6.live) == 0 && !v6.through
}
