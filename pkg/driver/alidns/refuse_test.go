package alidns_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// TestWhatAlidnsCannotDoIsRefusedBeforeAnythingRuns: by Check, which a preview
// asks, and by Apply, without a write.
func TestWhatAlidnsCannotDoIsRefusedBeforeAnythingRuns(t *testing.T) {
	two := records(rec(a), rec(b))
	weights := func(items ...string) state.Change { return set(www, "weights", list(), list(items...)) }
	tests := map[string]struct {
		zone          slbtest.Zone
		changes       []state.Change
		words, advice string
		checkOnly     bool
	}{
		"a TTL shorter than the plan of the domain has": {
			two,
			[]state.Change{set(www, "ttl", "600", "60")},
			"a TTL of 60 is too short: the plan of example.com at Alidns (mianfei) has TTLs of 600..86400", "at least 600 seconds", false,
		},
		"a TTL that is too long":              {two, []state.Change{set(www, "ttl", "600", "86401")}, "too long", "at most 86400", false},
		"a weight of 0":                       {two, []state.Change{weights(a+"=100", b+"=0")}, "192.0.2.2 has weight 0, which Alidns does not have", "disabled: [192.0.2.2]", false},
		"a weight of 101":                     {two, []state.Change{weights(a+"=101", b+"=1")}, "1..100, not 101", "", false},
		"a weight that is no number":          {two, []state.Change{weights(a+"=x", b+"=1")}, "is not VALUE=WEIGHT", "", false},
		"a weight that is written oddly":      {two, []state.Change{weights(a+"=+1", b+"=1")}, "is not VALUE=WEIGHT", "", false},
		"two weights of a value":              {two, []state.Change{weights(a+"=1", a+"=2", b+"=1")}, "named twice", "", false},
		"weights of some values":              {two, []state.Change{weights(a + "=1")}, "the weights are of 192.0.2.1, but the values are 192.0.2.1 192.0.2.2", "each value with its weight", false},
		"weights of a wildcard":               {two, []state.Change{set("*.example.com A", "values", "", list(a)), set("*.example.com A", "weights", "", list(a+"=1"))}, "a wildcard", "", false},
		"switching off the last value":        {records(rec(a)), []state.Change{set(www, "disabled", list(), list(a)), values(list(a), list())}, "would be left without a value", "", false},
		"a value that is on and off":          {two, []state.Change{set(www, "disabled", list(), list(b))}, "192.0.2.2 is in values and in disabled", "in one step", false},
		"switching off what is not there":     {two, []state.Change{set(www, "disabled", list(), list(c))}, "there is no record of 192.0.2.3 to switch off", "set it in values first", false},
		"deleting what is off":                {records(rec(a), rec(b, off)), []state.Change{set(www, "disabled", list(b), list())}, "flip does not delete such a record", "by hand", false},
		"an address of the other kind as off": {two, []state.Change{set(www, "disabled", list(), list("2001:db8::1"))}, "disabled:", "by themselves", false},
		"a locked record": {
			records(rec(a, locked), rec(b)),
			[]state.Change{values(list(a, b), list(b))},
			"the record of 192.0.2.1 is locked", "unlock it in the console", false,
		},
		"weights beside a locked record": {records(rec(a, locked), rec(b)), []state.Change{weights(a+"=1", b+"=1")}, "is locked", "", false},
		"a set that is all off":          {records(rec(a, off)), []state.Change{values("", list(b)), set(www, "ttl", "", "600")}, "every record of it is switched off (192.0.2.1)", "by hand first", false},
		"a type that flip does not set":  {two, []state.Change{set("www.example.com TXT", "values", "", list("x"))}, "TXT records cannot be set here", "types: A, AAAA, CNAME, MX", false},
		"records with different TTLs": {
			records(rec(a), rec(b, ttl(1200))),
			[]state.Change{values(list(a, b), list(a, b, c))},
			"its records have different TTLs (1200, 600)", "force: true", true,
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			l := newLab(t, world{zone: test.zone})
			now, err := l.Read(t.Context())
			expect.Nil(t, err)
			err = l.Check(t.Context(), now, test.changes)
			expect.Error(t, err, test.words, test.advice)
			expect.Is(t, err, driver.ErrPermanent, true)
			if !strings.HasPrefix(err.Error(), "alidns: ") {
				t.Errorf("nobody says who refuses: %v", err)
			}
			if test.checkOnly {
				return
			}
			err = l.Apply(t.Context(), test.changes)
			expect.Error(t, err, test.words, "")
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, "writes", 0, len(l.Writes()))
		})
	}
}

func TestWhatCanBeDoneIsNotRefused(t *testing.T) {
	zone, changes := everything()
	l := newLab(t, world{zone: zone})
	now, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Nil(t, l.Check(t.Context(), now, changes))
	expect.Nil(t, l.Check(t.Context(), now, []state.Change{set("new.example.com A", "values", "", list(a))}))
	l.Edit(func(e *slbtest.Estate) { e.Zones[0].Records[1].Locked = true })
	expect.Nil(t, l.Check(t.Context(), now, []state.Change{values(list(a, b), list(a, b, "192.0.2.9"))}))
	t.Run("and what cannot be looked at is not refused either", func(t *testing.T) {
		l.Inject(slbtest.Fault{Kind: slbtest.HTMLGateway})
		expect.Is(t, l.Check(t.Context(), now, changes), driver.ErrUnknown, true)
	})
}

func TestAPaidPlanHasShorterTTLs(t *testing.T) {
	zone := records(rec(a))
	zone.MinTTL, zone.Version = 1, "version_enterprise_advanced"
	l := newLab(t, world{zone: zone})
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(www, "ttl", "600", "1")}))
	expect.Same(t, "stored", []string{"A 192.0.2.1 1"}, l.stored())
	asked := 0
	for _, call := range l.Calls() {
		if call.Action == "DescribeDomainInfo" {
			asked++
		}
	}
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(www, "ttl", "1", "60")}))
	expect.Same(t, "times that the plan was asked for", 1, asked)
}

func TestDifferentTTLsAreShownAndMadeTheSame(t *testing.T) {
	l := newLab(t, world{zone: records(rec(a), rec(b, ttl(1200))), edit: func(c *alidns.Config) { c.Force = true }})
	attrs := l.attrs(t, www)
	expect.Same(t, "ttl", list("1200", "600"), attrs["ttl"])
	d, err := l.CacheTime(t.Context(), www, attrs)
	expect.Nil(t, err)
	expect.Same(t, "how long caches may keep it", 20*time.Minute, d)
	now, err := l.Read(t.Context())
	expect.Nil(t, err)
	for _, step := range [][2]string{{"list", "1200"}, {"1200", "600"}} { // up to the longest, which a set shows as done
		from := state.Value(step[0])
		if step[0] == "list" {
			from = attrs["ttl"]
			expect.Nil(t, l.Check(t.Context(), now, []state.Change{set(www, "ttl", from, "1200")}))
		}
		change := []state.Change{set(www, "ttl", from, state.Value(step[1]))}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Nil(t, l.Settle(t.Context(), change))
		expect.Same(t, "stored", []string{"A 192.0.2.1 " + step[1], "A 192.0.2.2 " + step[1]}, l.stored())
	}
}

func TestOtherLinesAreLeftAlone(t *testing.T) {
	telecom := func(r *slbtest.Record) { r.Line = "telecom" }
	zone := records(rec(a), rec(c, telecom))
	t.Run("by a target of the default line, which says so", func(t *testing.T) {
		l := newLab(t, world{zone: zone})
		change := []state.Change{values(list(a), list(b))}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Nil(t, l.Settle(t.Context(), change))
		expect.Same(t, "stored", []string{"A 192.0.2.2 600", "A 192.0.2.3 600 telecom"}, l.stored())
		if logs := l.logs.String(); strings.Count(logs, "left alone") != 1 || !strings.Contains(logs, "others=telecom") {
			t.Errorf("log: %s", logs)
		}
	})
	t.Run("by a target of another line, whose answers are seen from there only", func(t *testing.T) {
		l := newLab(t, world{zone: zone, edit: func(c *alidns.Config) { c.Line, c.SettleTimeout = "telecom", 2*time.Second }})
		change := []state.Change{values(list(c), list(b))}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Same(t, "stored", []string{"A 192.0.2.1 600", "A 192.0.2.2 600 telecom"}, l.stored())
		expect.Error(t, l.Settle(t.Context(), change), "not every name server answers", "unseen: true")
	})
	t.Run("and a flip that does not see the line need not", func(t *testing.T) {
		l := newLab(t, world{zone: zone, edit: func(c *alidns.Config) { c.Line, c.Unseen = "telecom", true }})
		change := []state.Change{values(list(c), list(b))}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Nil(t, l.Settle(t.Context(), change))
	})
}

func TestSettleWaitsForEveryNameServer(t *testing.T) {
	change := []state.Change{values(list(a), list(b))}
	slow := func(c *alidns.Config) { c.SettleTimeout = 2 * time.Second }
	t.Run("and says which one is behind", func(t *testing.T) {
		l := newLab(t, world{options: slbtest.Options{NameServers: 2}, edit: slow})
		l.Hold()
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Error(t, l.Settle(t.Context(), change), "still answers 192.0.2.1", "settle_timeout")
		l.Release()
		l.inSync(t)
		expect.Nil(t, l.Settle(t.Context(), change))
	})
	t.Run("also for values that are answered by weight", func(t *testing.T) {
		l := newLab(t, world{options: slbtest.Options{NameServers: 2}, zone: slbtest.Zone{
			Records: []slbtest.Record{rec(a, weight(50)), rec(b, weight(50))}, Weighted: []string{"www A default"},
		}, edit: slow})
		l.Hold()
		moved := []state.Change{values(list(a, b), list(b, c)), set(www, "weights", list(a+"=50", b+"=50"), list(b+"=50", c+"=50"))}
		expect.Nil(t, l.Apply(t.Context(), moved))
		expect.Error(t, l.Settle(t.Context(), moved), "still answers 192.0.2.1", "settle_timeout")
		l.Release()
		l.inSync(t)
		expect.Nil(t, l.Settle(t.Context(), moved))
		if err := l.Settle(canceled(t), moved); err == nil {
			t.Error("a cancelled settle says that all is well")
		}
	})
}

func TestTheDomain(t *testing.T) {
	t.Run("that the account does not have is not found", func(t *testing.T) {
		l := newLab(t, world{edit: func(c *alidns.Config) { c.Domain, c.Records = "example.org", []string{"www.example.org A"} }})
		_, err := l.Read(t.Context())
		expect.Error(t, err, "InvalidDomainName.NoExist", "")
		expect.Is(t, err, driver.ErrNotFound, true)
	})
	t.Run("itself has records too", func(t *testing.T) {
		zone := records(slbtest.Record{RR: "@", Type: "A", Value: a, TTL: 600})
		l := newLab(t, world{zone: zone, edit: func(c *alidns.Config) { c.Records = []string{"example.com A"} }})
		change := []state.Change{
			set("example.com A", "values", list(a), list(a, b)), set("example.com A", "weights", list(), list(a+"=1", b+"=2")),
		}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Nil(t, l.Settle(t.Context(), change))
		expect.Same(t, "attributes", map[string]state.Value{
			"values": list(a, b), "ttl": "600", "disabled": list(), "weights": list(a+"=1", b+"=2"),
		}, l.attrs(t, "example.com A"))
	})
	t.Run("is one scope, whatever the line", func(t *testing.T) {
		l := newLab(t, world{edit: func(c *alidns.Config) { c.Line = "telecom" }})
		expect.Same(t, "scopes", []string{"dns://example.com"}, l.Scopes())
		expect.Same(t, "in flight", 5*time.Second, l.MaxInFlight())
	})
	t.Run("with more records than a page has is read whole", func(t *testing.T) {
		var many []slbtest.Record
		for i := range 1100 {
			many = append(many, rec(fmt.Sprintf("10.0.%d.%d", i/250, i%250)))
		}
		l := newLab(t, world{zone: records(many...)})
		expect.Same(t, "values", 1100, len(l.attrs(t, www)["values"].List()))
		expect.Same(t, "calls", 4, len(l.Calls()))
	})
}

func TestAWrongBlockIsRefusedWithItsReason(t *testing.T) {
	tests := map[string]struct {
		edit  func(*alidns.Config)
		words string
	}{
		"no domain":                  {func(c *alidns.Config) { c.Domain = "" }, "domain is missing"},
		"a domain that is none":      {func(c *alidns.Config) { c.Domain = "a b" }, "domain"},
		"a record of another domain": {func(c *alidns.Config) { c.Records = []string{"www.example.org A"} }, "is not in zone"},
		"a name server that is none": {func(c *alidns.Config) { c.NameServers = []string{"a b"} }, "name_servers"},
		"a line with a space":        {func(c *alidns.Config) { c.Line = " telecom" }, "is not a line's code"},
		"a negative time":            {func(c *alidns.Config) { c.SettleTimeout = -1 }, "cannot be negative"},
		"plain http to elsewhere":    {func(c *alidns.Config) { c.Endpoint = "http://192.0.2.1" }, "plain http"},
		"a key in the plan":          {func(c *alidns.Config) { c.AccessKeyID, c.AccessKeySecret = "x", "y" }, "written into the plan"},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			c := alidns.Config{Domain: "example.com"}
			expect.Nil(t, c.Validate())
			test.edit(&c)
			expect.Error(t, c.Validate(), test.words, "")
		})
	}
}

func TestAnEndedContextEndsEveryCall(t *testing.T) {
	l := newLab(t, world{})
	_, err := l.Read(canceled(t))
	err = errors.Join(err, l.Apply(canceled(t), []state.Change{values(list(a), list(b))}))
	if err == nil || len(l.Writes()) > 0 {
		t.Errorf("%v, %d writes", err, len(l.Writes()))
	}
}
