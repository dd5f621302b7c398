package cloudflare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
)

// batch is one transaction: deletes, then patches, puts and posts.
type batch struct {
	Deletes []gone   `json:"deletes,omitempty"`
	Patches []change `json:"patches,omitempty"`
	Posts   []change `json:"posts,omitempty"`
}

type gone struct {
	ID string `json:"id"`
}

// change holds what is to be written; of a patch all else stays.
type change struct {
	ID       string          `json:"id,omitempty"`
	Name     string          `json:"name,omitempty"`
	Type     string          `json:"type,omitempty"`
	Content  string          `json:"content,omitempty"`
	TTL      int             `json:"ttl,omitempty"`
	Proxied  *bool           `json:"proxied,omitempty"`
	Comment  *string         `json:"comment,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
}

func (b batch) empty() bool { return len(b.Deletes)+len(b.Patches)+len(b.Posts) == 0 }

// Swap lists the host once more, compares, and sends one batch. Between that
// list and the batch there is a moment that nothing closes: the API has no
// condition. What the batch touches it names by id, so that a record which
// somebody made meanwhile stays, and one that is gone fails all of it.
func (p *provider) Swap(ctx context.Context, swaps []recordset.Swap) error {
	id, err := p.id(ctx)
	if err != nil {
		return err
	}
	var b batch
	var names []recordset.Name
	for _, s := range swaps {
		names = append(names, s.Name)
	}
	now, err := p.Get(ctx, names)
	if err != nil {
		return err
	}
	for _, s := range swaps {
		live := now[s.Name]
		if !live.Same(s.Old) {
			return fmt.Errorf("%s: %w", s.Name, recordset.ErrConflict)
		}
		s.Old = live
		p.add(&b, s)
	}
	if b.empty() {
		return nil
	}
	err = p.client.batch(ctx, id, b)
	if e, ok := errors.AsType[*apiError](err); ok && e.has(conflicts...) {
		return fmt.Errorf("%w: %w", recordset.ErrConflict, err)
	}
	return err
}

// add puts what leads one set from what it is to what it shall be into b. When
// nothing stays of the old set, its records are rewritten in their place: a
// batch reaches the name servers record by record.
func (p *provider) add(b *batch, s recordset.Swap) {
	raw, _ := s.Old.Raw.([]record)
	added, removed := s.Added(), s.Removed()
	fields := func(c change) change {
		if s.New.TTL != s.Old.TTL || c.ID == "" {
			c.TTL = ttl(s, raw)
		}
		if proxied := isProxied(s.New); c.ID == "" || proxied != isProxied(s.Old) {
			c.Proxied = &proxied
		}
		return c
	}
	for _, r := range raw {
		switch {
		case !slices.Contains(removed, r.Content):
			if c := fields(change{ID: r.ID}); c.TTL != 0 || c.Proxied != nil {
				b.Patches = append(b.Patches, c)
			}
		case len(s.Kept()) == 0 && len(added) > 0:
			b.Patches = append(b.Patches, fields(change{ID: r.ID, Content: added[0]}))
			added = added[1:]
		default:
			b.Deletes = append(b.Deletes, gone{r.ID})
		}
	}
	for _, v := range added {
		c := fields(change{Name: s.Name.Host, Type: s.Name.Type, Content: v})
		b.Posts = append(b.Posts, p.completed(c))
	}
}

// ttl is what is written for the TTL of the set. 300 is written as automatic,
// which it is, unless the set has it in figures; what is proxied takes no other.
func ttl(s recordset.Swap, raw []record) int {
	figures := slices.ContainsFunc(raw, func(r record) bool { return r.TTL == autoTTL })
	if isProxied(s.New) || (s.New.TTL == autoTTL && !figures) {
		return 1
	}
	return s.New.TTL
}

// completed gives a record that comes back what it had.
func (p *provider) completed(c change) change {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x, ok := p.seen[record{Name: c.Name, Type: c.Type, Content: c.Content}.key()]; ok {
		c.Comment, c.Tags = x.comment, x.tags
		if string(x.settings) != "null" {
			c.Settings = x.settings
		}
	}
	return c
}
