package cloudflare_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/cloudflare"
	"github.com/flip-cli/flip/pkg/driver/cloudflare/cloudflaretest"
	"github.com/flip-cli/flip/pkg/state"
)

type fault = cloudflaretest.Fault

func TestAnAnswerThatIsLostAfterTheWrite(t *testing.T) {
	for name, f := range map[string]fault{
		"a gateway's 502":     {Kind: cloudflaretest.LoseAnswer, Method: http.MethodPost, Status: 502},
		"a connection closed": {Kind: cloudflaretest.BreakOff, Method: http.MethodPost},
	} {
		t.Run(name+" is settled by reading back, and nothing is sent twice", func(t *testing.T) {
			l := newLab(t, cloudflaretest.Options{}, nil)
			l.Fail(f)
			expect.Nil(t, l.Apply(t.Context(), values(list(a), list(a, b))))
			expect.Same(t, "the set", []string{a, b}, l.Contents("www.example.com", "A"))
			if n := len(l.batches()); n != 1 {
				t.Errorf("%d batches: %q", n, l.batches())
			}
		})
	}
}

func TestAWriteThatMayStillLandIsUnknown(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{}, nil)
	l.Fail(fault{Kind: cloudflaretest.Refuse, Method: http.MethodPost, Status: 503})
	err := l.Apply(t.Context(), values(list(a), list(a, b)))
	expect.Is(t, err, driver.ErrUnknown, true)
	expect.Is(t, err, driver.ErrPermanent, false)
	if n := len(l.batches()); n != 1 {
		t.Errorf("the write was sent %d times", n)
	}
}

func TestAnIdenticalRecord(t *testing.T) {
	t.Run("that is what was wanted counts once it is seen", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Between, Method: http.MethodPost, Do: func() {
			l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: b, TTL: 120})
		}})
		expect.Nil(t, l.Apply(t.Context(), values(list(a), list(a, b))))
		expect.Same(t, "the set", []string{a, b}, l.Contents("www.example.com", "A"))
	})
	t.Run("that nobody sees is no success", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Refuse, Method: http.MethodPost, Times: 10, Status: 400, Code: 81058, Message: "An identical record already exists."})
		expect.Error(t, l.Apply(t.Context(), values(list(a), list(a, b))), "81058 An identical record already exists.", "")
		expect.Same(t, "the set", []string{a}, l.Contents("www.example.com", "A"))
	})
}

// TestASecondOperatorIsNotOverwritten: whatever is written between any two
// calls of flip stays, and flip says what it found.
func TestASecondOperatorIsNotOverwritten(t *testing.T) {
	foreign := cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: "203.0.113.9", TTL: 120}
	for name, nth := range map[string]int{"after the first look": 2, "right before the batch's own look": 3} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.ZoneID = cloudflaretest.ZoneID })
			_, err := l.Read(t.Context())
			expect.Nil(t, err)
			for range nth - 2 {
				l.Fail(fault{Kind: cloudflaretest.Slow, Method: http.MethodGet})
			}
			l.Fail(fault{Kind: cloudflaretest.Between, Method: http.MethodGet, Do: func() {
				l.Remove("www.example.com", "A")
				l.Put(foreign)
			}})
			err = l.Apply(t.Context(), values(list(a), list(b)))
			drift, ok := errors.AsType[*driver.DriftError](err)
			if !ok || drift.Now != list(foreign.Content) {
				t.Errorf("want the drift to %s, got %v", foreign.Content, err)
			}
			expect.Same(t, "the set", []string{foreign.Content}, l.Contents("www.example.com", "A"))
		})
	}
	t.Run("between the look and the batch: the batch is about records by id, so all of it fails", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Between, Method: http.MethodPost, Do: func() {
			l.Remove("www.example.com", "A")
			l.Put(foreign)
		}})
		err := l.Apply(t.Context(), values(list(a), list(b)))
		if _, ok := errors.AsType[*driver.DriftError](err); !ok {
			t.Errorf("want drift, got %v", err)
		}
		expect.Same(t, "the set", []string{foreign.Content}, l.Contents("www.example.com", "A"))
	})
	t.Run("a record that somebody adds at that moment stays, and flip says that the set is not what it wrote", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Between, Method: http.MethodPost, Do: func() { l.Put(foreign) }})
		expect.Error(t, l.Apply(t.Context(), values(list(a), list(a, b))), "203.0.113.9", "a second writer")
		expect.Same(t, "the set", []string{a, b, foreign.Content}, l.Contents("www.example.com", "A"))
	})
}

func TestTheRateLimit(t *testing.T) {
	t.Run("is waited out as long as it asks", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Refuse, Method: http.MethodPost, Status: 429, RetryAfter: "1", Code: 971, Message: "Please wait"})
		begin := time.Now()
		expect.Nil(t, l.Apply(t.Context(), values(list(a), list(b))))
		if d := time.Since(begin); d < time.Second {
			t.Errorf("came again after %s", d)
		}
		expect.Same(t, "the set", []string{b}, l.Contents("www.example.com", "A"))
	})
	t.Run("that asks for longer than the call may take ends it at once", func(t *testing.T) {
		for asked, says := range map[string]string{
			"300": "asked to wait 5m0s, which is longer than the call may take",
			time.Now().Add(5 * time.Hour).UTC().Format(http.TimeFormat): "asked to wait 4h59m5", // a date is as good
		} {
			l := newLab(t, cloudflaretest.Options{}, nil)
			l.Fail(fault{Kind: cloudflaretest.Refuse, Status: 429, RetryAfter: asked, Code: 971, Message: "Please wait"})
			_, err := l.Read(t.Context())
			expect.Error(t, err, says, "1200 requests in 5 minutes")
			expect.Is(t, err, driver.ErrPermanent, false)
		}
	})
	t.Run("is no reason to outlive the caller", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		l.Fail(fault{Kind: cloudflaretest.Refuse, Status: 429, Times: 100, RetryAfter: "1"})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if _, err := l.Read(ctx); err == nil {
			t.Error("no error")
		}
		if n := len(l.Calls()); n > 3 {
			t.Errorf("%d calls", n)
		}
	})
	t.Run("ends after some tries", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.Timeout = time.Minute; c.ZoneID = cloudflaretest.ZoneID })
		l.Fail(fault{Kind: cloudflaretest.Refuse, Status: 429, Times: 1000, RetryAfter: time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)})
		_, err := l.Read(t.Context())
		expect.Error(t, err, "429 Too Many Requests", "")
		expect.Same(t, "calls", 6, len(l.Calls()))
	})
}

func TestAQuestionIsAskedAgainAndAWriteIsNot(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{}, nil)
	l.Fail(fault{Kind: cloudflaretest.Refuse, Method: http.MethodGet, Status: 502, Times: 2})
	_, err := l.Read(t.Context())
	expect.Nil(t, err)
	l.Fail(fault{Kind: cloudflaretest.Refuse, Method: http.MethodGet, Status: 502, Times: 3})
	_, err = l.Read(t.Context())
	expect.Error(t, err, "502 Bad Gateway: an answer that is not the API's", "")
	expect.Is(t, err, driver.ErrPermanent, false)
}

func TestCredentials(t *testing.T) {
	tests := map[string]struct{ token, words, advice string }{
		"a wrong token":    {"not-the-token-at-all", "9109 Invalid access token", "DNS Write"},
		"a variable unset": {"", "environment variable NOPE is not set", "export NOPE"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := cloudflaretest.Start(t, cloudflaretest.Options{})
			cfg := config(f, www)
			if test.token == "" {
				cfg.Token = "${env:NOPE}"
			}
			d := open(t, cfg, env(test.token))
			_, err := d.Read(t.Context())
			expect.Error(t, err, test.words, test.advice)
			expect.Is(t, err, driver.ErrPermanent, true)
			if test.token != "" && strings.Contains(err.Error(), test.token) {
				t.Errorf("the error shows the token: %v", err)
			}
			if len(f.Calls()) > 1 {
				t.Errorf("asked %d times", len(f.Calls()))
			}
			expect.Nil(t, d.Close())
		})
	}
}

func TestTheTokenIsInNoErrorAndNoLog(t *testing.T) {
	var log strings.Builder
	l, logged := loggedLab(t, &log)
	l.Fail(
		fault{Kind: cloudflaretest.Refuse, Method: http.MethodGet, Status: 502, Times: 2},
		fault{Kind: cloudflaretest.Refuse, Method: http.MethodPost, Status: 429, RetryAfter: "1"},
		fault{Kind: cloudflaretest.Refuse, Method: http.MethodPost, Status: 400, Code: 1, Message: "no"},
	)
	err := l.Apply(t.Context(), values(list(a), list(b)))
	expect.Error(t, err, "1 no", "")
	_, cut := l.Read(canceled(t))
	for _, text := range []string{err.Error(), cut.Error(), logged()} {
		if strings.Contains(text, cloudflaretest.Token) {
			t.Errorf("the token shows in %q", text)
		}
	}
	if !strings.Contains(logged(), "asking Cloudflare again") {
		t.Error("nothing was logged: the check saw nothing")
	}
}

func TestTheZone(t *testing.T) {
	t.Run("is looked up once by its name", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, nil)
		for range 3 {
			_, err := l.Read(t.Context())
			expect.Nil(t, err)
		}
		n := 0
		for _, c := range l.Calls() {
			if strings.HasSuffix(c.Path, "/zones") {
				n++
			}
		}
		expect.Same(t, "look-ups", 1, n)
	})
	t.Run("by id is not looked up at all", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.ZoneID = cloudflaretest.ZoneID })
		_, err := l.Read(t.Context())
		expect.Nil(t, err)
		expect.Same(t, "calls", 1, len(l.Calls()))
	})
	t.Run("that the token does not see is not found", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.Zone, c.Records = "example.org", nil })
		_, err := l.Read(t.Context())
		expect.Error(t, err, "look up zone example.org: 0 zones of that name", "zone_id")
		expect.Is(t, err, driver.ErrNotFound, true)
	})
	t.Run("with a wrong id is not found", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{}, func(c *cloudflare.Config) { c.ZoneID = strings.Repeat("a", 32) })
		_, err := l.Read(t.Context())
		expect.Error(t, err, "7003 Could not route", "is zone_id right")
		expect.Is(t, err, driver.ErrNotFound, true)
	})
	t.Run("says who its name servers are", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{NameServers: []string{"127.0.0.1", "::1"}}, nil)
		servers, err := l.NameServers(t.Context(), "www.example.com")
		expect.Nil(t, err)
		expect.Same(t, "servers", []string{"127.0.0.1:53", "[::1]:53"}, servers)
	})
}

func TestPagesThatNeverEndDoEnd(t *testing.T) {
	l := newLab(t, cloudflaretest.Options{PerPage: 1, IgnorePage: true}, nil)
	_, err := l.Read(t.Context())
	expect.Nil(t, err) // one record, one page
	l.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: b, TTL: 120})
	_, err = l.Read(t.Context())
	expect.Error(t, err, "the pages hold 1 of 2 records", "")
}

func TestSettleWaitsForTheNameServers(t *testing.T) {
	change := values(list(a), list(a, b))
	t.Run("and ends when they answer with the change", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{DNS: true, Propagation: 700 * time.Millisecond}, nil)
		begin := time.Now()
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Nil(t, l.Settle(t.Context(), change))
		if d := time.Since(begin); d < 700*time.Millisecond {
			t.Errorf("done after %s: before anybody could see it", d)
		}
	})
	t.Run("and says who does not", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{DNS: true, Propagation: time.Hour}, func(c *cloudflare.Config) { c.SettleTimeout = 2 * time.Second })
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Error(t, l.Settle(t.Context(), change), "has no www.example.com A yet", "settle_timeout")
	})
	t.Run("and says that somebody changed it again", func(t *testing.T) {
		l := newLab(t, cloudflaretest.Options{DNS: true}, nil)
		expect.Nil(t, l.Apply(t.Context(), change))
		l.Remove("www.example.com", "A")
		err := l.Settle(t.Context(), []state.Change{change[0]})
		if _, ok := errors.AsType[*driver.DriftError](err); !ok {
			t.Errorf("want drift, got %v", err)
		}
	})
}
