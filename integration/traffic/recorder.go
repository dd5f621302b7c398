package traffic

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const mostExamples = 10

// outcome is how one request ended; kind is "" for a good answer.
type outcome struct {
	class, kind, detail string
	server, version     string
	start, end          time.Time
}

type socketEvent int

const (
	socketOpened socketEvent = iota
	socketEchoed
	socketClosed
	socketStopped
)

// recorder counts outcomes in the newest phase.
type recorder struct {
	mu     sync.Mutex
	phases []Phase
	ended  time.Time
}

func newRecorder(now time.Time) *recorder {
	return &recorder{phases: []Phase{newPhase("start", now)}}
}

func newPhase(name string, now time.Time) Phase {
	return Phase{
		Name: name, From: now,
		Classes: map[string]Class{}, Servers: map[string]int64{}, Versions: map[string]int64{},
	}
}

func (r *recorder) next(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last().To = now
	r.phases = append(r.phases, newPhase(name, now))
}

func (r *recorder) last() *Phase { return &r.phases[len(r.phases)-1] }

func (r *recorder) add(o outcome) {
	ms := float64(o.end.Sub(o.start).Microseconds()) / 1000
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.last()
	class := p.Classes[o.class]
	p.Requests++
	class.Requests++
	p.MaxMS = max(p.MaxMS, ms)
	class.MaxMS = max(class.MaxMS, ms)
	if o.kind == "" {
		p.Servers[o.server]++
		p.Versions[o.version]++
	} else {
		p.Failed++
		class.Failed++
		if class.Kinds == nil {
			class.Kinds = map[string]int64{}
		}
		class.Kinds[o.kind]++
		p.failure(o.end, fmt.Sprintf("%s %s after %.0f ms %s %s", o.class, o.kind, ms, o.server, o.detail))
	}
	p.Classes[o.class] = class
}

func (r *recorder) socket(event socketEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &r.last().Websockets
	switch event {
	case socketOpened:
		w.Opened++
	case socketEchoed:
		w.Messages++
	case socketClosed:
		w.Closed++
	case socketStopped:
		w.Stopped++
	}
}

func (r *recorder) cut(server string, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.last()
	p.Websockets.Cut++
	if p.Websockets.CutBy == nil {
		p.Websockets.CutBy = map[string]int64{}
	}
	p.Websockets.CutBy[server]++
	p.failure(now, fmt.Sprintf("websocket of %s cut: %v", server, err))
}

func (p *Phase) failure(at time.Time, words string) {
	if p.FirstFailure.IsZero() {
		p.FirstFailure = at
	}
	p.LastFailure = at
	if len(p.Examples) < mostExamples {
		p.Examples = append(p.Examples, at.UTC().Format("15:04:05.000 ")+words)
	}
}

// finish fixes the end of the last phase.
func (r *recorder) finish(now time.Time) Result {
	r.mu.Lock()
	if r.ended.IsZero() {
		r.ended = now
	}
	now = r.ended
	r.mu.Unlock()
	return r.result(now)
}

// result returns a copy of everything counted.
func (r *recorder) result(now time.Time) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Result{From: r.phases[0].From, To: now, Phases: slices.Clone(r.phases)}
	for i := range out.Phases {
		p := &out.Phases[i]
		if p.To.IsZero() {
			p.To = now
		}
		p.Classes = maps.Clone(p.Classes)
		for name, class := range p.Classes {
			class.Kinds = maps.Clone(class.Kinds)
			p.Classes[name] = class
		}
		p.Servers, p.Versions = maps.Clone(p.Servers), maps.Clone(p.Versions)
		p.Websockets.CutBy = maps.Clone(p.Websockets.CutBy)
		p.Examples = slices.Clone(p.Examples)
	}
	return out
}
