package engine

import (
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// downstream is until when those who asked a place may keep what it told them.
// That a place has forgotten a retired value does not mean that they have: who
// asked last keeps it for the TTL that it was told. An honest resolver counts
// down, so that this is over when it forgets. One that answers stale, a name
// server that was late and an HTTPDNS service do not.
type downstream struct {
	told  map[client]time.Duration // how long the last retired value that a place told may be kept
	met   map[client]bool          // it was seen without one
	until time.Time
}

// client stands for all who ask a place about a record set.
type client struct{ view, vantage, network, record string }

func newDownstream() *downstream {
	return &downstream{told: map[client]time.Duration{}, met: map[client]bool{}}
}

// look notes the answers of one round, by view and question.
func (d *downstream) look(now time.Time, in journal.Views, answers [][][]resolve.Answer) {
	still := map[client]bool{}
	gone := map[client]time.Duration{} // how long who never saw it gone before has to be waited for
	for i, view := range in.From {
		for j, ask := range in.Asks {
			if len(ask.Not) == 0 {
				continue
			}
			for _, a := range answers[i][j] {
				d.answer(client{view, a.Vantage, a.Client, ask.Record}, ask.Not, a, still, gone)
			}
		}
	}
	for who, full := range gone {
		if still[who] {
			continue
		}
		left, told := d.told[who]
		if !told && !d.met[who] {
			left = full
		}
		delete(d.told, who)
		d.met[who] = true
		if until := now.Add(left); until.After(d.until) {
			d.until = until
		}
	}
}

func (d *downstream) answer(who client, retired []string, a resolve.Answer, still map[client]bool, gone map[client]time.Duration) {
	if !a.Known() {
		return
	}
	for _, v := range a.Values {
		if !among(retired, v) {
			continue
		}
		if !still[who] {
			d.told[who] = 0
		}
		still[who] = true
		d.told[who] = max(d.told[who], a.MaxTTL)
		return
	}
	if gone[who] = max(gone[who], 0); a.FullTTL {
		gone[who] = max(gone[who], a.MaxTTL)
	}
}
