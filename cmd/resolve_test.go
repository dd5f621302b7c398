package cmd_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
	"github.com/flip-cli/flip/pkg/resolve/resolvetest"
)

// places are a resolver that has the old answer, a server over HTTPS and an
// HTTPDNS service that have the new one, and a port where nobody answers.
type places struct {
	isp, far *resolvetest.Server
	doh      string
	app      string
	closed   string
}

func newPlaces(t *testing.T) places {
	t.Helper()
	p := places{isp: resolvetest.Start(t, "127.0.0.1"), far: resolvetest.New(), closed: "127.0.0.1:1"}
	p.isp.Behave(resolvetest.Habit{Resolver: true})
	p.isp.Set("www.example.com A", 37, "192.0.2.1")
	p.far.Behave(resolvetest.Habit{Resolver: true})
	p.far.Set("www.example.com A", 60, "192.0.2.2")
	srv := httptest.NewServer(p.far)
	t.Cleanup(srv.Close)
	p.doh = srv.URL + "/dns-query"
	app := httpdnstest.New(httpdnstest.Options{})
	app.AnswerFor("1.0.0.0/8", "www.example.com", 300, "192.0.2.2")
	app.AnswerFor("2.0.0.0/8", "www.example.com", 300, "192.0.2.1")
	p.app = httpdnstest.Start(t, app, "127.0.0.1")
	return p
}

// plan has all places as views; auth is of a target that has no name servers.
func (p places) plan() string {
	return `flip: 1
name: move
targets: {web: {driver: mem, file: web.json, pool: {web1: {weight: 100}}}}
views:
  auth: {authoritative: web}
  isp: {dns: ["` + p.isp.Addr + `"], samples: 3}
  doh: {doh: "` + p.doh + `"}
  app: {httpdns: {clusters: ["` + p.app + `"], clients: ["1.1.1.1", "2.2.2.2"]}}
  shut: {dns: "` + p.closed + `", timeout: 1s}
steps:
  - {id: seen, gate: {resolve: {name: www.example.com, set: 192.0.2.2, from: [isp, doh]}, timeout: 30s}}
`
}

// table is the output without the addresses and times that differ each time.
func (p places) table(out string) string {
	for from, to := range map[string]string{p.isp.Addr: "ISP", p.doh: "DOH"} {
		out = strings.ReplaceAll(out, from, to)
	}
	out = regexp.MustCompile(`\d+(\.\d+)?(ms|s)\n`).ReplaceAllString(out, "T\n")
	out = regexp.MustCompile(` {2,}`).ReplaceAllString(out, "  ")
	return out
}

func TestATableShowsWhatEachPlaceSees(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": p.plan()})
	got := p.table(d.flip(0, "resolve", "www.example.com", "--plan", "move.yaml"))
	want := `www.example.com A

  view  asked  sees  ttl  aa  took
  auth  name servers of web  unknown: which servers these are: target web has no name servers  -  -  T
  isp  ISP, 3 times  192.0.2.1  37s  -  T
  doh  DOH  192.0.2.2  1m  -  T
  app  client 1.1.1.1 at 127.0.0.1  192.0.2.2  5m  -  T
  app  client 2.2.2.2 at 127.0.0.1  192.0.2.1  5m  -  T
  shut  127.0.0.1:1  unknown: connection refused  -  -  T

They see 2 different things. Unknown from auth, shut.
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPlacesCanBeWrittenOutWithoutAPlan(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, nil)
	out := d.flip(0, "resolve", "WWW.example.com.", "a", "--from", "dns:"+p.isp.Addr+",doh:"+p.doh, "--from", "doh+json:"+p.doh, "--from", "httpdns:"+p.app+"@1.1.1.1")
	wants(t, out, "www.example.com A", "192.0.2.1", "192.0.2.2", "client 1.1.1.1", "They see 2 different things.")
	out = d.flip(0, "resolve", "www.example.com", "--from", "httpdns:"+p.app, "--client-ip", "2.2.2.2,1.1.1.1")
	wants(t, out, "client 2.2.2.2", "client 1.1.1.1")
	d.flip(0, "resolve", "www.example.com", "--from", "dns:"+p.isp.Addr, "--client-ip", "203.0.113.7")
	queries := p.isp.Queries()
	if q := queries[len(queries)-1]; q.Subnet != "203.0.113.7/32" {
		t.Errorf("the resolver was asked %+v", q)
	}
	out = d.flip(0, "resolve", "none.example.com", "--from", "dns:"+p.isp.Addr)
	wants(t, out, "no such name (NXDOMAIN)", "5s")
	wants(t, d.flip(0, "resolve", "www.example.com", "AAAA", "--from", "dns:"+p.isp.Addr), "no such record (NODATA)")
}

func TestWithoutAPlaceTheSystemIsAsked(t *testing.T) {
	d := newDesk(t, nil)
	wants(t, d.flip(0, "resolve", "localhost"), "system  this machine  127.0.0.1", "One place was asked.")
}

func TestNothingSeenIsNoAnswer(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, nil)
	wants(t, d.flip(4, "resolve", "www.example.com", "--from", "dns:"+p.closed), "unknown: connection refused", "Nobody answered.", "no place sees www.example.com A")
}

func TestTheAnswerIsComparedWithWhatIsExpected(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": p.plan()})
	ask := func(code int, from string) string {
		t.Helper()
		return d.flip(code, "resolve", "www.example.com", "--plan", "move.yaml", "--from", from, "--expect", "192.0.2.2")
	}
	ask(0, "doh")
	wants(t, ask(2, "doh,isp"), "www.example.com A is not as expected: doh 1/1, isp 3/3 still 192.0.2.1 (ttl 37)")
	wants(t, ask(4, "doh,shut"), "cannot be decided: doh 1/1, shut unknown: 127.0.0.1:1: connection refused")
	ask(4, "shut")
}

func TestJSONHasEveryAnswer(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": p.plan()})
	type answer struct {
		View, Asked, Client, Unknown string
		Sample                       int
		Values                       []string
		MaxTTL                       *int `json:"max_ttl"`
	}
	var doc struct {
		Name, Type, Verdict string
		Answers             []answer
	}
	out := d.flip(0, "resolve", "www.example.com", "--plan", "move.yaml", "--from", "isp,shut,app", "-o", "json")
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err, out)
	}
	short, long := 37, 300
	want := []answer{
		{View: "isp", Asked: p.isp.Addr, Sample: 1, Values: []string{"192.0.2.1"}, MaxTTL: &short},
		{View: "isp", Asked: p.isp.Addr, Sample: 2, Values: []string{"192.0.2.1"}, MaxTTL: &short},
		{View: "isp", Asked: p.isp.Addr, Sample: 3, Values: []string{"192.0.2.1"}, MaxTTL: &short},
		{View: "shut", Asked: p.closed, Sample: 1, Values: []string{}, Unknown: "connection refused"},
		{View: "app", Asked: "client 1.1.1.1", Client: "1.1.1.1", Sample: 1, Values: []string{"192.0.2.2"}, MaxTTL: &long},
		{View: "app", Asked: "client 2.2.2.2", Client: "2.2.2.2", Sample: 1, Values: []string{"192.0.2.1"}, MaxTTL: &long},
	}
	if diff := cmp.Diff(want, doc.Answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBadUsageIsSaid(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": p.plan()})
	for line, want := range map[string]string{
		"resolve":                     "NAME is missing",
		"resolve a..b":                "is not a domain name",
		"resolve www.example.com ANY": "types: A, AAAA",
		"resolve www.example.com --from ips --plan move.yaml":      `no view "ips"; did you mean "isp"?`,
		"resolve www.example.com --from isp":                       `no view "isp"`,
		"resolve www.example.com --from dns:resolver":              "is not the address of a server",
		"resolve www.example.com --from system,system":             "system is named twice",
		"resolve www.example.com --client-ip here":                 "not an address",
		"resolve www.example.com --plan none.yaml":                 "no such file",
		"resolve www.example.com --for 1m":                         "--for ends a --watch",
		"resolve www.example.com --watch --every 0s":               "longer than nothing",
		"resolve www.example.com --expect www.example.net":         "not a value of a record of type A",
		"resolve www.example.com --plan move.yaml --from isp,isps": `did you mean "isp"?`,
	} {
		wants(t, d.flip(3, strings.Fields(line)...), want)
	}
}

func TestAGateWaitsUntilTheResolversHaveIt(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": strings.Replace(p.plan(), "timeout: 30s", "timeout: 30s, every: 10ms", 1)})
	timer := time.AfterFunc(0, func() {
		p.isp.Await(4) // the gate has looked
		p.isp.Set("www.example.com A", 60, "192.0.2.2")
	})
	defer timer.Stop()
	wants(t, d.flip(0, "lint", "move.yaml"), "ok")
	wants(t, d.flip(0, "run", "move.yaml"), "seen", "isp 3/3 still 192.0.2.1 (ttl 37)", "done")
}

func TestCompletionKnowsTypesAndViews(t *testing.T) {
	p := newPlaces(t)
	d := newDesk(t, map[string]string{"move.yaml": p.plan()})
	wants(t, d.flip(0, "__complete", "resolve", "www.example.com", "A"), "AAAA", "CNAME")
	wants(t, d.flip(0, "__complete", "resolve", "www.example.com", "--plan", "move.yaml", "--from", ""), "isp", "httpdns:")
	wants(t, d.flip(0, "resolve", "--help"), "flip resolve www.example.com --plan move.yaml --from auth,isp --watch", "Exit codes:")
}

func TestThePlanInTheDocumentationHasViewsThatAreAccepted(t *testing.T) {
	page, err := os.ReadFile("../docs/resolve.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindSubmatch(page)
	if m == nil {
		t.Fatal("the page has no plan")
	}
	text := regexp.MustCompile(`(?m)^  zone: .*$`).ReplaceAllString(string(m[1]), "  zone: {driver: mem, pool: {web1: {weight: 1}}}")
	text = regexp.MustCompile(`(?m)^  - \{id: both.*\n`).ReplaceAllString(text, "")
	d := newDesk(t, map[string]string{"move.yaml": text})
	wants(t, d.flip(0, "lint", "move.yaml"), "ok: move, 1 step")
}

func TestEditorsKnowTheViews(t *testing.T) {
	d := newDesk(t, nil)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(d.flip(0, "schema")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	for view, right := range map[string]bool{
		`{"authoritative":"zone"}`:                        true,
		`{"dns":["10.0.0.2"],"samples":5,"timeout":"2s"}`: true,
		`{"dns":"10.0.0.2"}`:                              true,
		`{"doh":"https://resolver.example/dns-query","format":"json","tls":{"ca":"ca.pem"}}`:                          true,
		`{"httpdns":{"clusters":["203.0.113.1"],"clients":["1.1.1.1"],"server_name":"edge.example.net","sni":false}}`: true,
		`{"system":true}`:                     true,
		`{}`:                                  false,
		`{"dns":"10.0.0.2","system":true}`:    false,
		`{"dns":"10.0.0.2","sample":5}`:       false,
		`{"httpdns":{"clients":["1.1.1.1"]}}`: false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"flip":1,"name":"n","views":{"v":` + view + `},"steps":[{"id":"a","wait":"1s"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != right {
			t.Errorf("%s: %v", view, err)
		}
	}
}
