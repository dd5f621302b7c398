package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// Runner drives runs on this machine: it holds the locks, writes the journal
// and decides what a run's end is.
type Runner struct {
	World
	Store   Store
	Locks   *journal.Locks
	Version string
	Who     string
	GateEnv gate.Env
	// Lease and Beat say how locks are held; zero is the default of LockOptions.
	Lease, Beat time.Duration
	// Sim is another world, for rehearsals.
	Sim Sim
}

// Options say how a run is driven.
type Options struct {
	// Soft ends at the operator's first stop, Hard at the second.
	Soft, Hard context.Context
	// RollbackOnStop goes back after a first stop instead of pausing.
	RollbackOnStop bool
	NoRollback     bool
	OnDrift        OnDrift
	Detach         time.Duration // leave waits that are longer than this
	UndoTimeout    time.Duration // of one restore on the way back; 0: 2 minutes
	LockWait       time.Duration
	Live           string
	// AcceptPlanChange lets a resumed run follow the plan as it was edited
	// since, when the steps that are behind it are unchanged.
	AcceptPlanChange bool
	// Started hears of the run's id as soon as there is one.
	Started func(id, dir string)
}

// The files beside a journal.
const (
	planFile = "plan.yaml"
	varsFile = "vars.yaml"
	lockFile = "plan.lock.json"
)

// saved is the resolved plan: all that a later process needs.
type saved struct {
	File string `json:"file"`
	Path string `json:"path,omitempty"` // absolute, to see that it was edited
	Pins Pins   `json:"pins"`
}

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
}

// Start begins a run of the program. The locks are taken first, then the live
// systems are read: nobody can move them in between.
func (r *Runner) Start(ctx context.Context, prog *Program, o Options) (journal.End, error) {
	id := r.Store.NewID()
	held, err := r.acquire(ctx, prog, id, prog.Plan.Name, o)
	if err != nil {
		return journal.End{}, err
	}
	read := r.clock().Now()
	bound, err := Bind(ctx, prog, r.World, o.Live)
	if err == nil {
		err = admit(ctx, bound)
	}
	var log journal.Log
	if err == nil {
		log, err = r.create(ctx, id, bound)
	}
	if err != nil {
		return journal.End{}, errors.Join(err, held.Release())
	}
	s := r.session(prog, log, held, o, journal.Status{})
	defer s.close()
	s.saw(bound.States, read)
	if o.Started != nil {
		o.Started(id, log.Dir())
	}
	meta := journal.Meta{
		Plan: prog.Plan.Name, File: prog.Plan.File, Description: prog.Plan.Description, Hash: hashOf(prog.Plan.Source),
		Flip: r.Version, Interpreter: InterpreterVersion, Live: prog.Pins.Live, Idle: prog.Pins.Idle,
		Scopes: scopesOf(prog), Started: r.clock().Now(),
	}
	for _, t := range prog.Plan.Targets {
		meta.Targets = append(meta.Targets, t.Name)
	}
	if err := s.begin("run", journal.Record{Type: journal.TypeRun, Data: journal.Encode(meta)}); err != nil {
		return journal.End{}, err
	}
	return s.forward()
}

// admit runs the plan on copies first: what is certain to fail is refused
// before anything is changed.
func admit(ctx context.Context, b *Bound) error {
	p := dryRun(b)
	switch classOf(p.Err) {
	case classGuard, classInvalid:
		return &PreconditionError{Err: hint.Wrap(p.Err, "nothing was changed; see flip plan")}
	}
	return permitted(ctx, b, p.Changes)
}

func (r *Runner) create(ctx context.Context, id string, b *Bound) (journal.Log, error) {
	path, err := filepath.Abs(b.Plan.File)
	if err != nil {
		return nil, err
	}
	pins, err := json.Marshal(saved{File: b.Plan.File, Path: path, Pins: b.Pins})
	if err != nil {
		return nil, err
	}
	vars, err := json.Marshal(varTexts(b.Plan.Vars)) // JSON is YAML
	if err != nil {
		return nil, err
	}
	return r.Store.Create(ctx, id, map[string][]byte{planFile: b.Plan.Source, varsFile: vars, lockFile: pins})
}

// varTexts are variables as a variable file holds them.
func varTexts(vars map[string]any) map[string]any {
	out := maps.Clone(vars)
	for name, v := range vars {
		if d, ok := v.(time.Duration); ok {
			out[name] = d.String()
		}
	}
	return out
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func (r *Runner) holder(run, plan string) journal.LockInfo {
	return journal.LockInfo{Run: run, Plan: plan, Who: r.Who}
}

// scopesOf are what the program may change.
func scopesOf(p *Program) []string {
	var scopes []string
	for _, t := range p.Plan.Targets {
		if sc, ok := driver.As[driver.Scoper](p.Targets[t.Name]); ok {
			scopes = append(scopes, sc.Scopes()...)
		} else {
			scopes = append(scopes, t.Driver+"://"+t.Name)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// longestCall is how long any call of the program may still take effect after
// its sender died.
func longestCall(p *Program) time.Duration {
	longest := time.Duration(0)
	for _, d := range p.Targets {
		longest = max(longest, maxInFlight(d))
	}
	return longest
}

// copyOf reads a run's own copy of its plan, file by name.
func copyOf(dir, file string) (plan.Plan, saved, error) {
	var sv saved
	raw, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err == nil {
		err = json.Unmarshal(raw, &sv)
	}
	if err != nil {
		return plan.Plan{}, sv, fmt.Errorf("the run's plan: %s: %w", lockFile, err)
	}
	source, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return plan.Plan{}, sv, fmt.Errorf("the run's plan: %w", err)
	}
	p, err := plan.Load(source, plan.Options{File: sv.File, VarFiles: []string{filepath.Join(dir, varsFile)}})
	if err != nil {
		return p, sv, fmt.Errorf("the run's plan: %w", err)
	}
	return p, sv, nil
}

// Reload opens the plan that a run follows, from the run's own copy and with
// the objects that were pinned when it began.
func (r *Runner) Reload(ctx context.Context, dir string, st journal.Status) (*Program, error) {
	if r.Sim.Program != nil {
		return r.Sim.Program, nil
	}
	p, sv, err := copyOf(dir, orElse(st.Holder.Plan, planFile))
	if err != nil {
		return nil, err
	}
	prog, err := Open(ctx, p, r.World)
	if err != nil {
		return nil, err
	}
	prog.Pins = sv.Pins
	prog.regrouped()
	return prog, nil
}

// session prepares to drive a run from what its records say.
func (r *Runner) session(prog *Program, log journal.Log, held Lease, o Options, st journal.Status) *session {
	s := &session{r: r, o: o, prog: prog, log: log, held: held, asked: make(chan journal.Message, 1)}
	exec := &Executor{
		Program: prog, Gates: r.Gates, GateEnv: r.GateEnv, Secrets: r.Secrets, Log: r.Log, Dir: log.Dir(),
		Look:  func(key string, d journal.LookData) { s.ctx.look(key, d) },
		Lease: held.Valid, Clock: r.clock(),
	}
	soft, stop := context.WithCancel(o.Soft)
	s.soft, s.stop = soft, stop
	sh := &shared{
		exec: exec, time: r.clock(), turns: r.Sim.Turn, log: log, hard: o.Hard, soft: soft, detach: o.Detach,
		results: st.Results, sleeps: st.Sleeps, steps: map[string]stepMark{}, doing: map[string]string{},
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
		select {
		case s.asked <- m:
		default:
		}
		if err := journal.Consume(s.log.Dir(), m.Name); err != nil {
			s.r.Log.Warn("inbox", "error", err)
		}
		s.stop()
	}
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
	switch {
	case res.Err == nil:
		return s.end(journal.End{Uncertain: s.unclean || s.ctx.uncertain, Outcome: journal.OutcomeDone, Changed: s.changed()}, nil)
	case fatal(res.Err):
		return journal.End{}, res.Err
	case errors.Is(res.Err, ErrDetached):
		return s.pause(journal.End{Outcome: journal.OutcomeWaiting, Step: s.step(), Reason: "the wait is longer than this process stays", Changed: s.changed()})
	case errors.Is(res.Err, ErrInterrupted):
		return s.interrupted()
	}
	reason := reasonOf(res.Err)
	if !s.touched() && !res.Pause {
		return s.end(journal.End{Outcome: journal.OutcomeFailed, Step: res.Step, Reason: reason}, nil)
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
func (s *session) interrupted() (journal.End, error) {
	// Behind a commit only a person goes back, and says so.
	reason, back := "the operator asked to stop", s.o.RollbackOnStop && s.status().Commit == 0
	select {
	case m := <-s.asked:
		reason = fmt.Sprintf("%s asked to %s", m.By, m.Kind) + reasonText(m.Reason)
		back = back || m.Kind == journal.AskRollback
	default:
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

// touched reports whether the run may have changed anything at all.
func (s *session) touched() bool {
	return slices.ContainsFunc(s.status().Effects, func(e journal.Effect) bool { return e.Kind != journal.ActivityRestore })
}

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
	report := Undo(s.ctx, s.prog, st.Effects, UndoOptions{
		Attempt: rb.Attempt, OnDrift: OnDrift(rb.OnDrift), Sweep: rb.Unclean && !s.r.Sim.NoSweep, Quiet: longestCall(s.prog),
		Timeout: s.o.UndoTimeout, Done: undone(s.log.Records(), rb.Attempt),
	})
	if fatal(report.Err) {
		return journal.End{}, report.Err
	}
	end := journal.End{Uncertain: s.ctx.uncertain, Outcome: journal.OutcomeRolledBack, Step: rb.Step, Reason: rb.Reason, Drift: report.Drift, Changed: report.Changed, Restored: report.Restored}
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
	e.Uncertain = s.unclean || s.ctx.uncertain
	if err := s.ctx.append(journal.Record{Type: journal.TypePause, Data: journal.Encode(e)}); err != nil {
		return e, err
	}
	return e, s.held.Detach()
}
