package plan

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// TTL is the rule for record sets: wait until nobody can still have an answer
// that was replaced. See docs/decisions/0008-waiting-for-caches.md.
type TTL struct {
	Records []Record
	// Target limits the rule to the records of one target; empty: wherever a
	// step before sets them.
	Target string
	From   []string // views that must not see what is retired; none: the time alone decides
	// Retire are the values that nobody may have any more; none: those that the
	// run took out of the set.
	Retire []string
	Max    time.Duration // ceiling of the whole wait; 0: a day after the time that caches need
	OnMax  string        // pause, fail, continue
	Slack  time.Duration // added to the time that caches need
	Every  time.Duration // between looks at the views
	Passes int           // rounds in a row in which every view passes
	Pos    Pos
}

// Record is the name and type of one record set, as the plan writes it.
type Record struct {
	Name string
	Pos  Pos
}

// Key is how two spellings of one record set are compared: lower case, no dot
// at the end of the name, the type in capitals.
func (r Record) Key() string { return RecordKey(r.Name) }

// RecordKey is the form in which names of record sets are compared.
func RecordKey(name string) string {
	words := strings.Fields(name)
	if len(words) != 2 {
		return name
	}
	return strings.TrimSuffix(strings.ToLower(words[0]), ".") + " " + strings.ToUpper(words[1])
}

// What a rule has where the plan is silent.
const (
	ttlSlack = 2 * time.Second // a resolver rounds to whole seconds at each hop
	ttlEvery = 5 * time.Second
)

var onMax = []string{"pause", "fail", "continue"}

// recordForm allows "www.example.com A+AAAA", two sets that are one object.
var recordForm = regexp.MustCompile(`^[^\s/]+ [A-Za-z][A-Za-z0-9]*(\+[A-Za-z][A-Za-z0-9]*)?$`)

// ttl reads {ttl: www.example.com A, from: [isp], max: 24h}.
func (l *loader) ttl(n *node) *TTL {
	raw := struct {
		TTL    []string      `yaml:"ttl,required"`
		Target string        `yaml:"target"`
		From   []string      `yaml:"from"`
		Retire []string      `yaml:"retire"`
		Max    time.Duration `yaml:"max"`
		OnMax  Node          `yaml:"on_max"`
		Slack  time.Duration `yaml:"slack"`
		Every  time.Duration `yaml:"every"`
		Passes int           `yaml:"passes"`
	}{Slack: ttlSlack, Every: ttlEvery, Passes: 2}
	t := &TTL{Pos: n.pos}
	if n.get("for") != nil {
		l.fail(n.get("for"), "make them two steps", "wait has a duration and a ttl")
		return t
	}
	if !l.read(n, "wait", &raw) {
		return t
	}
	*t = TTL{
		Target: raw.Target, From: raw.From, Retire: raw.Retire, Max: raw.Max, Slack: raw.Slack, Every: raw.Every,
		Passes: raw.Passes, Pos: n.pos,
	}
	t.OnMax = l.choice(raw.OnMax.n, "on_max", "pause", onMax)
	l.records(n.get("ttl"), raw.TTL, t)
	if t.Target != "" && !slices.Contains(l.targetNames(), t.Target) {
		l.reference(n.get("target"), "target", t.Target, l.targetNames())
	}
	l.from(n.get("from"), t.From)
	l.ttlNumbers(n, t)
	return t
}

// records reads the names that the rule is about.
func (l *loader) records(n *node, names []string, t *TTL) {
	if len(names) == 0 && !l.open(n) {
		l.fail(n, `ttl: "www.example.com A"`, "ttl names no record")
	}
	for i, name := range names {
		at := n.item(i, len(names))
		r := Record{Name: strings.Join(strings.Fields(name), " "), Pos: at.pos}
		switch {
		case !recordForm.MatchString(r.Name):
			if !l.open(at) {
				l.fail(at, `ttl: "www.example.com A"`, "a record has a name and a type, not %s", at.what())
			}
		case slices.ContainsFunc(t.Records, func(o Record) bool { return o.Key() == r.Key() }):
			l.fail(at, "", "record %s is named twice", r.Name)
		default:
			t.Records = append(t.Records, r)
		}
	}
}

// item is the place of the i-th of some values: its own in a list, else n.
func (n *node) item(i, of int) *node {
	if len(n.items) == of {
		return n.items[i]
	}
	return n
}

// from checks the names of views.
func (l *loader) from(n *node, names []string) {
	known := l.plan.Views.Keys()
	for i, name := range names {
		at := n.item(i, len(names))
		switch {
		case !slices.Contains(known, name):
			l.reference(at, "view", name, known)
		case slices.Contains(names[:i], name):
			l.fail(at, "", "view %s is named twice", name)
		}
	}
}

// ttlNumbers refuses what cannot be meant.
func (l *loader) ttlNumbers(n *node, t *TTL) {
	refuse := func(key, hint string, bad bool) {
		if v := n.get(key); bad && v != nil && !l.open(v) {
			l.fail(v, hint, "%s cannot be %s", key, v.text)
		}
	}
	refuse("max", "leave it out for a day more than caches need", t.Max <= 0)
	refuse("every", "leave it out for 5s", t.Every <= 0)
	refuse("passes", "leave it out for 2", t.Passes < 1)
	if len(t.From) > 0 {
		return
	}
	for _, key := range []string{"max", "on_max", "every", "passes"} {
		if v := n.get(key); v != nil {
			l.fail(v, "add from: [a-view], or leave "+key+" out", "%s is about views, and without from no view is asked", key)
		}
	}
}
