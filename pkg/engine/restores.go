package engine

import (
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Restores is what a way back will change as far as the journal tells: from
// what the run left to what was before, in the order of the keys. asBefore
// counts the attributes that the run changed and left, or put back, as they
// were. What others wrote since only a look at the live systems shows.
func Restores(st journal.Status) (changes []state.Change, asBefore int) {
	now := map[state.Key]left{}
	for _, e := range st.Effects {
		if e.Unwritten {
			continue
		}
		for _, c := range e.Changes {
			l := left{c.To, c.To}
			if !e.Done {
				l.or = c.From
			}
			now[c.Key()] = l
		}
	}
	for _, k := range st.Changed() {
		before, _ := st.FirstBefore(k)
		from := now[k].value
		if from == before {
			from = now[k].or
		}
		if from == before {
			asBefore++
			continue
		}
		changes = append(changes, state.Change{Target: k.Target, Object: k.Object, Attribute: k.Attribute, From: from, To: before})
	}
	return changes, asBefore
}
