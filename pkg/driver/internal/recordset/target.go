package recordset

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Target is the driver of one zone. A zone may hold more records than anybody
// wants to list, so Read returns only those that were named: by the target's
// block, by Locate, or by a change.
type Target struct {
	o   Options
	log *slog.Logger

	// writing is held from reading a set to seeing it changed.
	writing chan struct{}

	mu    sync.Mutex
	named map[Name]bool
}

// New makes the driver. It refuses records that are not in the zone.
func New(o Options) (*Target, error) {
	o.Timeout = orElse(o.Timeout, 30*time.Second)
	o.SettleTimeout = orElse(o.SettleTimeout, 2*time.Minute)
	o.Shows = orElse(o.Shows, 2*time.Second)
	t := &Target{o: o, log: o.Log, writing: make(chan struct{}, 1), named: map[Name]bool{}}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	for _, text := range o.Records {
		if _, err := t.name(text); err != nil {
			return nil, fmt.Errorf("records: %w", err)
		}
	}
	return t, nil
}

// CheckRecords is for a configuration: it refuses record sets that New would.
func CheckRecords(zone string, records []string) error {
	for _, text := range records {
		if _, err := inZone(zone, text); err != nil {
			return fmt.Errorf("records: %w", err)
		}
	}
	return nil
}

func inZone(zone, text string) (Name, error) {
	n, err := ParseName(text)
	if err != nil {
		return n, err
	}
	if !wire.Under(n.Host, zone) {
		err := fmt.Errorf("record %q is not in zone %s", text, zone)
		return n, hint.Wrap(err, "names are written in full: %q", qualified(n, zone))
	}
	return n, nil
}

func qualified(n Name, zone string) string {
	return strings.TrimSuffix(n.Host, ".") + "." + zone + " " + n.Type
}

// name reads an object's id and remembers it, so that Read returns it.
func (t *Target) name(text string) (Name, error) {
	n, err := inZone(t.o.Zone, text)
	if err != nil {
		return n, err
	}
	if n.Type == Both && t.o.Ordered {
		return n, hint.Wrap(fmt.Errorf("record %q: the values have an order here, and two sets have none together", text), "name the A and the AAAA set by themselves")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.named[n] = true
	return n, nil
}

func (t *Target) names() []Name {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Keys(t.named), func(a, b Name) int { return strings.Compare(a.String(), b.String()) })
}

// Locate names the one object of a record set. Read returns it from then on.
func (t *Target) Locate(kind, name string) (map[string]state.Object, error) {
	if kind != KindRecord {
		return nil, driver.Permanent(fmt.Errorf("%s has no objects of kind %q", t.o.Driver, kind))
	}
	n, err := t.name(name)
	if err != nil {
		return nil, driver.Permanent(err)
	}
	return map[string]state.Object{n.String(): {Kind: KindRecord, Name: n.String()}}, nil
}

// Read returns the record sets that were named and exist.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	names := t.names()
	sets, err := t.get(ctx, names)
	if err != nil {
		return state.State{}, t.wrap(err)
	}
	s := state.State{Objects: map[string]state.Object{}}
	for _, n := range names {
		set, err := join(n, sets)
		if err != nil {
			return state.State{}, t.wrap(err)
		}
		if !set.Absent() {
			s.Objects[n.String()] = state.Object{Kind: KindRecord, Name: n.String(), Attrs: set.attrs()}
		}
	}
	return s, nil
}

// get asks the provider for all parts of names.
func (t *Target) get(ctx context.Context, names []Name) (map[Name]Set, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	parts := map[Name]bool{}
	for _, n := range names {
		for _, p := range n.Parts() {
			parts[p] = true
		}
	}
	ordered := slices.SortedFunc(maps.Keys(parts), func(a, b Name) int { return strings.Compare(a.String(), b.String()) })
	sets, err := t.o.Provider.Get(ctx, ordered)
	if err != nil {
		return nil, err
	}
	if sets == nil {
		sets = map[Name]Set{}
	}
	for n, s := range sets {
		if s.ordered = t.o.Ordered; !s.ordered {
			s.Values = slices.Compact(slices.Sorted(slices.Values(s.Values)))
		}
		s.Beside = slices.Compact(slices.Sorted(slices.Values(s.Beside)))
		sets[n] = s
	}
	return sets, nil
}

// Scopes names the zone, whatever server it is reached through.
func (t *Target) Scopes() []string {
	if len(t.o.Scopes) > 0 {
		return slices.Clone(t.o.Scopes)
	}
	return []string{"dns://" + t.o.Zone}
}

// MaxInFlight is how long a request of a process that died may still land.
func (t *Target) MaxInFlight() time.Duration { return orElse(t.o.MaxInFlight, t.o.Timeout) }

// Close releases what the provider holds.
func (t *Target) Close() error {
	if c, ok := t.o.Provider.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (t *Target) wrap(err error) error { return driver.Named(t.o.Driver, err) }

func (t *Target) lock(ctx context.Context) error {
	select {
	case t.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Target) unlock() { <-t.writing }
