package engine

import (
	"context"
	"iter"
)

// branchTurn lets another branch go on.
type branchTurn func()

// inTurns runs branches one at a time. One gives way when it has written a
// record; who is next, Turn decides. Nothing here runs at once: a branch is a
// coroutine.
func (l *local) inTurns(branch context.Context, abort func(), n, limit int, fn func(Context, int) error) []error {
	type running struct {
		index int
		next  func() (struct{}, bool)
		stop  func()
	}
	errs := make([]error, n)
	var live []running
	begin := func(i int) running {
		next, stop := iter.Pull(func(yield func(struct{}) bool) {
			errs[i] = fn(&local{l.shared, branch, func() { yield(struct{}{}) }}, i)
		})
		return running{i, next, stop}
	}
	for i := 0; i < n || len(live) > 0; {
		for ; i < n && len(live) < limit; i++ {
			if branch.Err() != nil {
				errs[i] = errAborted
				continue
			}
			live = append(live, begin(i))
		}
		if len(live) == 0 {
			continue
		}
		k := l.turns(len(live))
		if _, more := live[k].next(); more {
			if l.turn != nil {
				l.turn() // the steps around this one have branches too
			}
			continue
		}
		if errs[live[k].index] != nil {
			abort()
		}
		live[k].stop()
		live = append(live[:k], live[k+1:]...)
	}
	return errs
}
