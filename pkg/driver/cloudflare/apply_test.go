package cloudflare_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/cloudflare"
	"github.com/flip-cli/flip/pkg/driver/cloudflare/cloudflaretest"
	"github.com/flip-cli/flip/pkg/state"
)

// TestAMoveSendsOneBatchAChange is A -> A+B -> B and the TTL, in the order of a
// plan: what is sent, and that nothing beside the set is touched.
func TestAMoveSendsOneBatchAChange(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{}, nil)
	l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) {
		r.Comment, r.Tags, r.Settings = "the old one", []string{"owner:web"}, map[string]any{"ipv4_only": true}
	})
	l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "TXT", Content: `"beside"`, TTL: 1})
	beside := l.Records()[1]
	first := l.ofWWW()[1]
	if first.Content != a {
		t.Fatalf("the first record is %+v", first)
	}

	for _, step := range [][]state.Change{
		{set(www, "ttl", "120", "60")},
		values(list(a), list(a, b)),
		values(list(a, b), list(b)),
		values(list(b), list(a, b)),
		values(list(a, b), list(a)),
		{set(www, "ttl", "60", "120")},
	} {
		expect.Nil(t, l.Apply(t.Context(), step))
	}
	id := func(n string) string { return strings.Repeat("0", 32-len(n)) + n }
	expect.Same(t, "what was sent", []string{
		`{"patches":[{"id":"` + id("1") + `","ttl":60}]}`,
		`{"posts":[{"name":"www.example.com","type":"A","content":"192.0.2.2","ttl":60,"proxied":false}]}`,
		`{"deletes":[{"id":"` + id("1") + `"}]}`,
		`{"posts":[{"name":"www.example.com","type":"A","content":"192.0.2.1","ttl":60,"proxied":false,"comment":"the old one","tags":["owner:web"],"settings":{"ipv4_only":true}}]}`,
		`{"deletes":[{"id":"` + id("3") + `"}]}`,
		`{"patches":[{"id":"` + id("4") + `","ttl":120}]}`,
	}, l.batches())
	want := first
	if diff := cmp.Diff([]cloudflaretest.Record{beside, want}, l.ofWWW(), cmpopts.IgnoreFields(cloudflaretest.Record{}, "ID")); diff != "" {
		t.Errorf("after going there and back (-want +got):\n%s", diff)
	}
}

// TestASetThatSharesNothingWithTheOldOneIsRewrittenInItsPlace: a batch reaches
// the name servers record by record, so a delete could be seen before a post.
func TestASetThatSharesNothingWithTheOldOneIsRewrittenInItsPlace(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{}, nil)
	l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) { r.Comment = "stays" })
	id := l.ofWWW()[0].ID
	expect.Nil(t, l.Apply(t.Context(), values(list(a), list(b, "192.0.2.3"))))
	expect.Same(t, "what was sent", []string{
		`{"patches":[{"id":"` + id + `","content":"192.0.2.2"}],"posts":[{"name":"www.example.com","type":"A","content":"192.0.2.3","ttl":120,"proxied":false}]}`,
	}, l.batches())
	got := l.ofWWW()[0]
	expect.Same(t, "the first record", []string{id, "192.0.2.2", "stays"}, []string{got.ID, got.Content, got.Comment})
}

func TestBothAddressFamiliesMoveInOneBatch(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.Records = []string{"www.example.com A+AAAA"} })
	l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "AAAA", Content: "2001:db8::1", TTL: 120})
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set("www.example.com A+AAAA", "values", list(a, "2001:db8::1"), list(b, "2001:db8::2"))}))
	if n := len(l.batches()); n != 1 {
		t.Errorf("%d batches: %q", n, l.batches())
	}
	expect.Same(t, "A", []string{b}, l.Contents("www.example.com", "A"))
	expect.Same(t, "AAAA", []string{"2001:db8::2"}, l.Contents("www.example.com", "AAAA"))
}

func TestAutomaticTTLs(t *testing.T) {
	t.Run("automatic is read as 300, and stays automatic when a value is added", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) { r.TTL = 1 })
		s, err := l.Read(t.Context())
		expect.Nil(t, err)
		expect.Same(t, "ttl", state.Int(300), s.Get(www, "ttl"))
		expect.Nil(t, l.Apply(t.Context(), values(list(a), list(a, b))))
		expect.Same(t, "ttls", []int{1, 1}, []int{l.ofWWW()[0].TTL, l.ofWWW()[1].TTL})
	})
	t.Run("the way back from 60 to 300 makes it automatic again", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) { r.TTL = 1 })
		expect.Nil(t, l.Apply(t.Context(), []state.Change{set(www, "ttl", "300", "60")}))
		expect.Same(t, "60", 60, l.ofWWW()[0].TTL)
		expect.Nil(t, l.Apply(t.Context(), []state.Change{set(www, "ttl", "60", "300")}))
		expect.Same(t, "automatic", 1, l.ofWWW()[0].TTL)
	})
	t.Run("300 in figures stays in figures", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) { r.TTL = 300 })
		expect.Nil(t, l.Apply(t.Context(), values(list(a), list(a, b))))
		expect.Same(t, "ttls", []int{300, 300}, []int{l.ofWWW()[0].TTL, l.ofWWW()[1].TTL})
	})
}

func TestWhatIsProxied(t *testing.T) {
	proxied := func(t *testing.T) lab {
		t.Helper()
		l := newLab(t, cloudflaretest.Options{DNS: true}, nil)
		l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: "192.0.2.9", Proxied: true})
		return l
	}
	all := list(a, "192.0.2.9")
	t.Run("one proxied record makes the set proxied, with the edge's TTL", func(t *testing.T) {
		s, err := proxied(t).Read(t.Context())
		expect.Nil(t, err)
		expect.Same(t, "attributes", map[string]state.Value{"values": all, "ttl": "300", "proxied": "true"}, s.Objects[www].Attrs)
	})
	t.Run("whichever of the records it is", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Edit("www.example.com", "A", func(r *cloudflaretest.Record) { r.Proxied, r.TTL = true, 1 })
		l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: "192.0.2.9", TTL: 60})
		s, err := l.Read(t.Context())
		expect.Nil(t, err)
		expect.Same(t, "attributes", map[string]state.Value{"values": all, "ttl": "300", "proxied": "true"}, s.Objects[www].Attrs)
	})
	t.Run("its values move, and what is added is proxied too", func(t *testing.T) {
		l := proxied(t)
		change := values(all, list(a, b, "192.0.2.9"))
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Same(t, "the new record", `{"posts":[{"name":"www.example.com","type":"A","content":"192.0.2.2","ttl":1,"proxied":true}]}`, l.batches()[0])
		expect.Nil(t, l.Settle(t.Context(), change)) // nobody can see it, so nobody waits for it
	})
	t.Run("its TTL cannot be set, and the refusal says why", func(t *testing.T) {
		l := proxied(t)
		change := []state.Change{set(www, "ttl", "300", "60")}
		err := l.Apply(t.Context(), change)
		expect.Error(t, err, "www.example.com A is proxied: its TTL is always 300 and cannot be 60", "leave ttl out")
		expect.Is(t, err, driver.ErrPermanent, true)
		s, rerr := l.Read(t.Context())
		expect.Nil(t, rerr)
		expect.Error(t, l.Check(t.Context(), s, change), "its TTL is always 300", "")
		if len(l.batches()) != 0 {
			t.Error("something was sent")
		}
	})
	t.Run("it cannot be gated by looking it up; the reason offers the edge", func(t *testing.T) {
		l := proxied(t)
		expect.Error(t, l.Resolvable(t.Context(), www), "is proxied: it answers with Cloudflare's addresses", "gate it with a request through the edge")
	})
	t.Run("going behind the proxy takes the TTL along", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		expect.Error(t, l.Apply(t.Context(), []state.Change{set(www, "proxied", "false", "true")}), "its TTL is always 300", "ttl: 300 together with proxied: true")
		there := []state.Change{set(www, "proxied", "false", "true"), set(www, "ttl", "120", "300")}
		expect.Nil(t, l.Apply(t.Context(), there))
		expect.Same(t, "the record", cloudflaretest.Record{ID: l.ofWWW()[0].ID, Name: "www.example.com", Type: "A", Content: a, TTL: 1, Proxied: true}, l.ofWWW()[0])
		expect.Nil(t, l.Apply(t.Context(), []state.Change{there[0].Inverse(), there[1].Inverse()}))
		expect.Same(t, "and back", cloudflaretest.Record{ID: l.ofWWW()[0].ID, Name: "www.example.com", Type: "A", Content: a, TTL: 120}, l.ofWWW()[0])
	})
	t.Run("an answer is kept for 300 s, and no such name as long as the zone says", func(t *testing.T) {
		l := proxied(t)
		s, err := l.Read(t.Context())
		expect.Nil(t, err)
		d, err := l.CacheTime(t.Context(), www, s.Objects[www].Attrs)
		expect.Nil(t, err)
		expect.Same(t, "kept", 300.0, d.Seconds())
		d, err = l.CacheTime(t.Context(), www, nil)
		expect.Nil(t, err)
		expect.Same(t, "no such name", float64(cloudflaretest.NegativeTTL), d.Seconds())
	})
	t.Run("a record that is not proxied can be looked up", func(t *testing.T) {
		expect.Nil(t, newLab(t, cloudflaretest.Options{}, nil).Resolvable(t.Context(), www))
	})
}

func TestWhatIsRefusedSendsNothing(t *testing.T) {
	tests := map[string]struct {
		changes       []state.Change
		words, advice string
	}{
		"an empty set":                     {values(list(a), list()), "would be left without a value", "at least one"},
		"a TTL below the zone's minimum":   {[]state.Change{set(www, "ttl", "120", "30")}, "a TTL of 30 is too short", "at least 60"},
		"a TTL of more than a day":         {[]state.Change{set(www, "ttl", "120", "86401")}, "a TTL of 86401 is too long", "at most 86400"},
		"a CNAME beside an A":              {[]state.Change{set("www.example.com CNAME", "values", "", list("x.example.net"))}, "a CNAME stands alone", ""},
		"an A that is no address":          {values(list(a), list("example.com")), "example.com", ""},
		"a type that flip does not set":    {[]state.Change{set("www.example.com TXT", "values", "", list("x"))}, "TXT records cannot be set here", "A, AAAA, CNAME"},
		"a name of another zone":           {[]state.Change{set("www.example.org A", "values", "", list(a))}, "is not in zone example.com", ""},
		"two CNAMEs":                       {[]state.Change{set("x.example.com CNAME", "values", "", list("a.example.net", "b.example.net"))}, "a name has one CNAME", ""},
		"values that somebody else set":    {values(list("192.0.2.77"), list(b)), "192.0.2.1", ""},
		"one of several sets that drifted": {append(values(list(a), list(b)), set("new.example.com A", "values", list(a), list(b))), "absent", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, cloudflaretest.Options{}, nil)
			before := l.Records()
			expect.Error(t, l.Apply(t.Context(), test.changes), test.words, test.advice)
			expect.Same(t, "the zone", before, l.Records())
			if n := len(l.batches()); n != 0 {
				t.Errorf("%d batches were sent", n)
			}
		})
	}
}
