package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// session is one process driving one run.
type session struct {
	r    *Runner
	o    Options
	prog *Program
	log  journal.Log
	held Lease
	ctx  *local
	stop context.CancelFunc // of the inbox
	// listening is over when nobody looks at the inbox any more.
	listening sync.WaitGroup
	asked     chan journal.Message
	soft      context.Context
	unclean   bool
	holds     *holds
	plan      string // file that the run follows, when it was changed
	saw       func(map[string]state.State, time.Time)
	owed      map[string][]string // see Executor
}

// session prepares to drive a run from what its records say.
func (r *Runner) session(prog *Program, log journal.Log, held Lease, o Options, st journal.Status) *session {
	s := &session{r: r, o: o, prog: prog, log: log, held: held, asked: make(chan journal.Message, 1)}
	if err := sweepOutputs(log.Dir()); err != nil {
		r.Log.Warn("outputs of a command of a process that died", "error", err)
	}
	exec := &Executor{
		Program: prog, Gates: r.Gates, GateEnv: r.GateEnv, Secrets: r.Secrets, Log: r.Log, Dir: log.Dir(),
		Look:  func(key string, d journal.LookData) { s.ctx.look(key, d) },
		Lease: held.Valid, Clock: r.clock(), Detach: o.Detach,
	}
	soft, stop := context.WithCancel(o.Soft)
	s.soft, s.stop = soft, stop
	sh := &shared{
		exec: exec, time: r.clock(), turns: r.Sim.Turn, log: log, hard: o.Hard, soft: soft, detach: o.Detach,
		results: st.Results, sleeps: st.Sleeps, steps: map[string]stepMark{}, doing: map[string]string{}, undos: undos{},
	}
	if sh.results == nil {
		sh.results, sh.sleeps = map[string]journal.Result{}, map[string]time.Time{}
	}
	if sh.consumed = st.Consumed; sh.consumed == nil {
		sh.consumed = map[string]bool{}
	}
	for _, step := range st.Steps {
		sh.steps[step.Key] = stepMark{step.Status, step.Began}
	}
	s.owed = owed(prog, st)
	exec.owed = s.owed
	s.holds = &holds{ctx: o.Hard, p: prog, targets: map[string]*kept{}, look: exec.Look, lost: sh.lose}
	exec.holds, s.saw = s.holds, exec.saw
	sh.lost, sh.cancelLost = context.WithCancelCause(context.Background())
	exec.Uncertain = func() {
		sh.mu.Lock()
		sh.uncertain = true
		sh.mu.Unlock()
	}
	if r.Sim.Perform != nil {
		sh.exec = r.Sim.Perform(exec)
	}
	if sh.answer = r.Sim.Answer; sh.answer == nil {
		sh.answer = sh.inbox
	}
	s.ctx = &local{sh, context.Background(), nil}
	return s
}

// begin writes that this process drives the run from now on, and listens to
// what others ask of it.
func (s *session) begin(verb string, first ...journal.Record) error {
	host, _ := os.Hostname()
	h := journal.Holder{Who: s.r.Who, Host: host, PID: os.Getpid(), Since: s.ctx.time.Now(), Verb: verb, Plan: s.plan}
	for _, rec := range append(first, journal.Record{Type: journal.TypeTakeover, Data: journal.Encode(h)}) {
		if err := s.ctx.append(rec); err != nil {
			return errors.Join(err, s.held.Detach())
		}
	}
	if s.r.Sim.Answer == nil {
		s.poll() // an approval that came while nobody drove the run must not be missed by a wait that leaves at once
		s.listening.Go(s.listen)
	}
	return nil
}

// listenEvery is how often the inbox is looked at.
const listenEvery = 200 * time.Millisecond

// listen looks at the inbox until the run is to stop.
func (s *session) listen() {
	t := time.NewTicker(listenEvery)
	defer t.Stop()
	for {
		select {
		case <-s.soft.Done():
			return
		case <-t.C:
			s.poll()
		}
	}
}

// poll takes what other processes ask: approvals are kept for whoever waits
// for them, a stop or a rollback ends the soft context.
func (s *session) poll() {
	messages, err := journal.Poll(s.log.Dir())
	if err != nil {
		s.r.Log.Warn("inbox", "error", err)
	}
	s.ctx.mu.Lock()
	s.ctx.inboxed = messages
	s.ctx.mu.Unlock()
	for _, m := range messages {
		if m.Kind != journal.AskStop && m.Kind != journal.AskRollback {
			continue
		}
		s.heard(m)
		if err := journal.Consume(s.log.Dir(), m.Name); err != nil {
			s.r.Log.Warn("inbox", "error", err)
		}
		s.stop()
	}
}

// heard keeps what is asked until the run has stopped for it. To go back
// outweighs to stop.
func (s *session) heard(m journal.Message) {
	select {
	case first := <-s.asked:
		if first.Kind == journal.AskRollback {
			m = first
		}
	default:
	}
	s.asked <- m
}

// lastWord is what was asked of the run, up to now, when it has come to a stop.
// Nobody looks at the inbox after that.
func (s *session) lastWord() (journal.Message, bool) {
	s.stop()
	s.listening.Wait()
	if s.r.Sim.Answer == nil {
		s.poll()
	}
	select {
	case m := <-s.asked:
		return m, true
	default:
		return journal.Message{}, false
	}
}

// says is a message as the reason of what comes of it.
func says(m journal.Message) string {
	return fmt.Sprintf("%s asked to %s", m.By, m.Kind) + reasonText(m.Reason)
}

func (s *session) close() {
	s.stop()
	s.listening.Wait()
	s.holds.close()
	s.held.Abandon()
	if err := s.log.Close(); err != nil {
		s.r.Log.Warn("close journal", "error", err)
	}
}

// forward runs the plan and decides what its end means.
func (s *session) forward() (journal.End, error) {
	s.hold()
	res := Run(s.ctx, s.prog, s.log.ID())
	if fatal(res.Err) {
		return journal.End{}, res.Err
	}
	m, asked := s.lastWord()
	failed := res.Err != nil && !res.Pause && !stopped(res.Err)
	switch {
	case asked && m.Kind == journal.AskRollback && !failed && s.touched():
		return s.back(journal.Rollback{Reason: says(m), Step: s.step()})
	case res.Err == nil:
		return s.done()
	case errors.Is(res.Err, ErrDetached):
		return s.pause(journal.End{Outcome: journal.OutcomeWaiting, Step: s.step(), Reason: "the wait is longer than this process stays", Changed: s.changed()})
	case errors.Is(res.Err, ErrInterrupted):
		return s.interrupted(m, asked)
	}
	reason := reasonOf(res.Err)
	if !s.touched() && !res.Pause {
		return s.end(journal.End{Outcome: journal.OutcomeFailed, Step: res.Step, Reason: reason, Unmet: unmet(res.Err)}, nil)
	}
	if res.Pause || s.o.NoRollback {
		return s.pause(journal.End{Outcome: journal.OutcomePaused, Step: res.Step, Key: res.Path, Reason: reason, Changed: s.changed()})
	}
	return s.back(journal.Rollback{Reason: reason, Step: res.Step})
}

// hold watches again what an earlier process of this run had set.
func (s *session) hold() {
	last := map[state.Key]state.Change{}
	for _, e := range forward(s.status().Effects) {
		for _, c := range e.Changes {
			if e.Done {
				last[c.Key()] = c
			}
		}
	}
	changes := slices.SortedFunc(maps.Values(last), func(a, b state.Change) int { return a.Key().Compare(b.Key()) })
	for _, part := range byTarget(changes) {
		s.holds.keep(part[0].Target, part)
	}
}

// interrupted is what a first stop means.
func (s *session) interrupted(m journal.Message, asked bool) (journal.End, error) {
	// Behind a commit only a person goes back, and says so.
	reason, back := "the operator asked to stop", s.o.RollbackOnStop && s.status().Commit == 0
	if asked {
		reason = says(m)
		back = back || m.Kind == journal.AskRollback
	}
	if back && s.touched() {
		return s.back(journal.Rollback{Reason: reason, Step: s.step()})
	}
	return s.pause(journal.End{Outcome: journal.OutcomeInterrupted, Step: s.step(), Reason: reason, Changed: s.changed()})
}

func reasonText(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// reasonOf is an error without the step's name, which is told beside it.
func reasonOf(err error) string {
	if se, ok := errors.AsType[*stepError](err); ok {
		return se.err.Error()
	}
	return err.Error()
}

// status folds the journal as it is now.
func (s *session) status() journal.Status {
	st, err := journal.Fold(s.log.Records())
	if err != nil {
		s.r.Log.Error("fold", "error", err)
	}
	return st
}

func (s *session) step() string { return s.status().Step }

// changed counts the attributes that the run meant to change.
func (s *session) changed() int { return len(s.status().Changed()) }

// back goes the way back. Nothing but a hard stop ends it.
func (s *session) back(rb journal.Rollback) (journal.End, error) {
	st := s.status()
	rb.Attempt = len(st.Rollbacks) + 1
	rb.OnDrift = string(orElse(s.o.OnDrift, DriftSkip))
	rb.Unclean = s.unclean || s.ctx.uncertain
	if err := s.ctx.append(journal.Record{Type: journal.TypeRollback, Data: journal.Encode(rb)}); err != nil {
		return journal.End{}, err
	}
	s.ctx.soft, s.ctx.lost = context.Background(), context.Background()
	effects := s.ctx.undos.whole(st.Effects)
	if !s.touched() {
		effects = nil // what others wrote meanwhile is no concern of this run
	}
	report := Undo(s.ctx, s.prog, effects, UndoOptions{
		Attempt: rb.Attempt, OnDrift: OnDrift(rb.OnDrift), Sweep: rb.Unclean && !s.r.Sim.NoSweep, Quiet: longestCall(s.prog),
		NoCaches: s.r.Sim.NoCaches, Timeout: s.o.UndoTimeout, Done: undone(s.log.Records(), rb.Attempt),
	})
	switch {
	case fatal(report.Err):
		return journal.End{}, report.Err
	case errors.Is(report.Err, ErrDetached):
		return s.pause(journal.End{Outcome: journal.OutcomeWaiting, Step: rb.Step, Reason: "the wait of the way back is longer than this process stays", Changed: s.changed()})
	}
	s.stillBefore(effects, &report)
	if s.o.Hard.Err() != nil {
		return journal.End{}, s.ctx.killed()
	}
	end := journal.End{Uncertain: s.ctx.uncertain, Outcome: journal.OutcomeRolledBack, Step: rb.Step, Reason: rb.Reason, Drift: report.Drift, Changed: report.Changed, Restored: report.Restored}
	if report.Cached != nil && report.Cached.Until.After(s.ctx.time.Now()) {
		end.Cached = report.Cached
	}
	if report.Err != nil || len(report.Drift) > 0 {
		end.Outcome = journal.OutcomeIncomplete
		if report.Err != nil {
			end.Reason = report.Err.Error() + " (going back because " + rb.Reason + ")"
		}
	}
	return s.end(end, report.Err)
}

// end writes the terminal record and frees the locks. A rollback that needs a
// person keeps them: nobody else should start on top of it.
func (s *session) end(e journal.End, _ error) (journal.End, error) {
	s.letGo()
	if err := s.ctx.append(journal.Record{Type: journal.TypeEnd, Data: journal.Encode(e)}); err != nil {
		return e, err
	}
	if e.Outcome == journal.OutcomeIncomplete {
		return e, s.held.Detach()
	}
	return e, s.held.Release()
}

// pause writes where the run stands; its locks stay with it.
func (s *session) pause(e journal.End) (journal.End, error) {
	s.letGo()
	e.Uncertain = s.unclean || s.ctx.uncertain
	if err := s.ctx.append(journal.Record{Type: journal.TypePause, Data: journal.Encode(e)}); err != nil {
		return e, err
	}
	return e, s.held.Detach()
}
