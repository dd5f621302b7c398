package alidns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
)

// job is one record set on its way.
type job struct {
	name recordset.Name
	now  shape
	want want
}

// Swap looks at the host, compares, and goes step by step, looking after each.
// Between a look and its step there is a moment that nothing closes: the API
// has no condition. What a step touches it names by id, and a shape that is not
// the one that the step leads to ends the change.
func (p *provider) Swap(ctx context.Context, swaps []recordset.Swap) error {
	jobs, err := p.jobs(ctx, swaps)
	if err != nil {
		return err
	}
	for taken := range mostSteps {
		j, st, more := pick(jobs)
		if !more {
			return nil
		}
		if err := p.take(ctx, j, st); err != nil {
			if errors.Is(err, recordset.ErrConflict) && taken > 0 {
				// Not the promise of ErrConflict: something was written.
				return fmt.Errorf("%s: somebody else changed it while flip did: it is %s", j.name, j.now)
			}
			return err
		}
	}
	return driver.Permanent(fmt.Errorf("%s: no end after %d steps", swaps[0].Name, mostSteps))
}

// jobs compares the sets with what they are now and refuses what cannot be
// brought to its end.
func (p *provider) jobs(ctx context.Context, swaps []recordset.Swap) ([]*job, error) {
	h, err := p.look(ctx, swaps[0].Name.Host)
	if err != nil {
		return nil, err
	}
	var jobs []*job
	for _, s := range swaps {
		now := h.shape(s.Name.Type)
		if !now.set().Same(s.Old) {
			return nil, fmt.Errorf("%s: %w", s.Name, recordset.ErrConflict)
		}
		w, err := wanted(s.New)
		if err != nil {
			return nil, driver.Permanent(err)
		}
		if err := leftover(s.Name, now, s.New); err != nil {
			return nil, driver.Permanent(err)
		}
		steps, _ := now.way(w)
		for _, st := range steps {
			if err := now.refuseLocked(s.Name, st); err != nil {
				return nil, driver.Permanent(err)
			}
		}
		jobs = append(jobs, &job{s.Name, now, w})
	}
	return jobs, nil
}

// leftover refuses to create a set where records are that are all switched off:
// the way back would have to tell them from its own.
func leftover(n recordset.Name, now shape, next recordset.Set) error {
	if off := now.disabled(); len(off) > 0 && len(now.values()) == 0 && !next.Absent() {
		return hint.Wrap(fmt.Errorf("%s: every record of it is switched off (%s)", n, strings.Join(off, " ")),
			"switch one of them on by hand first, or delete them")
	}
	return nil
}

// refuseLocked: Alidns changes no locked record, and gives it no weight.
func (s shape) refuseLocked(n recordset.Name, st step) error {
	locked := s.locked()
	about := slices.ContainsFunc(s.recs, func(r rec) bool { return bool(r.Locked) && (r.value == st.value || r.ID == st.id) })
	if about || (st.verb == openWeights && len(locked) > 0) {
		return hint.Wrap(fmt.Errorf("%s: the record of %s is locked", n, strings.Join(locked, " ")), "unlock it in the console of Alidns")
	}
	return nil
}

// pick is the next step of any of the sets of a host: none is made smaller
// before all have got what they get.
func pick(jobs []*job) (*job, step, bool) {
	var last *job
	var lastStep step
	for _, j := range jobs {
		st, more := j.now.next(j.want)
		switch {
		case more && !st.removes():
			return j, st, true
		case more && last == nil:
			last, lastStep = j, st
		}
	}
	return last, lastStep, last != nil
}

// take takes a step and looks until it shows. What the call said counts for
// little: a lost answer of a step that shows is none, and a step whose fate
// nobody knows is not taken twice.
func (p *provider) take(ctx context.Context, j *job, st step) error {
	before, next := j.now, j.now.after(st)
	err := p.call(ctx, j, st)
	switch aliyun.ClassOf(err) {
	case aliyun.Throttled, aliyun.Busy, aliyun.Auth:
		return aliyun.ForDriver(err)
	case aliyun.Other:
		if err != nil {
			return err
		}
	case aliyun.Ambiguous, aliyun.NotFound, aliyun.Invalid:
	}
	refused := err != nil && aliyun.ClassOf(err) != aliyun.Ambiguous
	seen, lerr := p.reached(ctx, j, st, next, !refused)
	switch {
	case lerr != nil && err != nil:
		return driver.Uncertain(fmt.Errorf("%w; looking whether it took effect: %w", aliyun.ForDriver(err), lerr))
	case lerr != nil:
		return driver.Uncertain(fmt.Errorf("looking whether it took effect: %w", lerr))
	case seen:
		return nil
	case j.now.String() != before.String():
		return fmt.Errorf("%s: %w", j.name, recordset.ErrConflict)
	case err != nil:
		return aliyun.ForDriver(err)
	}
	return driver.Uncertain(fmt.Errorf("%s: the call was accepted, but it is still %s", j.name, j.now))
}

// call sends the one request of a step.
func (p *provider) call(ctx context.Context, j *job, st step) error {
	rr := p.rr(j.name.Host)
	i := slices.IndexFunc(j.now.recs, func(r rec) bool { return st.id != "" && r.ID == st.id })
	var r aliyun.DNSRecord
	if i >= 0 {
		r = j.now.recs[i].DNSRecord
	}
	switch st.verb {
	case openWeights, closeWeights:
		return p.api.OpenWeights(ctx, p.domain, rr, j.name.Type, p.line, st.verb == openWeights)
	case weigh:
		return p.api.Weigh(ctx, r, st.weight)
	case add:
		_, err := p.api.Add(ctx, p.domain, record(rr, j.name.Type, p.line, st.value, st.ttl))
		return err
	case setTTL:
		r.TTL = aliyun.Number(st.ttl)
		return p.api.Update(ctx, r)
	case rewrite:
		next := record(rr, j.name.Type, p.line, st.value, st.ttl)
		next.ID = st.id
		return p.api.Update(ctx, next)
	case enable, disable:
		return p.api.Enable(ctx, r, st.verb == enable)
	case remove:
		return p.api.Delete(ctx, r)
	}
	return fmt.Errorf("no step %d", st.verb)
}

// pauses between looks at a step.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// reached looks until the host stands where a step leads to, for as long as a
// step may take to show; a step that was refused is looked for once. What it
// saw last is the job's now.
func (p *provider) reached(ctx context.Context, j *job, st step, next shape, patient bool) (bool, error) {
	end := time.Now().Add(p.shows)
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		h, err := p.look(ctx, j.name.Host)
		if err != nil {
			return false, err
		}
		j.now = h.shape(j.name.Type)
		if j.now.String() == next.String() && (st.verb != weigh || j.now.weights()[st.value] == st.weight) {
			return true, nil
		}
		if !patient || !time.Now().Add(wait).Before(end) {
			return false, nil
		}
		if err := aliyun.Pause(ctx, wait); err != nil {
			return false, err
		}
	}
}
