package alidns

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Settle returns when every name server answers with the change. Sets that are
// answered by weight are asked for many times: each answer has to be one of the
// values, and each value has to be seen. Shares are not counted.
func (t *Target) Settle(ctx context.Context, changes []state.Change) error {
	begun := time.Now()
	changes = t.level(changes)
	if err := t.Target.Settle(ctx, changes); err != nil {
		return t.sayLines(changes, err)
	}
	if t.p.unseen {
		return nil
	}
	for _, n := range namesOf(changes) {
		h, err := t.p.look(ctx, n.Host)
		if err != nil {
			return driver.Named(Name, err)
		}
		if s := h.shape(n.Type); s.open && len(s.values()) > 0 {
			if err := t.drawn(ctx, n, s, t.settle-time.Since(begun)); err != nil {
				return t.sayLines(changes, driver.Named(Name, err))
			}
		}
	}
	return nil
}

func namesOf(changes []state.Change) []recordset.Name {
	var names []recordset.Name
	for _, c := range changes {
		n, err := recordset.ParseName(c.Object)
		if err != nil {
			continue
		}
		for _, part := range n.Parts() {
			if weighable(part.Type) && !slices.Contains(names, part) {
				names = append(names, part)
			}
		}
	}
	return names
}

// sayLines adds that who asks from another line gets other answers.
func (t *Target) sayLines(changes []state.Change, err error) error {
	for _, n := range namesOf(changes) {
		if lines := t.p.note(n).lines; len(lines) > 0 {
			return hint.Wrap(err, "%s has records of other lines too (%s): asked from there the name servers answer with those; with unseen: true they are not asked",
				n, strings.Join(lines, ", "))
		}
	}
	if t.p.line != defaultLine {
		return hint.Wrap(err, "the line is %s: asked from elsewhere the name servers answer with the records of another line; with unseen: true they are not asked", t.p.line)
	}
	return err
}

const (
	draws     = 40 // answers of one server that are looked at together
	drawEvery = 250 * time.Millisecond
)

// drawn waits until all name servers answer with values of s only, and each was
// seen.
func (t *Target) drawn(ctx context.Context, n recordset.Name, s shape, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	seen := map[string]map[string]bool{}
	for {
		servers, err := t.NameServers(limited, n.Host)
		behind := ""
		if err != nil {
			behind = err.Error()
		}
		lines := make([]string, len(servers))
		var wg sync.WaitGroup
		for i, server := range servers {
			if seen[server] == nil {
				seen[server] = map[string]bool{}
			}
			had := seen[server]
			wg.Go(func() { lines[i] = t.draw(limited, server, n, s, had) })
		}
		wg.Wait()
		if behind += strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "; "); behind == "" {
			return nil
		}
		driver.Progress(ctx, behind)
		if aliyun.Pause(limited, drawEvery) != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w; last seen: %s", ctx.Err(), behind)
			}
			return hint.Wrap(fmt.Errorf("not every name server answers with the change after %s: %s", t.settle, behind),
				"nothing was taken for granted; look at that server, or give it longer with settle_timeout")
		}
	}
}

// draw asks one server some times and says what is wrong, "" when nothing is.
func (t *Target) draw(ctx context.Context, server string, n recordset.Name, s shape, seen map[string]bool) string {
	set := s.set()
	for range draws {
		a, err := t.servers.Ask(ctx, server, n.Host, n.Type)
		if err != nil {
			return fmt.Sprintf("%s cannot be asked: %v", server, err)
		}
		got := a.Set(n.Host, n.Type)
		switch {
		case !a.Authoritative:
			return fmt.Sprintf("%s answers for %s without authority", server, n.Host)
		case len(got) == 0:
			return fmt.Sprintf("%s has no %s yet", server, n)
		}
		for _, v := range wire.Values(got) {
			if !slices.Contains(set.Values, v) {
				clear(seen)
				return fmt.Sprintf("%s still answers %s", server, v)
			}
			seen[v] = true
		}
		if got[0].TTL != set.TTL {
			return fmt.Sprintf("%s still answers %s with TTL %d", server, n, got[0].TTL)
		}
	}
	for _, v := range set.Values {
		if !seen[v] {
			return fmt.Sprintf("%s has not answered %s yet", server, v)
		}
	}
	return ""
}
