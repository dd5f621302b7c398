package engine

import (
	"fmt"
	"slices"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Undone is what earlier attempts have put back: keys of segments, and
// numbers of commands.
type Undone struct {
	Keys     map[int]map[state.Key]bool
	Commands map[int]bool
}

// undone tells what earlier attempts finished, from their records.
func undone(records []journal.Record, attempt int) Undone {
	done := Undone{map[int]map[state.Key]bool{}, map[int]bool{}}
	intents := map[string]journal.Record{}
	for _, r := range records {
		if r.Type == journal.TypeIntent {
			intents[r.Key] = r
			continue
		}
		var n, seg int
		if r.Type != journal.TypeDone || (r.Activity != "restore" && r.Activity != "run") {
			continue
		}
		if c, _ := fmt.Sscanf(r.Key, "/undo/%d/%d.", &n, &seg); c != 2 || n >= attempt {
			continue
		}
		if r.Activity == "run" {
			if exit, err := journal.Decode[journal.Exit](r); err == nil && exit.Code == 0 {
				done.Commands[seg] = true
			}
			continue
		}
		in, err := journal.Decode[journal.Restore](intents[r.Key])
		out, err2 := journal.Decode[journal.Restored](r)
		if err != nil || err2 != nil || in.Phase != "lower" {
			continue
		}
		if done.Keys[seg] == nil {
			done.Keys[seg] = map[state.Key]bool{}
		}
		for _, item := range in.Items {
			k := state.Key{Target: in.Target, Object: item.Object, Attribute: item.Attribute}
			done.Keys[seg][k] = !slices.ContainsFunc(out.Drift, func(d journal.Drift) bool { return d.Key == k })
		}
	}
	return done
}
