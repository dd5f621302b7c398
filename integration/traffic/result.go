package traffic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Classes of requests.
const (
	KeepAlive = "keep-alive"
	Close     = "close"
	Post      = "post"
	Slow      = "slow"
	Websocket = "websocket" // the upgrade; what happens afterwards is in Websockets
)

// Kinds of failures. An answer other than 200 is "status CODE".
const (
	KindDial      = "dial"      // no connection
	KindReset     = "reset"     // the connection ended or broke before a byte of the answer
	KindTruncated = "truncated" // it ended or broke within the answer
	KindTimeout   = "timeout"   // no whole answer within Config.Timeout
	KindMalformed = "malformed" // not HTTP/1.1
)

// Result is what a load saw.
type Result struct {
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Phases []Phase   `json:"phases"`
}

// Phase is the counts between two calls of Load.Phase. Before the first call the phase is called "start".
type Phase struct {
	Name     string           `json:"name"`
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	Requests int64            `json:"requests"`
	Failed   int64            `json:"failed"`
	Classes  map[string]Class `json:"classes"`
	// Servers and Versions count the good answers by X-Srv and X-Version.
	Servers    map[string]int64 `json:"servers"`
	Versions   map[string]int64 `json:"versions"`
	Websockets Websockets       `json:"websockets"`
	// FirstFailure and LastFailure are zero when nothing failed; a cut websocket is a failure here too.
	FirstFailure time.Time `json:"first_failure,omitzero"`
	LastFailure  time.Time `json:"last_failure,omitzero"`
	MaxMS        float64   `json:"max_ms"`
	// Examples are the first failures in words, at most 10.
	Examples []string `json:"examples,omitempty"`
}

// Class is the counts of one kind of request.
type Class struct {
	Requests int64            `json:"requests"`
	Failed   int64            `json:"failed"`
	Kinds    map[string]int64 `json:"kinds,omitempty"`
	MaxMS    float64          `json:"max_ms"`
}

// Websockets counts how websockets began and ended.
type Websockets struct {
	Opened   int64 `json:"opened"`
	Messages int64 `json:"messages"` // sent and echoed
	Closed   int64 `json:"closed"`   // by the server's close frame
	Stopped  int64 `json:"stopped"`  // by Load.Stop
	Cut      int64 `json:"cut"`      // without a close frame
	// CutBy counts the cut ones by their server.
	CutBy map[string]int64 `json:"cut_by,omitempty"`
}

// Seconds is the length of the phase.
func (p Phase) Seconds() float64 { return p.To.Sub(p.From).Seconds() }

// Kinds adds up the failures of all classes by kind.
func (p Phase) Kinds() map[string]int64 {
	all := map[string]int64{}
	for _, class := range p.Classes {
		for kind, n := range class.Kinds {
			all[kind] += n
		}
	}
	return all
}

// Lost is the number that users feel: requests without a good answer and websockets cut without a close frame.
func (r Result) Lost() int64 {
	total := r.Total()
	return total.Failed + total.Websockets.Cut
}

// Phase returns the phase of that name, the zero Phase if there is none.
func (r Result) Phase(name string) Phase {
	for _, p := range r.Phases {
		if p.Name == name {
			return p
		}
	}
	return Phase{}
}

// Total adds up all phases.
func (r Result) Total() Phase {
	total := newPhase("total", r.From)
	total.To = r.To
	for _, p := range r.Phases {
		total.Requests += p.Requests
		total.Failed += p.Failed
		total.MaxMS = max(total.MaxMS, p.MaxMS)
		for name, class := range p.Classes {
			sum := total.Classes[name]
			sum.Requests += class.Requests
			sum.Failed += class.Failed
			sum.MaxMS = max(sum.MaxMS, class.MaxMS)
			sum.Kinds = plus(sum.Kinds, class.Kinds)
			total.Classes[name] = sum
		}
		total.Servers = plus(total.Servers, p.Servers)
		total.Versions = plus(total.Versions, p.Versions)
		total.Websockets = total.Websockets.plus(p.Websockets)
		if total.FirstFailure.IsZero() {
			total.FirstFailure = p.FirstFailure
		}
		if !p.LastFailure.IsZero() {
			total.LastFailure = p.LastFailure
		}
		total.Examples = append(total.Examples, p.Examples...)
	}
	return total
}

// String is one line a phase with anything in it, then the first failures.
func (r Result) String() string {
	var b strings.Builder
	for _, p := range append(slices.Clone(r.Phases), r.Total()) {
		if p.Requests == 0 && p.Websockets.Messages == 0 {
			continue
		}
		fmt.Fprintf(&b, "%-8s %6.1fs %8d requests %6d failed", p.Name, p.Seconds(), p.Requests, p.Failed)
		if p.Failed > 0 {
			fmt.Fprintf(&b, " (%s)", counts(p.Kinds()))
		}
		if ws := p.Websockets; ws.Opened+ws.Messages > 0 {
			fmt.Fprintf(&b, ", websockets %d opened, %d closed, %d cut", ws.Opened, ws.Closed, ws.Cut)
		}
		fmt.Fprintf(&b, ", longest %.0f ms, by %s\n", p.MaxMS, counts(p.Servers))
	}
	for _, example := range r.Total().Examples {
		b.WriteString("  " + example + "\n")
	}
	return b.String()
}

func counts(m map[string]int64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%s %d", name, m[name]))
	}
	return strings.Join(words, ", ")
}

func (w Websockets) plus(o Websockets) Websockets {
	return Websockets{
		Opened: w.Opened + o.Opened, Messages: w.Messages + o.Messages, Closed: w.Closed + o.Closed,
		Stopped: w.Stopped + o.Stopped, Cut: w.Cut + o.Cut, CutBy: plus(w.CutBy, o.CutBy),
	}
}

func plus(a, b map[string]int64) map[string]int64 {
	if len(a)+len(b) == 0 {
		return a
	}
	sum := map[string]int64{}
	for _, m := range []map[string]int64{a, b} {
		for name, n := range m {
			sum[name] += n
		}
	}
	return sum
}
