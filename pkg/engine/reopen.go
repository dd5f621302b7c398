package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// Errors about what can be done with a run that exists.
var (
	ErrNothingToDo = errors.New("nothing to do")
	ErrCommitted   = errors.New("the run passed a step marked commit")
)

// open takes over an existing run: its locks, its journal, its plan.
func (r *Runner) open(ctx context.Context, id, verb string, o Options, check func(journal.Status) error) (*session, journal.Status, error) {
	view, err := r.Store.View(ctx, id)
	if err != nil {
		return nil, journal.Status{}, err
	}
	st, err := journal.Fold(view.Records())
	if err != nil {
		return nil, st, err
	}
	if st.Meta.Interpreter > InterpreterVersion {
		return nil, st, journal.Newer(journal.NewerError{File: view.Dir(), What: "interpreter", Have: fmt.Sprint(st.Meta.Interpreter), Know: fmt.Sprint(InterpreterVersion)})
	}
	if err := check(st); err != nil {
		return nil, st, err
	}
	if verb == "resume" && !st.RollingBack && r.Sim.Program == nil {
		if st.Holder.Plan, err = planChange(view.Dir(), st, o.AcceptPlanChange); err != nil {
			return nil, st, err
		}
	}
	follows := st.Holder.Plan
	prog, err := r.Reload(ctx, view.Dir(), st)
	if err != nil {
		return nil, st, err
	}
	held, err := r.acquire(ctx, prog, id, st.Meta.Plan, o)
	if err != nil {
		return nil, st, errors.Join(err, prog.Close())
	}
	log, err := r.Store.Open(ctx, id)
	if err != nil {
		return nil, st, errors.Join(err, held.Detach(), prog.Close())
	}
	// Somebody may have driven the run between the view and the locks.
	if st, err = journal.Fold(log.Records()); err == nil {
		err = check(st)
	}
	if err != nil {
		return nil, st, errors.Join(err, held.Detach(), log.Close(), prog.Close())
	}
	s := r.session(prog, log, held, o, st)
	s.plan = follows
	s.unclean = held.Takeover().Unclean || st.Outcome == journal.OutcomeRunning && st.Open || mayLandLate(st)
	if o.Started != nil {
		o.Started(id, log.Dir())
	}
	s.inherit(st)
	if err := s.begin(verb); err != nil {
		s.close()
		return nil, st, errors.Join(err, prog.Close())
	}
	return s, st, nil
}

// mayLandLate reports whether an earlier process of the run left a call behind
// whose outcome it did not know, though it came to an orderly end.
func mayLandLate(st journal.Status) bool {
	return st.End.Uncertain || slices.ContainsFunc(st.Rollbacks, func(r journal.Rollback) bool { return r.Unclean })
}

// settleDoubt waits until no call of a dead process can take effect any more.
func (s *session) settleDoubt() error {
	if !s.unclean {
		return nil
	}
	until := s.ctx.time.Now().Add(longestCall(s.prog))
	return s.ctx.waitUntil("/doubt", until, "waiting", func() bool { return false })
}

// stands reports whether a run had ended and was only opened again, for a
// rollback whose process died before it began: it is as it ended, and goes
// neither way on its own.
func stands(st journal.Status) bool {
	switch st.End.Outcome {
	case journal.OutcomeDone, journal.OutcomeAccepted, journal.OutcomeFailed, journal.OutcomeRolledBack:
		return !st.RollingBack
	}
	return false
}

// owesRetry reports whether the step that paused the run was not yet begun
// anew. A process may have died between its takeover and that record.
func owesRetry(records []journal.Record) bool {
	for _, r := range slices.Backward(records) {
		switch r.Type {
		case journal.TypePause:
			e, err := journal.Decode[journal.End](r)
			return err == nil && e.Outcome == journal.OutcomePaused
		case journal.TypeRetry, journal.TypeRollback, journal.TypeEnd:
			return false
		}
	}
	return false
}

// Resume goes on with a run that was paused, detached or whose process died.
func (r *Runner) Resume(ctx context.Context, id string, o Options) (journal.End, error) {
	s, st, err := r.open(ctx, id, "resume", o, func(st journal.Status) error {
		if !st.Open {
			if st.Outcome == journal.OutcomeIncomplete {
				return hint.Wrap(fmt.Errorf("run %s has ended (%s): %w with flip resume", id, st.Outcome, ErrNothingToDo), "flip rollback %s, or flip stop %s --accept", id, id)
			}
			return hint.Wrap(fmt.Errorf("run %s has ended (%s): %w", id, st.Outcome, ErrNothingToDo), "flip show %s", id)
		}
		return nil
	})
	if err != nil {
		return journal.End{}, err
	}
	defer s.close()
	defer s.prog.Close()
	if stands(st) {
		return s.end(st.End, nil)
	}
	if st.RollingBack || st.End.Outcome == journal.OutcomeIncomplete {
		last := st.Rollbacks[len(st.Rollbacks)-1]
		if s.o.OnDrift == "" {
			s.o.OnDrift = OnDrift(last.OnDrift)
		}
		return s.back(journal.Rollback{Reason: last.Reason, Step: last.Step})
	}
	if st.End.Key != "" && owesRetry(s.log.Records()) {
		if err := s.ctx.append(journal.Record{Type: journal.TypeRetry, Key: st.End.Key}); err != nil {
			return journal.End{}, err
		}
		fresh := s.status()
		maps.Copy(s.owed, owed(s.prog, fresh))
		s.ctx.results, s.ctx.sleeps, s.ctx.retried = fresh.Results, fresh.Sleeps, st.End.Key
	}
	if err := s.settleDoubt(); err != nil {
		if errors.Is(err, ErrInterrupted) {
			return s.interrupted(s.lastWord())
		}
		return journal.End{}, err
	}
	return s.forward()
}

// Rollback puts back what a run changed: of one that failed, paused, died, or
// ended well.
func (r *Runner) Rollback(ctx context.Context, id string, reason string, o Options) (journal.End, error) {
	s, _, err := r.open(ctx, id, "rollback", o, func(st journal.Status) error {
		if st.Outcome == journal.OutcomeRolledBack && !st.Open {
			return hint.Wrap(fmt.Errorf("run %s is rolled back already: %w", id, ErrNothingToDo), "flip show %s", id)
		}
		if st.Outcome == journal.OutcomeFailed && !st.Open {
			return hint.Wrap(fmt.Errorf("run %s changed nothing: %w", id, ErrNothingToDo), "flip show %s", id)
		}
		return nil
	})
	if err != nil {
		return journal.End{}, err
	}
	defer s.close()
	defer s.prog.Close()
	return s.back(journal.Rollback{Reason: reason})
}

// Accept ends a run as it stands: a person looked and wants it so.
func (r *Runner) Accept(ctx context.Context, id string, o Options) (journal.End, error) {
	s, st, err := r.open(ctx, id, "stop", o, func(st journal.Status) error {
		if !st.Open && st.Outcome != journal.OutcomeIncomplete {
			return hint.Wrap(fmt.Errorf("run %s has ended (%s): %w", id, st.Outcome, ErrNothingToDo), "flip show %s", id)
		}
		return nil
	})
	if err != nil {
		return journal.End{}, err
	}
	defer s.close()
	defer s.prog.Close()
	e := journal.End{Outcome: journal.OutcomeAccepted, Step: st.Step, Reason: "accepted by " + r.Who, Drift: st.End.Drift, Changed: s.changed()}
	if st.End.Off > 0 {
		e.Drift, e.Off = nil, st.End.Off // of the way forward
	}
	if st.Outcome == journal.OutcomeIncomplete {
		e.Restored = st.End.Restored
	}
	return s.end(e, nil)
}
