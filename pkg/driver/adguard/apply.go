package adguard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Apply compares all changes and then makes them row by row. It lists the rows
// after every call: the answer to a call counts for little. Rows that are not as
// they have to be after the call are drift, and nothing more is written.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	if err := ctx.Err(); err != nil || len(changes) == 0 {
		return err
	}
	return driver.Named(Name, t.apply(ctx, changes))
}

func (t *Target) apply(ctx context.Context, changes []state.Change) error {
	edits, err := editsOf(changes)
	if err != nil {
		return err
	}
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	l, err := t.look(ctx)
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	calls, err := plan(edits, l)
	if err != nil {
		return err
	}
	t.warn(ctx, edits, l)
	rows := l.rows
	for _, c := range calls {
		if rows, err = t.do(ctx, c, rows, edits); err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	return nil
}

func (c call) String() string {
	if c.verb == update {
		return fmt.Sprintf("update %s %s to %s %s", c.row.domain, c.row.answer, c.next.domain, c.next.answer)
	}
	return fmt.Sprintf("%s %s %s", c.verb, c.row.domain, c.row.answer)
}

// do makes one call and lists the rows.
func (t *Target) do(ctx context.Context, c call, rows []row, edits []edit) ([]row, error) {
	want := c.after(rows)
	failed := t.client.make(ctx, c)
	now, err := t.client.rows(ctx)
	if err != nil {
		if failed != nil {
			err = fmt.Errorf("%w; %w", failed, err)
		}
		return nil, driver.Uncertain(err)
	}
	hosts := hostsOf(edits)
	switch {
	case sameRows(want, now, hosts):
		return now, nil // whatever the answer was
	case sameRows(rows, now, hosts) && failed != nil:
		return nil, failed
	case sameRows(rows, now, hosts):
		return nil, hint.Wrap(errors.New("AdGuard Home answered 200 and the rewrites are as they were"), "look at its log")
	}
	return nil, t.drift(edits, now, failed)
}

// drift names the set that is not as flip left it.
func (t *Target) drift(edits []edit, rows []row, failed error) error {
	sets := setsOf(rows)
	for _, e := range edits {
		c, ok := e.values()
		now := sets[e.name].value()
		if ok && now != c.From && now != c.To && !slices.Contains(via(c.From, c.To), now) {
			return &driver.DriftError{Change: c, Now: now}
		}
	}
	err := errors.New("somebody else changes rewrites of the name at the same time")
	if failed != nil {
		err = fmt.Errorf("%w; %w", err, failed)
	}
	return hint.Wrap(err, "nothing of theirs was overwritten; see to it that one changes them at a time")
}

func hostsOf(edits []edit) []string {
	var hosts []string
	for _, e := range edits {
		hosts = append(hosts, e.name.host, e.name.retired())
	}
	return hosts
}

// sameRows compares the rows of some names, their order included.
func sameRows(a, b []row, hosts []string) bool {
	of := func(rows []row) []row {
		return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !slices.Contains(hosts, strings.ToLower(r.domain)) })
	}
	return slices.Equal(of(a), of(b))
}

// warn tells what the first rewrite of A does to AAAA.
func (t *Target) warn(ctx context.Context, edits []edit, l look) {
	sets := setsOf(l.rows)
	for _, e := range edits {
		c, ok := e.values()
		v6 := func(o edit) bool {
			to, sets := o.values()
			return o.name == name{e.name.host, "AAAA"} && sets && to.To.Present()
		}
		if !ok || e.name.typ != "A" || !c.To.Present() || len(sets[e.name].live) > 0 || !hides(e.name.host, sets) || slices.ContainsFunc(edits, v6) {
			continue
		}
		t.log.WarnContext(ctx, nodata, "record", e.name.String())
		driver.Progress(ctx, e.name.String()+": "+nodata)
	}
}

// Check says what Apply would refuse, that rewrites are switched off, and with
// order new-first that a new address comes too late. On the way back the order
// of before is restored whatever it was.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	edits, err := editsOf(changes)
	if err != nil {
		return driver.Named(Name, err)
	}
	l, err := t.look(ctx)
	if err != nil {
		return driver.Named(Name, driver.Uncertain(err))
	}
	if !l.used {
		err := hint.Wrap(errors.New("rewrites are switched off in this AdGuard Home: a change would not be answered"), "switch them on under Filters, DNS rewrites")
		return driver.Named(Name, driver.Permanent(err))
	}
	if t.cfg.Order == newFirst {
		if err := newestFirst(edits); err != nil {
			return driver.Named(Name, driver.Permanent(err))
		}
	}
	l.rows = foreseen(l.rows, now)
	_, err = plan(edits, l)
	return driver.Named(Name, err)
}

// foreseen are the rows that the server would have with that state: enabled
// ones of the state, the others as they are.
func foreseen(rows []row, s state.State) []row {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		_, v := r.read()
		return !r.disabled && v != ""
	})
	for _, id := range s.IDs() {
		n, err := parseName(id)
		if err != nil {
			continue
		}
		for _, v := range s.Get(id, recordset.Values).List() {
			rows = append(rows, row{domain: n.host, answer: v})
		}
	}
	return rows
}

// MaxInFlight is how long a request of a process that died may still land.
func (t *Target) MaxInFlight() time.Duration { return t.cfg.timeout() }

func (t *Target) lock(ctx context.Context) error {
	select {
	case t.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Target) unlock() { <-t.writing }
