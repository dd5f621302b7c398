package adguard_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/adguard/adguardtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestAnAnswerThatIsLostAfterTheWrite(t *testing.T) {
	for name, kind := range map[string]fault{
		"a gateway's 502":     {Kind: adguardtest.LoseAnswer, Status: 502, Text: "Bad Gateway"},
		"a connection closed": {Kind: adguardtest.BreakOff},
	} {
		for _, verb := range []string{"add", "update", "delete"} {
			t.Run(name+" of "+verb+" is settled by the list, and nothing is sent twice", func(t *testing.T) {
				l := newLab(t, adguardtest.Options{}, nil, a, c)
				kind.Path = "/" + verb
				l.Fail(kind)
				expect.Nil(t, l.Apply(t.Context(), values(seq(a, c), seq(b, a, c))))
				expect.Same(t, "answers", []string{b, a, c}, l.Answers(host))
				expect.Same(t, "calls", []string{"add", "add", "add", "update", "delete", "update", "delete"}, l.Writes())
			})
		}
	}
}

func TestAWriteThatMayStillLandIsUnknown(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	l.Fail(fault{Kind: adguardtest.Refuse, Path: "/add", Status: 503, Text: "busy"})
	err := l.Apply(t.Context(), values(seq(a), seq(a, b)))
	expect.Error(t, err, "add www.example.com 192.0.2.2: 503 Service Unavailable: busy", "")
	expect.Is(t, err, driver.ErrUnknown, true)
	expect.Is(t, err, driver.ErrPermanent, false)
	expect.Same(t, "calls", []string{"add"}, l.Writes())
}

func TestASuccessWithoutEffectIsAnError(t *testing.T) {
	for _, verb := range []string{"add", "update", "delete"} {
		t.Run(verb, func(t *testing.T) {
			l := newLab(t, adguardtest.Options{}, nil, a, c)
			l.Fail(fault{Kind: adguardtest.Ignore, Path: "/" + verb})
			err := l.Apply(t.Context(), values(seq(a, c), seq(b, a, c)))
			expect.Error(t, err, "answered 200 and the rewrites are as they were", "log")
			expect.Nil(t, l.Apply(t.Context(), values(seq(a, c), seq(b, a, c)))) // and goes on from there
			expect.Same(t, "answers", []string{b, a, c}, l.Answers(host))
			expect.Same(t, "what was put aside", 0, len(l.retired()))
		})
	}
}

// TestARunThatDiedGoesOn: the process ends after each of its calls; another
// one finishes.
func TestARunThatDiedGoesOn(t *testing.T) {
	change := values(seq(a, c), seq(b, a, c))
	for n := range 8 {
		l := newLab(t, adguardtest.Options{}, nil, a, c)
		l.Fail(fault{Kind: adguardtest.Refuse, Path: "/list", Skip: n, Times: 1, Status: 503})
		err := l.Apply(t.Context(), change)
		if n < 8 && err == nil {
			t.Fatalf("list %d did not fail", n)
		}
		expect.Nil(t, l.Apply(t.Context(), change))
		expect.Same(t, "answers", []string{b, a, c}, l.Answers(host))
		expect.Same(t, "what was put aside", 0, len(l.retired()))
		expect.Nil(t, l.Apply(t.Context(), []state.Change{change[0].Inverse()}))
		expect.Same(t, "and back", rowsOf(a, c), l.Rows())
	}
}

// TestASecondOperatorIsNotOverwritten: whatever is written between any two
// calls of flip stays as it is, and flip says what it found.
func TestASecondOperatorIsNotOverwritten(t *testing.T) {
	foreign := rowsOf("203.0.113.9")
	for _, path := range []string{"/list", "/update"} {
		t.Run("before "+path, func(t *testing.T) {
			l := newLab(t, adguardtest.Options{}, nil, a)
			l.Fail(fault{Kind: adguardtest.Between, Path: path, Do: func() { l.Set(foreign...) }})
			isDrift(t, l.Apply(t.Context(), values(seq(a), seq(b))), seq("203.0.113.9"))
			expect.Same(t, "rows", foreign, l.Rows())
		})
	}
	t.Run("in the middle of several calls nothing more is written", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a, c)
		l.Fail(fault{Kind: adguardtest.Between, Path: "/delete", Do: func() { l.Set(append(l.Rows(), foreign...)...) }})
		err := l.Apply(t.Context(), values(seq(a, c), seq(b)))
		if err == nil || len(l.Writes()) != 2 {
			t.Errorf("%v after %v", err, l.Writes())
		}
		expect.Same(t, "answers", []string{c, b, "203.0.113.9"}, l.Answers(host))
	})
	t.Run("the same value twice at once is noticed", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a)
		l.Fail(fault{Kind: adguardtest.Between, Path: "/add", Do: func() { l.Set(rowsOf(a, b)...) }})
		expect.Error(t, l.Apply(t.Context(), values(seq(a), seq(a, b))), "somebody else changes rewrites of the name at the same time", "nothing of theirs")
		expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(a, b)))) // and the duplicate goes
		expect.Same(t, "rows", rowsOf(a, b), l.Rows())
	})
	t.Run("other names are nobody's business", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a)
		l.Fail(fault{Kind: adguardtest.Between, Path: "/add", Do: func() { l.Set(append(l.Rows(), row{Domain: "x.example.com", Answer: a})...) }})
		expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(a, b))))
		expect.Same(t, "answers", []string{a, b}, l.Answers(host))
	})
}

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	f := adguardtest.Start(t, adguardtest.Options{})
	password := "wrong-password-1"
	e := env("")
	e.Secrets.Getenv = func(string) (string, bool) { return password, true }
	d := open(t, config(f), e)
	t.Cleanup(func() { _ = d.Close() })
	for range 20 {
		_, err := d.Read(t.Context())
		expect.Error(t, err, "401 Unauthorized", "refused for 15 minutes")
		expect.Is(t, err, driver.ErrPermanent, true)
		if strings.Contains(err.Error(), password) {
			t.Errorf("the password shows in %v", err)
		}
	}
	expect.Same(t, "calls", 1, len(f.Calls()))
	password = adguardtest.Password // it was corrected while the run waits
	_, err := d.Read(t.Context())
	expect.Nil(t, err)
}

func TestALockedOutUserIsToldSo(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	for range adguardtest.Attempts {
		d := open(t, config(l.Fake), env("wrong"))
		if _, err := d.Read(t.Context()); err == nil {
			t.Fatal("a wrong password was taken")
		}
		expect.Nil(t, d.Close())
	}
	err := l.Apply(t.Context(), values(seq(a), seq(b)))
	expect.Error(t, err, "401", "until AdGuard Home is restarted")
	expect.Is(t, err, driver.ErrPermanent, true)
	l.Restart()
	d := open(t, config(l.Fake), env(adguardtest.Password))
	_, err = d.Read(t.Context())
	expect.Nil(t, err)
	expect.Nil(t, d.Close())
}

func TestThePasswordIsInNoErrorAndNoLog(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	var texts []string
	for _, x := range []fault{{Kind: adguardtest.Refuse, Status: 500, Text: "x"}, {Kind: adguardtest.BreakOff, Times: 2}, {Kind: adguardtest.Refuse, Status: 302}, {Kind: adguardtest.Refuse, Status: 401}} {
		l.Fail(x)
		_, err := l.Read(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
		texts = append(texts, err.Error())
	}
	for _, text := range append(texts, l.logged()) {
		if strings.Contains(text, adguardtest.Password) || strings.Contains(text, "Basic ") {
			t.Errorf("the password shows in %q", text)
		}
	}
}

func TestVersionsThatAreTooOldSaySo(t *testing.T) {
	l := newLab(t, adguardtest.Options{Old: true, NoUpdate: true}, nil, a)
	expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(a, b))))
	expect.Nil(t, l.Apply(t.Context(), values(seq(a, b), seq(b))))
	err := l.Apply(t.Context(), values(seq(b), seq(a)))
	expect.Error(t, err, "404 Not Found", "v0.107.30 or newer")
	expect.Is(t, err, driver.ErrPermanent, true)
	expect.Same(t, "answers", []string{b}, l.Answers(host))
}

func TestSettleAsksTheServerItself(t *testing.T) {
	change := values(seq(a), seq(b, a))
	t.Run("the wrong order is not enough", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, func(c *adguard.Config) { c.SettleTimeout = 2 * time.Second }, a, b)
		expect.Error(t, l.Settle(t.Context(), change), "answers www.example.com A with 192.0.2.1 192.0.2.2, not 192.0.2.2 192.0.2.1", "rewrites and protection")
	})
	t.Run("rewrites that are switched off are not enough", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, func(c *adguard.Config) { c.SettleTimeout = 2 * time.Second }, b, a)
		l.Switch(false)
		expect.Error(t, l.Settle(t.Context(), change), "with nothing", "")
	})
	t.Run("without an address of it the list has to do", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, func(c *adguard.Config) { c.DNS, c.SettleTimeout = "", 2*time.Second }, b, a)
		expect.Nil(t, l.Settle(t.Context(), change))
		expect.Error(t, l.Settle(t.Context(), values(seq(a), seq(a))), "www.example.com A is 192.0.2.2, 192.0.2.1, not 192.0.2.1", "")
	})
	t.Run("of a wildcard a name below it is asked for", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil)
		l.Set(row{Domain: "*.apps.example.com", Answer: a})
		expect.Nil(t, l.Settle(t.Context(), []state.Change{set(wild, "values", "", seq(a))}))
	})
	t.Run("it waits until the change is answered", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a)
		ctx := driver.WithProgress(t.Context(), func(string) { l.Set(rowsOf(b, a)...) }) // the first look was too early
		expect.Nil(t, l.Settle(ctx, change))
	})
	t.Run("it ends with its caller", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		expect.Error(t, l.Settle(ctx, change), "last seen", "")
		if err := l.Settle(canceled(t), change); err == nil {
			t.Error("no error")
		}
	})
}
