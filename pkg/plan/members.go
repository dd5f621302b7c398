package plan

import (
	"strings"
	"time"
)

// Count says how a drain asks each member what is in flight on it.
type Count struct {
	Kind   string // which way: http, metrics; the engine knows them
	Config Node   // the block below the kind's key; member is known in it
	Pos    Pos
}

// Ask makes each member of a drain do something: an HTTP call, or a command.
type Ask struct {
	HTTP *Node    // the call; member is known in it
	Run  *Command // or the command; member is known in it
	// Every repeats it while the drain goes on; 0 is once.
	Every time.Duration
	// Optional: a failure is told, and the drain goes on.
	Optional bool
	// Timeout bounds it on one member; 0 is the engine's default.
	Timeout time.Duration
	Pos     Pos
}

// leastEvery keeps a drain from asking more than listening.
const leastEvery = time.Second

// countInterval is the time between two looks at members, which answer over
// the network, where the plan is silent.
const countInterval = time.Second

// membersOf reads what a drain asks of the members themselves.
func (l *loader) membersOf(d *Drain, n, count, ask, kill *node, at place) {
	at.member, at.gate = true, nil
	if count != nil {
		d.Count = l.count(count, at)
		if d.Metric != nil {
			l.fail(count, "drop one of them", "drain has a count and a metric")
		}
		if n.get("interval") == nil {
			d.Interval = countInterval
		}
	}
	if ask != nil {
		d.Ask = l.ask(ask, "ask", at)
		if d.Ask.Every >= leastEvery && d.Ask.Every <= time.Duration(d.Samples)*d.Interval {
			l.fail(ask.get("every"), "make it longer, or samples fewer",
				"every %s is no longer than the %d looks that tell whether it is quiet", shortDuration(d.Ask.Every), d.Samples)
		}
		if d.Metric != nil {
			l.fail(ask, "use count: instead of metric:, or a step of its own before the drain", "ask needs the members of the drain, which a metric does not name")
		}
	}
	if kill == nil {
		return
	}
	d.Kill = l.ask(kill, "kill", at)
	if d.Then != "kill" {
		l.fail(kill, "add then: kill", "kill is done at the deadline with then: kill only")
	}
	if e := kill.get("every"); e != nil {
		l.fail(e, "", "every belongs to ask; a kill is done once")
	}
	if d.Metric != nil {
		l.fail(kill, "use count: instead of metric:", "kill needs the members of the drain, which a metric does not name")
	}
}

// count reads {http: {...}}: one key, which is the kind.
func (l *loader) count(n *node, at place) *Count {
	const example = `count: {http: {url: "http://${{ member.address }}/stats", value: body.in_flight}}`
	c := &Count{Pos: n.pos}
	if n.kind != mapKind {
		l.wrong(n, example, "count must be a map with its kind, not %s", n.what())
		return c
	}
	if len(n.entries) == 0 {
		l.fail(n, example, "count does not say its kind")
		return c
	}
	if len(n.entries) > 1 {
		l.fail(n.entries[1].key, "drain has one count; sum up in its value or its selectors", "count has one kind, this one has also %s", n.entries[1].key.text)
	}
	e := n.entries[0]
	c.Kind, c.Pos = e.key.text, e.key.pos
	c.Config = Node{n: e.value, label: "count " + e.key.text}
	l.check(e.value, at)
	return c
}

// ask reads {http: {...}} or {run: ...} with what stands around it.
func (l *loader) ask(n *node, what string, at place) *Ask {
	a := &Ask{Pos: n.pos}
	example := what + `: {http: {url: "http://${{ member.address }}/` + what + `"}}, or ` + what + `: {run: "./` + what + `.sh ${{ member.host }}"}`
	if n.kind != mapKind {
		l.wrong(n, example, "%s must be a map, not %s", what, n.what())
		return a
	}
	var raw struct {
		HTTP     Node `yaml:"http"`
		Run      Node `yaml:"run"`
		Every    Node `yaml:"every"`
		Optional bool `yaml:"optional"`
		Timeout  Node `yaml:"timeout"`
	}
	l.check(n.without("http").without("run"), place{vars: true})
	if !l.read(n, what, &raw) {
		return a
	}
	a.Optional = raw.Optional
	a.Timeout = l.positive(raw.Timeout.n, "timeout")
	if a.Every = l.positive(raw.Every.n, "every"); a.Every > 0 && a.Every < leastEvery {
		l.fail(raw.Every.n, "", "every is at least %s", shortDuration(leastEvery))
	}
	switch {
	case raw.HTTP.n != nil && raw.Run.n != nil:
		l.fail(n.get("run"), "a run step before the drain can do the other", "%s has http and run", what)
	case raw.HTTP.n != nil:
		l.check(raw.HTTP.n, at)
		a.HTTP = &Node{n: raw.HTTP.n, label: what + " http"}
	case raw.Run.n != nil:
		a.Run = l.command(raw.Run.n, "run", at)
		if t := raw.Run.n.get("timeout"); t != nil {
			l.fail(t, "write it beside run", "the timeout of %s stands in it twice", what)
		}
	default:
		l.fail(n, example, "%s does not say what to do", what)
	}
	return a
}

// What says in a few words what a member is made to do, as the plan has it:
// "POST http://${{ member.address }}/drain", "run ./close.sh ${{ member.host }}".
func (a Ask) What() string {
	switch {
	case a.Run != nil && a.Run.Shell != "":
		return "run " + a.Run.Shell
	case a.Run != nil:
		return "run " + strings.Join(a.Run.Argv, " ")
	case a.HTTP == nil:
		return ""
	}
	method := "POST"
	if m, ok := a.HTTP.Get("method"); ok {
		method = m.Text()
	}
	url, _ := a.HTTP.Get("url")
	return method + " " + url.Text()
}

// What says in a few words what is counted, as the plan has it.
func (c Count) What() string {
	words := []string{c.Kind}
	for _, key := range []string{"url", "value", "sum"} {
		v, ok := c.Config.Get(key)
		if !ok {
			continue
		}
		var parts []string
		for _, item := range v.Items() {
			parts = append(parts, item.Text())
		}
		words = append(words, strings.Join(parts, " + "))
	}
	return strings.Join(words, " ")
}
