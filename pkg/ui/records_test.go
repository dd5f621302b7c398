package ui_test

import (
	"fmt"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// start is when every run of these tests begins.
var start = time.Date(2026, 3, 1, 14, 2, 7, 0, time.UTC)

const (
	runID  = "01K9Z3M8"
	runDir = "/var/lib/flip/runs/01K9Z3M8"
)

// script builds a run's records in order, as the engine writes them.
type script struct {
	now     time.Time
	records []journal.Record
	begun   map[string]time.Time
}

// begin is a run of the plan shop-web that a person started.
func begin() *script {
	s := &script{now: start, begun: map[string]time.Time{}}
	s.add(journal.TypeRun, "", "", journal.Meta{
		Plan: "shop-web", File: "release.yaml", Description: "Release to the idle side behind HAProxy",
		Live: "blue", Idle: "green", Targets: []string{"web"}, Flip: "1.0.0", Started: start,
	})
	return s.takeover("run")
}

func (s *script) add(typ journal.Type, key, activity string, data any) *script {
	r := journal.Record{Time: s.now, Type: typ, Key: key, Activity: activity}
	if typ != journal.TypeLook {
		r.Seq = len(s.records) + 1
	}
	if data != nil {
		r.Data = journal.Encode(data)
	}
	s.records = append(s.records, r)
	return s
}

func (s *script) takeover(verb string) *script {
	return s.add(journal.TypeTakeover, "", "", journal.Holder{Who: "deploy", Host: "ci-17", PID: 4711, Since: s.now, Verb: verb})
}

func (s *script) after(d time.Duration) *script {
	s.now = s.now.Add(d)
	return s
}

func (s *script) step(id, verb, text string) *script {
	return s.stepAt("/steps/"+id, id, verb, text)
}

func (s *script) stepAt(key, id, verb, text string) *script {
	s.begun[key] = s.now
	return s.add(journal.TypeStep, key+".begin", "step", journal.Step{ID: id, Verb: verb, Status: "begin", Text: text})
}

func (s *script) end(id, verb, status, text string) *script {
	return s.endAt("/steps/"+id, id, verb, status, text)
}

func (s *script) endAt(key, id, verb, status, text string) *script {
	took := s.now.Sub(s.begun[key]).Seconds()
	return s.add(journal.TypeStep, key+"."+status, "step", journal.Step{ID: id, Verb: verb, Status: status, Text: text, Took: took})
}

func (s *script) intent(key, activity string, in any) *script {
	return s.add(journal.TypeIntent, key, activity, in)
}

func (s *script) done(key, activity string, out any) *script {
	return s.add(journal.TypeDone, key, activity, out)
}

func (s *script) failed(key, activity string, e journal.Error) *script {
	s.add(journal.TypeFailed, key, activity, nil)
	s.records[len(s.records)-1].Error = &e
	return s
}

func (s *script) look(key string, d journal.LookData) *script {
	return s.add(journal.TypeLook, key, "", d)
}

func (s *script) gate(key, gate, member string, pass bool, text string) *script {
	return s.look(key, journal.LookData{Gate: gate, Member: member, Pass: &pass, Text: text})
}

// apply makes changes on both load balancers.
func (s *script) apply(key, label string, changes ...state.Change) *script {
	s.intent(key, "apply", journal.Apply{Target: "web", Label: label, Changes: changes})
	return s.done(key, "apply", journal.Applied{Nodes: 2})
}

func (s *script) finish(typ journal.Type, e journal.End) []journal.Record {
	return s.add(typ, "", "", e).records
}

// weight is a change of a member's weight on both load balancers.
func weight(member string, from, to int) []state.Change {
	var changes []state.Change
	for _, lb := range []string{"lb1", "lb2"} {
		changes = append(changes, state.Change{
			Target: "web", Object: lb + "/be_web/" + member, Attribute: "weight", From: state.Int(from), To: state.Int(to),
		})
	}
	return changes
}

func weights(lists ...[]state.Change) []state.Change {
	var all []state.Change
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// installed is the beginning that most of the runs share.
func installed() *script {
	s := begin()
	s.step("install", "run", "run ./deploy.sh v42 10.0.0.13 10.0.0.14")
	s.intent("/steps/install.run", "run", journal.Command{Shell: "./deploy.sh v42 10.0.0.13 10.0.0.14", Attempt: 1, Log: "logs/install.log"})
	s.after(time.Second).look("/steps/install.run", journal.LookData{Text: "copying v42"})
	s.after(23100*time.Millisecond).done("/steps/install.run", "run", journal.Exit{})
	s.end("install", "run", "done", "")
	s.step("healthy", "gate", "gate up: http 10.0.0.13, 10.0.0.14")
	s.intent("/steps/healthy.gate", "gate", map[string]any{"refs": []string{"up"}})
	for range 3 {
		s.gate("/steps/healthy.gate", "up", "10.0.0.13", false, "503 (warming)")
		s.gate("/steps/healthy.gate", "up", "10.0.0.14", true, "200")
		s.after(2 * time.Second)
	}
	s.gate("/steps/healthy.gate", "up", "10.0.0.13", true, "200")
	s.gate("/steps/healthy.gate", "up", "10.0.0.14", true, "200")
	s.after(2*time.Second).done("/steps/healthy.gate", "gate", journal.Verdict{Text: "3 of 3 passes on 2 members"})
	return s.end("healthy", "gate", "done", "3 of 3 passes on 2 members")
}

// raised has the new side at 5 %, and is in its hold.
func raised() *script {
	s := installed().step("shift", "ramp", "ramp blue -> green 5, 25, 50, 100 %")
	s.intent("/steps/shift.web.observe", "observe", journal.Observe{Target: "web"}).done("/steps/shift.web.observe", "observe", journal.Observed{})
	s.apply("/steps/shift/5.web.raise", "5 %", weights(weight("web3", 0, 5), weight("web4", 0, 5))...)
	s.apply("/steps/shift/5.web.lower", "5 %", weights(weight("web1", 100, 95), weight("web2", 100, 95))...)
	s.done("/steps/shift/5.hold.until", "clock", journal.Until{Until: s.now.Add(time.Minute)})
	s.intent("/steps/shift/5.hold", "hold", map[string]any{"until": s.now.Add(time.Minute)})
	for i := range 15 {
		s.gate("/steps/shift/5.hold", "errors", "", true, fmt.Sprintf("0.%d %% of %d", i%3, 100+i*97))
		s.after(2 * time.Second)
	}
	return s
}

// rolledBack is the run of a release whose errors rise.
func rolledBack() []journal.Record {
	s := raised()
	why := "error rate 4.1 % > 1 % (web3: 61 of 1480 answers were 5xx)"
	s.gate("/steps/shift/5.hold", "errors", "", false, why)
	s.failed("/steps/shift/5.hold", "hold", journal.Error{Class: "gate", Text: "gate errors: " + why})
	s.end("shift", "ramp", "failed", "gate errors: "+why)
	s.add(journal.TypeRollback, "", "", journal.Rollback{Attempt: 1, Reason: "gate errors failed", Step: "shift"})
	raise := weights(weight("web1", 95, 100), weight("web2", 95, 100))
	lower := weights(weight("web3", 5, 0), weight("web4", 5, 0))
	s.intent("/undo/1/0.web.raise", "restore", journal.Restore{Target: "web", Phase: "raise"})
	s.done("/undo/1/0.web.raise", "restore", journal.Restored{Changes: raise, Nodes: 2})
	s.intent("/undo/1/0.web.lower", "restore", journal.Restore{Target: "web", Phase: "lower"})
	s.after(time.Second).done("/undo/1/0.web.lower", "restore", journal.Restored{Changes: lower, Already: 4, Nodes: 2})
	cmd := journal.Command{Shell: "./deploy.sh --previous 10.0.0.13 10.0.0.14", Attempt: 1, Env: map[string]string{"FLIP_STEP": "install"}, Log: "logs/undo-1-1.log"}
	s.intent("/undo/1/1.run", "run", cmd)
	s.after(12*time.Second).done("/undo/1/1.run", "run", journal.Exit{})
	return s.finish(journal.TypeEnd, journal.End{Outcome: journal.OutcomeRolledBack, Step: "shift", Reason: "gate " + "errors: " + why, Changed: 8, Restored: 8})
}

// incomplete is a rollback that met somebody else's value, and one that it
// could not read.
func incomplete() []journal.Record {
	s := raised().after(20 * time.Second)
	s.done("/steps/shift/5.hold", "hold", journal.Verdict{Text: "held"})
	s.add(journal.TypeRollback, "", "", journal.Rollback{Attempt: 1, Reason: "deploy asked for it", Unclean: true})
	drift := []journal.Drift{{
		Key:    state.Key{Target: "web", Object: "lb1/be_web/web2", Attribute: "weight"},
		Before: state.Int(100), Ours: []state.Value{state.Int(95)}, Now: state.Int(37),
	}, {
		Key:    state.Key{Target: "web", Object: "lb2/be_web/web2", Attribute: "weight"},
		Before: state.Int(100), Ours: []state.Value{state.Int(95)}, Unreadable: "dial unix /run/haproxy/admin.sock: connection refused",
	}}
	s.intent("/undo/1/0.web.lower", "restore", journal.Restore{Target: "web", Phase: "lower"})
	s.done("/undo/1/0.web.lower", "restore", journal.Restored{Changes: weight("web1", 95, 100), Drift: drift, Nodes: 1})
	return s.finish(journal.TypeEnd, journal.End{Outcome: journal.OutcomeIncomplete, Step: "shift", Drift: drift, Changed: 8, Restored: 6})
}

// doneRun waits, drains, asks, runs branches and comes to its end.
func doneRun() []journal.Record {
	s := raised().after(30 * time.Second)
	s.done("/steps/shift/5.hold", "hold", journal.Verdict{Text: "held"})
	s.end("shift", "ramp", "done", "green carries 100 %")
	s.step("settle", "wait", "wait 2m")
	until := s.now.Add(2 * time.Minute)
	s.add(journal.TypeSleep, "/steps/settle.wait", "", journal.Until{Until: until})
	for range 4 {
		s.look("/steps/settle.wait", journal.LookData{Text: "waiting", Until: until})
		s.after(30 * time.Second)
	}
	s.done("/steps/settle.wait", "sleep", nil).end("settle", "wait", "done", "")
	s.step("go", "approve", "approve: is the shop fine?")
	s.add(journal.TypeAwait, "/steps/go.approve", "", journal.Until{Until: s.now.Add(time.Hour), Message: "is the shop fine?"})
	s.look("/steps/go.approve", journal.LookData{Text: "waiting for approval: is the shop fine?", Until: s.now.Add(time.Hour)})
	s.after(3*time.Minute).add(journal.TypeSignal, "/steps/go.approve", "await", journal.Signal{Approved: true, By: "ann", Reason: "looks good"})
	s.end("go", "approve", "done", "")
	s.step("drain-old", "drain", "drain blue to 0 sessions")
	s.intent("/steps/drain-old.web.drain", "drain", journal.Drain{Target: "web", Deadline: s.now.Add(10 * time.Minute)})
	for _, n := range []int{214, 180, 120, 120, 40, 0} {
		s.look("/steps/drain-old.web.drain", journal.LookData{Text: "in flight", InFlight: map[string]int{"web1": n, "web2": n * 8}})
		s.after(time.Second)
	}
	s.done("/steps/drain-old.web.drain", "drain", journal.Drained{Quiet: true, Text: "0 in flight on 2 members after 6s"})
	s.end("drain-old", "drain", "done", "0 in flight on 2 members after 6s")
	s.step("upgrade", "each", "each of blue")
	s.stepAt("/steps/upgrade[web1]/one", "one", "run", "run ./upgrade.sh web1")
	s.intent("/steps/upgrade[web1]/one.run", "run", journal.Command{Argv: []string{"./upgrade.sh", "web 1"}, Attempt: 1})
	s.after(time.Second).done("/steps/upgrade[web1]/one.run", "run", journal.Exit{Code: 3, Output: "no space left\x1b[31m\n"})
	s.intent("/steps/upgrade[web1]/one#2.run", "run", journal.Command{Argv: []string{"./upgrade.sh", "web 1"}, Attempt: 2})
	s.after(time.Second).done("/steps/upgrade[web1]/one#2.run", "run", journal.Exit{})
	s.endAt("/steps/upgrade[web1]/one", "one", "run", "done", "").end("upgrade", "each", "done", "1 members")
	s.end("notify", "run", "skipped", "when is false")
	return s.finish(journal.TypeEnd, journal.End{Outcome: journal.OutcomeDone, Changed: 8})
}

func failedEarly() []journal.Record {
	s := begin().step("install", "run", "run ./deploy.sh v42")
	s.intent("/steps/install.run", "run", journal.Command{Shell: "./deploy.sh v42", Attempt: 1, Log: "logs/install.log"})
	for i := range 30 {
		s.look("/steps/install.run", journal.LookData{Text: fmt.Sprintf("line %d", i+1)})
	}
	s.after(2*time.Second).done("/steps/install.run", "run", journal.Exit{Code: 127})
	s.end("install", "run", "failed", "command exited with 127: line 30")
	return s.finish(journal.TypeEnd, journal.End{Outcome: journal.OutcomeFailed, Step: "install", Reason: "command exited with 127: line 30"})
}

func stopped(typ journal.Type, o journal.Outcome, reason string) []journal.Record {
	return raised().finish(typ, journal.End{Outcome: o, Step: "shift", Reason: reason, Changed: 8})
}

func waiting() []journal.Record {
	s := begin().step("go", "approve", "approve")
	s.add(journal.TypeAwait, "/steps/go.approve", "", journal.Until{Until: s.now.Add(26 * time.Hour), Message: "may it go on?"})
	return s.finish(journal.TypePause, journal.End{Outcome: journal.OutcomeWaiting, Step: "go", Reason: "waiting for approval"})
}

// halfBack is a rollback that a person stopped.
func halfBack() []journal.Record {
	s := raised().add(journal.TypeRollback, "", "", journal.Rollback{Attempt: 2, Reason: "deploy asked for it", OnDrift: "force"})
	s.intent("/undo/2/0.web.raise", "restore", journal.Restore{Target: "web", Phase: "raise"})
	s.done("/undo/2/0.web.raise", "restore", journal.Restored{Changes: weights(weight("web1", 95, 100), weight("web2", 95, 100)), Nodes: 2})
	s.add(journal.TypeSleep, "/undo/2/quiet", "", journal.Until{Until: s.now.Add(30 * time.Second)})
	return s.finish(journal.TypePause, journal.End{Outcome: journal.OutcomeInterrupted, Reason: "ctrl-c", Changed: 8, Restored: 4})
}

func bigApply() []journal.Record {
	s := begin().step("out", "set", "set weight 0")
	var all []state.Change
	for i := range 20 {
		all = append(all, weight(fmt.Sprintf("web%d", i+1), 0, 5)...)
	}
	s.apply("/steps/out.web.raise", "", all...)
	split := append(weight("web1", 5, 9), weight("web2", 5, 9)...)
	split[1].From = state.Int(4)
	s.apply("/steps/out.web.lower", "", split...)
	record := state.Change{Target: "zone", Object: "www.example.com A", Attribute: "values", From: state.List([]string{"192.0.2.10"}), To: state.List([]string{"192.0.2.10", "192.0.2.20"})}
	s.intent("/steps/out.zone.raise", "apply", journal.Apply{Target: "zone", Changes: []state.Change{record}})
	s.done("/steps/out.zone.raise", "apply", journal.Applied{Nodes: 1, Already: 1})
	s.failed("/steps/out.web.lower", "apply", journal.Error{Text: "apply web: haproxy: No such server.", Hints: []string{"servers in be_web: web-1, web-2"}})
	s.end("out", "set", "failed", "apply web: haproxy: No such server.")
	return s.finish(journal.TypePause, journal.End{Outcome: journal.OutcomePaused, Step: "out", Reason: "apply web: haproxy: No such server.", Changed: 40})
}

// askedRun asks members to close what is open, dies meanwhile, asks again,
// and ends what is left.
func askedRun() []journal.Record {
	call := journal.Call{What: "POST http://${{ member.address }}/drain", Members: []journal.Asked{{Label: "ws1"}, {Label: "ws2"}}}
	s := begin().step("sockets", "drain", "drain blue to 0 in flight")
	s.intent("/steps/sockets.ask", journal.ActivityAsk, call)
	s.after(5*time.Minute).add(journal.TypeTakeover, "", "", journal.Holder{Who: "ann", Host: "desk", PID: 7, Verb: "resume"})
	s.intent("/steps/sockets.ask", journal.ActivityAsk, call)
	s.done("/steps/sockets.ask", journal.ActivityAsk, journal.Called{Text: "ws1, ws2", Failed: map[string]string{"ws2": "status 500"}})
	for _, n := range []int{1200, 40, 12} {
		d := journal.LookData{Text: "x", InFlight: map[string]int{"ws1": n}, Unseen: map[string]string{"ws2": "status 503\x1b[31m"}}
		if n < 100 {
			d.InFlight["ws2"], d.Unseen = 3, nil
		}
		s.look("/steps/sockets.members.drain", d)
		s.after(10 * time.Second)
	}
	s.done("/steps/sockets.members.drain", "drain", journal.Drained{Left: 15, Text: "deadline passed: 15 in flight on 2 members after 30s"})
	s.intent("/steps/sockets.members.kill", journal.ActivityKill, journal.Call{What: "run ./close-all.sh", Members: call.Members})
	s.done("/steps/sockets.members.kill", journal.ActivityKill, journal.Called{Text: "ws1, ws2"})
	s.end("sockets", "drain", "done", "deadline passed: ended 15 in flight")
	s.step("more", "drain", "drain green to 0 in flight")
	s.intent("/steps/more.ask", journal.ActivityAsk, call)
	s.failed("/steps/more.ask", journal.ActivityAsk, journal.Error{Text: "1 of 2 members did not do what they were asked: ws2: status 500", Hints: []string{"let the drain go on without it: optional: true"}})
	s.end("more", "drain", "failed", "1 of 2 members did not do what they were asked: ws2: status 500")
	return s.finish(journal.TypePause, journal.End{Outcome: journal.OutcomePaused, Step: "more", Reason: "1 of 2 members did not do what they were asked: ws2: status 500", Changed: 8})
}

// stories are all runs by name.
func stories() map[string][]journal.Record {
	return map[string][]journal.Record{
		"rolled-back": rolledBack(),
		"incomplete":  incomplete(),
		"done":        doneRun(),
		"failed":      failedEarly(),
		"paused":      stopped(journal.TypePause, journal.OutcomePaused, "gate errors: 4.1 % > 1 %"),
		"interrupted": stopped(journal.TypePause, journal.OutcomeInterrupted, ""),
		"waiting":     waiting(),
		"half-back":   halfBack(),
		"changes":     bigApply(),
		"asked":       askedRun(),
	}
}
