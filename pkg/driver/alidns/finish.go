package alidns

import (
	"context"
	"slices"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
)

// equalize gives every record of a set that answers the same TTL.
func (p *provider) equalize(ctx context.Context, n recordset.Name, ttl int) error {
	return p.each(ctx, n, func(s shape) (step, bool) {
		return s.leveling(want{values: s.values(), ttl: ttl})
	})
}

// sweep deletes the switched off records of those values, of a set that is gone.
func (p *provider) sweep(ctx context.Context, n recordset.Name, values []string) error {
	return p.each(ctx, n, func(s shape) (step, bool) {
		if len(s.values()) > 0 {
			return step{}, false
		}
		i := slices.IndexFunc(s.recs, func(r rec) bool { return !r.on && slices.Contains(values, r.value) })
		if i < 0 {
			return step{}, false
		}
		return step{verb: remove, value: s.recs[i].value, id: s.recs[i].ID}, true
	})
}

// each takes steps until there is none.
func (p *provider) each(ctx context.Context, n recordset.Name, next func(shape) (step, bool)) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	h, err := p.look(ctx, n.Host)
	if err != nil {
		return err
	}
	j := &job{name: n, now: h.shape(n.Type)}
	for range mostSteps {
		st, more := next(j.now)
		if !more {
			break
		}
		if err := p.take(ctx, j, st); err != nil {
			return err
		}
	}
	return nil
}
