package recordset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Expect is how long Settle takes when nothing is in the way.
func (t *Target) Expect(changes []state.Change) time.Duration {
	if len(changes) == 0 {
		return 0
	}
	return t.o.Expect
}

// Settle returns when every name server answers with the sets that the
// provider stores: the same values and TTL, with authority. It takes no longer
// than the settle timeout, and then says who still answers what.
func (t *Target) Settle(ctx context.Context, changes []state.Change) error {
	if err := ctx.Err(); err != nil || len(changes) == 0 {
		return err
	}
	want, err := t.wanted(ctx, changes)
	if err != nil || len(want) == 0 {
		return t.wrap(err)
	}
	return t.wrap(t.untilAnswered(ctx, want))
}

// wanted is what name servers shall answer: the changed sets, all of them, as
// they are stored. Sets that nobody can see by asking are left out.
func (t *Target) wanted(ctx context.Context, changes []state.Change) (map[Name]Set, error) {
	edits, err := t.edits(changes)
	if err != nil {
		return nil, err
	}
	var names []Name
	for _, e := range edits {
		names = append(names, e.name)
	}
	now, err := t.get(ctx, names)
	if err != nil {
		return nil, err
	}
	want := map[Name]Set{}
	for _, e := range edits {
		set, err := join(e.name, now)
		if err != nil {
			return nil, err
		}
		attrs := set.attrs()
		for _, c := range e.changes {
			if v := attrs[c.Attribute]; v != c.To {
				return nil, &driver.DriftError{Change: c, Now: v}
			}
		}
		for _, n := range e.name.Parts() {
			if t.o.Unseen || t.hidden(n, now[n]) != nil {
				continue
			}
			want[n] = now[n]
		}
	}
	return want, nil
}

func (t *Target) hidden(n Name, s Set) error {
	if h, ok := t.o.Provider.(Hider); ok {
		return h.Hidden(n, s)
	}
	return nil
}

// lookEvery is the pause between two looks at the name servers.
const lookEvery = 250 * time.Millisecond

func (t *Target) untilAnswered(ctx context.Context, want map[Name]Set) error {
	limited, cancel := context.WithTimeout(ctx, t.o.SettleTimeout)
	defer cancel()
	var last []string
	for {
		behind, err := t.behind(limited, want)
		if err == nil && len(behind) == 0 {
			return nil
		}
		if err != nil {
			behind = []string{err.Error()}
		}
		if last == nil || !ending(limited) {
			last = behind // not what the deadline made
		}
		if perr := pause(limited, lookEvery); perr != nil {
			switch {
			case errors.Is(ctx.Err(), context.DeadlineExceeded):
				return hint.Wrap(fmt.Errorf("not every name server answers with the change, and no time is left: %s (%w)", some(last), ctx.Err()),
					"look at that server; clients may still get the old answer from it")
			case ctx.Err() != nil:
				return fmt.Errorf("%w; last seen: %s", ctx.Err(), some(last))
			}
			return hint.Wrap(fmt.Errorf("not every name server answers with the change after %s: %s", t.o.SettleTimeout, some(last)),
				"nothing was taken for granted; look at that server, or give it longer with settle_timeout")
		}
		driver.Progress(ctx, some(behind))
	}
}

// ending reports whether ctx has ended or is about to.
func ending(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || (limited && time.Until(deadline) < 20*time.Millisecond)
}

func some(lines []string) string {
	if len(lines) > 3 {
		return strings.Join(lines[:3], "; ") + fmt.Sprintf("; and %d more", len(lines)-3)
	}
	return strings.Join(lines, "; ")
}

// behind looks once at every server and says what those that do not answer as
// wanted answer, in order.
func (t *Target) behind(ctx context.Context, want map[Name]Set) ([]string, error) {
	asks := map[string][]Name{}
	for n := range want {
		servers, err := t.NameServers(ctx, n.Host)
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			asks[s] = append(asks[s], n)
		}
	}
	servers := sortedKeys(asks)
	lines := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			names := asks[server]
			slices.SortFunc(names, func(a, b Name) int { return strings.Compare(a.String(), b.String()) })
			for _, n := range names {
				if lines[i] = t.differsAt(ctx, server, n, want[n]); lines[i] != "" {
					return
				}
			}
		})
	}
	wg.Wait()
	return slices.DeleteFunc(lines, func(l string) bool { return l == "" }), nil
}

func unanswered(server string, err error) string {
	if _, said := errors.AsType[*wire.Error](err); said {
		return err.Error()
	}
	timeout, network := errors.AsType[net.Error](err)
	if errors.Is(err, context.DeadlineExceeded) || (network && timeout.Timeout()) {
		return server + " does not answer in time"
	}
	if _, lost := errors.AsType[*wire.LostError](err); lost {
		return err.Error()
	}
	if refused, ok := errors.AsType[syscall.Errno](err); ok {
		return fmt.Sprintf("%s cannot be asked: %s", server, refused.Error())
	}
	return fmt.Sprintf("%s cannot be asked: %v", server, err)
}

// differsAt says how a server's answer differs from want, "" when it does not.
func (t *Target) differsAt(ctx context.Context, server string, n Name, want Set) string {
	a, err := t.o.Client.Ask(ctx, server, n.Host, n.Type)
	if err != nil {
		return unanswered(server, err)
	}
	if !a.Authoritative {
		return fmt.Sprintf("%s answers for %s without authority", server, n.Host)
	}
	got := a.Set(n.Host, n.Type)
	values := wire.Values(got)
	want.Values = slices.Sorted(slices.Values(want.Values)) // the order may rotate on its way
	switch {
	case slices.Equal(values, want.Values) && (want.Absent() || got[0].TTL == want.TTL):
		return ""
	case slices.Equal(values, want.Values):
		return fmt.Sprintf("%s still answers %s with TTL %d", server, n, got[0].TTL)
	case len(values) == 0:
		return fmt.Sprintf("%s has no %s yet", server, n)
	}
	old := without(values, want.Values)
	if len(old) == 0 {
		return fmt.Sprintf("%s answers %s without %s", server, n, strings.Join(without(want.Values, values), " "))
	}
	return fmt.Sprintf("%s still answers %s", server, strings.Join(old, " "))
}
