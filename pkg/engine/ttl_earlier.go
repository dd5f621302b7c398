package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// earlierRuns bounds how many of the newest runs are looked at for answers that
// caches may still hold.
const earlierRuns = 100

// earlier are the answers that other runs of the store replaced, of record sets
// that this plan waits for, and that caches may still hold. A run that cannot
// be read is passed over: it is another's, or damaged, and flip says so where it
// is asked about it.
func (r *Runner) earlier(ctx context.Context, b *Bound, own string) []journal.Replaced {
	if !waitsForCaches(b.Plan) {
		return nil
	}
	ids, err := r.Store.List(ctx)
	if err != nil {
		r.Log.Warn("earlier runs", "error", err)
		return nil
	}
	now := r.clock().Now()
	var out []journal.Replaced
	for _, id := range ids[:min(len(ids), earlierRuns)] {
		if id == own || ctx.Err() != nil {
			continue
		}
		view, err := r.Store.View(ctx, id)
		if err != nil {
			continue
		}
		st, err := journal.Fold(view.Records())
		if err != nil {
			continue
		}
		out = append(out, b.sameRecords(view.Dir(), replacedBy(st.Effects), now)...)
	}
	return out
}

func waitsForCaches(p plan.Plan) bool {
	found := false
	p.Walk(func(s plan.Step) { found = found || s.Wait != nil && s.Wait.TTL != nil })
	return found
}

// sameRecords are the answers of another run's records that are not over, by
// this program's names: its target may be called otherwise.
func (b *Bound) sameRecords(dir string, replaced []journal.Replaced, now time.Time) []journal.Replaced {
	replaced = slices.DeleteFunc(slices.Clone(replaced), func(v journal.Replaced) bool { return !v.Until().After(now) })
	if len(replaced) == 0 {
		return nil
	}
	var theirs saved
	raw, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil || json.Unmarshal(raw, &theirs) != nil {
		return nil
	}
	var out []journal.Replaced
	for _, v := range replaced {
		was := theirs.Pins.Targets[v.Target]
		for name, is := range b.Pins.Targets {
			if is.Driver != was.Driver || !slices.Equal(is.Scopes, was.Scopes) {
				continue
			}
			for id, o := range is.Objects {
				if shared, same := sameAnswers(v, was.Objects[v.Object].Name, o.Name); same {
					shared.Target, shared.Object = name, id
					out = append(out, shared)
				}
			}
		}
	}
	return out
}
