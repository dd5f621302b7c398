package nacos_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

func holdAbsent(c *nacos.Config) { c.HoldAbsent = true }

// back is the instance as its application registers it, later and otherwise.
func back() nacostest.Instance {
	return nacostest.Instance{Address: a1, Weight: 3, Metadata: map[string]string{"version": "2"}}
}

// successor is another process that drives the same run.
func (l lab) successor(t *testing.T) *nacos.Target {
	t.Helper()
	no := false
	d := open(t, nacos.Config{Servers: l.Servers(), Service: nacos.Names{"users"}, ConsumerCache: "none", Subscribe: &no, HoldAbsent: true}, driver.Env{Transport: l.Transport()})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestAnInstanceThatIsHeldWhileItIsGoneIsDisabledTheMomentItRegisters(t *testing.T) {
	for _, version := range versions[1:] {
		for name, away := range map[string]time.Duration{"before Nacos forgets": 20 * time.Second, "just after": 67 * time.Second, "long after": 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, nacostest.Options{Version: version}, holdAbsent)
				expect.Nil(t, l.Apply(t.Context(), disable(a1)))
				said, err := holding(t, l, disable(a1), func() {
					after(10 * time.Second)
					l.Leave("users", a1)
					after(away)
					l.Register("users", back())
					expect.Same(t, version+", "+name+": out when it registers", []string{a1}, l.out())
					writes := len(l.Writes())
					after(time.Minute)
					expect.Same(t, name+": writes after it is back", 0, len(l.Writes())-writes)
				})
				expect.Nil(t, err)
				for _, want := range []string{"is gone from Nacos", "flip writes its disable every second until it is back", "is back, disabled as flip holds it"} {
					if strings.Count(said, want) != 1 {
						t.Errorf("%s: want %q once in\n%s", name, want, said)
					}
				}
				i, _ := l.Get("users", a1)
				expect.Same(t, "weight", 10.0, i.Weight)
				if want := map[bool]string{true: "1", false: "2"}[away < time.Minute]; i.Metadata["version"] != want {
					t.Errorf("%s: version %q, want %q: metadata that was written is kept as long as Nacos would", name, i.Metadata["version"], want)
				}
			})
		}
	}
}

func TestAMomentAfterTheCleanerAnInstanceComesBackEnabledAndIsTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, holdAbsent)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		_, err := holding(t, l, disable(a1), func() {
			l.Leave("users", a1)
			after(65*time.Second + time.Millisecond) // the cleaner has just run, the next write is yet to come
			l.Register("users", back())
			expect.Same(t, "out when it registers", []string(nil), l.out())
			after(time.Second)
			expect.Same(t, "out a second later", []string{a1}, l.out())
		})
		expect.Nil(t, err)
	})
}

func TestWhileAnInstanceIsGoneOnlyItsDisableIsWrittenOnceASecond(t *testing.T) {
	for on, want := range map[bool]int{true: 61, false: 0} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.HoldAbsent = on })
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			_, err := holding(t, l, disable(a1), func() {
				after(time.Second)
				before := len(l.Writes())
				l.Leave("users", a1)
				l.Leave("users", a2) // nobody holds this one
				after(61 * time.Second)
				writes := l.Writes()[before:]
				expect.Same(t, "writes", want, len(writes))
				for _, w := range writes {
					if !strings.Contains(w, "ip=10.1.0.11&") || !strings.Contains(w, "enabled=false") || !strings.Contains(w, "weight=10") {
						t.Errorf("it wrote %s", w)
					}
				}
			})
			expect.Nil(t, err)
		})
	}
}

func TestWhatWasWrittenForAnInstanceThatStaysAwayIsTakenBack(t *testing.T) {
	ends := map[string]func(*testing.T, lab){
		"where the run ends or pauses": func(t *testing.T, l lab) { expect.Nil(t, l.Release(t.Context())) },
		"by a step that enables it": func(t *testing.T, l lab) {
			expect.Error(t, l.Apply(t.Context(), enable(a1)), "no instance 10.1.0.11:8080 is registered", "it was registered before")
		},
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, holdAbsent)
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			_, err := holding(t, l, disable(a1), func() {
				l.Leave("users", a1)
				after(2 * time.Minute)
			})
			expect.Nil(t, err)
			expect.Same(t, name+": left behind at first", 1, l.Phantoms())
			end(t, l)
			last := l.Writes()[len(l.Writes())-1]
			if !strings.Contains(last, "enabled=true") || !strings.Contains(last, "weight=10&") && !strings.HasSuffix(last, "weight=10") {
				t.Errorf("%s: the last write is %s", name, last)
			}
			after(time.Hour)
			l.Register("users", back())
			expect.Same(t, name+": out when it registers", []string(nil), l.out())
			i, _ := l.Get("users", a1)
			expect.Same(t, "metadata", back().Metadata, i.Metadata)
			writes := len(l.Writes())
			expect.Nil(t, l.Release(t.Context()))
			expect.Same(t, name+": writes of another release", 0, len(l.Writes())-writes)
		})
	}
}

func TestAnInstanceThatIsThereIsLeftAsItIsAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, holdAbsent)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		_, err := holding(t, l, disable(a1), func() {
			l.Leave("users", a1)
			after(2*time.Minute + 300*time.Millisecond)
		})
		expect.Nil(t, err)
		l.Register("users", back()) // nobody looked since
		expect.Nil(t, l.Release(t.Context()))
		expect.Same(t, "out", []string{a1}, l.out())
	})
}

func TestASuccessorOfADeadProcessHoldsAndTakesBackWhatThatOneWrote(t *testing.T) {
	seen := state.State{Objects: map[string]state.Object{id(a1): {Attrs: map[string]state.Value{nacos.Enabled: "true", nacos.Weight: "10", nacos.Ephemeral: "true"}}}}
	for name, resume := range map[string]bool{"which resumes": true, "which only goes back": false} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, holdAbsent)
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			_, err := holding(t, l, disable(a1), func() {
				l.Leave("users", a1)
				after(2 * time.Minute)
			})
			expect.Nil(t, err)
			next := lab{l.Fake, l.successor(t)}
			next.Inherit(seen, disable(a1))
			if resume {
				_, err := holding(t, next, disable(a1), func() {
					after(time.Minute)
					l.Register("users", back())
					expect.Same(t, "out when it registers", []string{a1}, l.out())
					l.Leave("users", a1)
					after(2 * time.Minute)
				})
				expect.Nil(t, err)
			}
			expect.Nil(t, next.Release(t.Context()))
			l.Register("users", back())
			expect.Same(t, name+": out when it registers", []string(nil), l.out())
			i, _ := l.Get("users", a1)
			expect.Same(t, name+": weight", 10.0, i.Weight)
		})
	}
}

func TestWhatCannotBeTakenBackIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, holdAbsent)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		said, err := holding(t, l, disable(a1), func() {
			l.Leave("users", a1)
			after(time.Minute)
			l.Fail(nacostest.RaftFailure)
			after(time.Minute)
		})
		expect.Nil(t, err)
		if strings.Count(said, "cannot be disabled in advance") != 1 {
			t.Errorf("want the failure once in\n%s", said)
		}
		expect.Error(t, l.Release(t.Context()), "what flip wrote for 10.1.0.11:8080 of service DEFAULT_GROUP@@users while that was gone could not be taken back", "it may be disabled when it registers")
		l.Heal()
		expect.Nil(t, l.Release(t.Context()))
		stranger := l.successor(t)
		stranger.Inherit(state.State{}, disable(a1))
		expect.Error(t, stranger.Release(t.Context()), "nobody knows its weight", "enable it in Nacos")
	})
}

func TestNothingIsWrittenForAPersistentInstanceThatSomebodyRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { holdAbsent(c); c.Service = nacos.Names{"legacy"} })
		l.Register("legacy", nacostest.Instance{Address: a1, Weight: 1, Persistent: true}, nacostest.Instance{Address: a2, Weight: 1, Persistent: true})
		out := []state.Change{set("DEFAULT_GROUP@@legacy/DEFAULT/"+a1, nacos.Enabled, "true", "false")}
		expect.Nil(t, l.Apply(t.Context(), out))
		writes := len(l.Writes())
		said, err := holding(t, l, out, func() {
			after(time.Second)
			l.Leave("legacy", a1)
			after(time.Minute)
		})
		expect.Nil(t, err)
		expect.Nil(t, l.Release(t.Context()))
		expect.Same(t, "writes", 0, len(l.Writes())-writes)
		if strings.Count(said, "it is persistent: somebody removed its registration") != 1 {
			t.Error(said)
		}
	})
}

func TestAnEmptyListIsNoAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, holdAbsent)
		_, err := l.Read(t.Context())
		expect.Nil(t, err)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		writes := len(l.Writes())
		said, err := holding(t, l, disable(a1), func() {
			expect.Nil(t, l.Restart(0))
			after(time.Minute)
		})
		expect.Nil(t, err)
		expect.Same(t, "writes", 0, len(l.Writes())-writes)
		if !strings.Contains(said, "no instance is listed where there were 3") {
			t.Error(said)
		}
	})
}

func TestHoldingWhatIsGoneIsRefusedOn1xBeforeAnythingIsWritten(t *testing.T) {
	l := newLab(t, nacostest.Options{Version: "1.4.8"}, holdAbsent)
	now, err := l.Read(t.Context())
	expect.Nil(t, err)
	for _, err := range []error{l.Check(t.Context(), now, disable(a1)), l.Apply(t.Context(), disable(a1))} {
		expect.Error(t, err, "hold_absent: Nacos 1.x keeps nothing for an instance that is gone", "leave hold_absent out")
		expect.Is(t, err, driver.ErrPermanent, true)
	}
	expect.Same(t, "writes", []string(nil), nonEmpty(l.Writes()))
}
