package adguard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	lookFirst = 20 * time.Millisecond
	lookMax   = time.Second
)

// Settle returns when look-ups are answered with the values in their order. It
// asks over DNS where the block says where; the list of rewrites, which takes
// effect at once, is looked at for the rest: without dns, of a CNAME, and of a
// set that is gone.
func (t *Target) Settle(ctx context.Context, changes []state.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	edits, err := editsOf(changes)
	if err != nil {
		return driver.Named(Name, err)
	}
	limited, cancel := context.WithTimeout(ctx, t.cfg.settleTimeout())
	defer cancel()
	last := ""
	for wait := lookFirst; ; wait = min(2*wait, lookMax) {
		behind, err := t.behind(limited, edits)
		switch {
		case err == nil && behind == "":
			return nil
		case err != nil && limited.Err() == nil:
			behind = err.Error()
		}
		if behind != "" {
			last = behind
			driver.Progress(ctx, behind)
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return driver.Named(Name, fmt.Errorf("%w; last seen: %s", ctx.Err(), orElse(last, "nothing")))
			}
			return driver.Named(Name, hint.Wrap(fmt.Errorf("the change is not answered after %s: %s", t.cfg.settleTimeout(), orElse(last, "nothing was seen")),
				"is dns that server's address, and are rewrites and protection switched on?"))
		case <-time.After(wait):
		}
	}
}

// behind looks once and says what is not answered yet.
func (t *Target) behind(ctx context.Context, edits []edit) (string, error) {
	var listed map[name]set
	for _, e := range edits {
		c, ok := e.values()
		switch {
		case !ok:
			continue
		case t.dns != "" && e.name.typ != "CNAME" && c.To.Present():
			got, err := t.ask(ctx, e.name)
			if err != nil {
				return "", err
			}
			if !slices.Equal(got, c.To.List()) {
				return fmt.Sprintf("%s answers %s with %s, not %s", t.dns, e.name, orElse(strings.Join(got, " "), "nothing"), strings.Join(c.To.List(), " ")), nil
			}
			continue
		case listed == nil:
			rows, err := t.client.rows(ctx)
			if err != nil {
				return "", err
			}
			listed = setsOf(rows)
		}
		if now := listed[e.name].value(); now != c.To {
			return fmt.Sprintf("%s is %s, not %s", e.name, now, c.To), nil
		}
	}
	return "", nil
}

// ask looks a name up and returns the answers in their order.
func (t *Target) ask(ctx context.Context, n name) ([]string, error) {
	host := n.host
	if n.wildcard() {
		host = "flip-looks" + strings.TrimPrefix(host, "*")
	}
	a, err := wire.Client{Timeout: t.cfg.timeout()}.Resolve(ctx, t.dns, host, n.typ)
	if err != nil {
		return nil, err
	}
	var got []string
	for _, r := range a.Set(host, n.typ) {
		got = append(got, r.Value)
	}
	return got, nil
}

// CacheTime is the TTL of the server's answers; for a name without a rewrite,
// how long the upstream's answer may be kept, which only the block can tell.
func (t *Target) CacheTime(ctx context.Context, _ string, attrs map[string]state.Value) (time.Duration, error) {
	if seconds, ok := attrs[recordset.TTL].Int(); ok {
		return time.Duration(seconds) * time.Second, nil
	}
	if !attrs[recordset.Values].Present() {
		return t.cfg.upstreamTTL(), nil
	}
	ttl, err := t.client.ttl(ctx)
	if err != nil {
		return 0, driver.Named(Name, err)
	}
	return time.Duration(ttl) * time.Second, nil
}

// Resolvable: a wildcard is no name that can be looked up.
func (t *Target) Resolvable(_ context.Context, id string) error {
	n, err := parseName(id)
	if err != nil {
		return driver.Named(Name, err)
	}
	if n.wildcard() {
		return driver.Named(Name, hint.Wrap(fmt.Errorf("%s is no name that can be looked up", n), "look up a name below it"))
	}
	return nil
}
