package nacos_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

// holding holds changes on a fake clock while story happens, and returns what
// Hold said.
func holding(t *testing.T, l lab, changes []state.Change, story func()) (string, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx, progress := told(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.Hold(ctx, changes) }()
	synctest.Wait()
	story()
	cancel()
	return progress(), <-ended
}

// after lets time pass and everybody come to rest.
func after(d time.Duration) {
	time.Sleep(d) // on a fake clock
	synctest.Wait()
}

func TestADisableIsHeldOverAnAbsenceThatTheServerForgets(t *testing.T) {
	for _, version := range versions {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, nacostest.Options{Version: version}, nil)
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			said, err := holding(t, l, disable(a1), func() {
				after(10 * time.Second)
				l.Leave("users", a1)
				after(2 * time.Minute)
				l.Register("users", nacostest.Instance{Address: a1, Weight: 10})
				expect.Same(t, version+": out when it registers", []string(nil), l.out())
				after(time.Second)
				expect.Same(t, version+": out a second later", []string{a1}, l.out())
			})
			expect.Nil(t, err)
			for _, want := range []string{"10.1.0.11:8080 is gone from Nacos", "is enabled again although flip holds it out (it was away for 2m0s): put back at once", "expired-metadata.expired-time"} {
				if !strings.Contains(said, want) {
					t.Errorf("%s: want %q in\n%s", version, want, said)
				}
			}
		})
	}
}

func TestADisableOutlivesAShortRestartByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		writes := len(l.Writes())
		said, err := holding(t, l, disable(a1), func() {
			l.Leave("users", a1)
			after(30 * time.Second)
			l.Register("users", nacostest.Instance{Address: a1, Weight: 10})
			after(5 * time.Second)
		})
		expect.Nil(t, err)
		expect.Same(t, "out", []string{a1}, l.out())
		expect.Same(t, "writes while it was held", 0, len(l.Writes())-writes)
		if strings.Contains(said, "put back") {
			t.Error(said)
		}
	})
}

func TestAReappearanceFailsTheStepWhereThePlanSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.OnReappear = "fail" })
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		_, err := holding(t, l, disable(a1), func() {
			l.Set("users", a1, true, 10)
			after(time.Second)
		})
		expect.Error(t, err, "is enabled again although flip holds it out", "look at who")
		expect.Same(t, "out", []string(nil), l.out())
	})
}

func TestAWeightIsHeldOverAnAbsenceAndNotAgainstAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		quarter := []state.Change{set(id(a1), nacos.Weight, "10", "2.5")}
		expect.Nil(t, l.Apply(t.Context(), quarter))
		said, err := holding(t, l, quarter, func() {
			l.Leave("users", a1)
			after(2 * time.Minute)
			l.Register("users", nacostest.Instance{Address: a1, Weight: 10})
			after(time.Second)
			i, _ := l.Get("users", a1)
			expect.Same(t, "weight after the absence", 2.5, i.Weight)
			l.Set("users", a1, true, 4)
			after(time.Minute)
		})
		expect.Nil(t, err)
		i, _ := l.Get("users", a1)
		expect.Same(t, "weight after a person set it", 4.0, i.Weight)
		if !strings.Contains(said, "came back with weight 10 instead of 2.5") {
			t.Error(said)
		}
	})
}

func TestHoldSaysWhatItCannotSeeAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		said, err := holding(t, l, disable(a1), func() {
			l.Down(0)
			after(5 * time.Second)
			l.Set("users", a1, true, 10)
			expect.Nil(t, l.Restart(0))
			l.Remember(0)
			fault := nacostest.RaftFailure
			fault.Times = 2
			l.Fail(fault)
			after(5 * time.Second)
		})
		expect.Nil(t, err)
		expect.Same(t, "out", []string{a1}, l.out())
		for _, want := range []string{"cannot see whether instances stay as flip left them", "putting it back failed", "put back at once"} {
			if !strings.Contains(said, want) {
				t.Errorf("want %q in\n%s", want, said)
			}
		}
	})
}

func TestHoldSurvivesBeingBegunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		_, err := holding(t, l, disable(a1), func() {
			l.Leave("users", a1)
			after(50 * time.Second)
		})
		expect.Nil(t, err)
		said, err := holding(t, l, append(disable(a1), disable(a2)...), func() {
			after(50 * time.Second)
			l.Register("users", nacostest.Instance{Address: a1, Weight: 10})
			after(time.Second)
		})
		expect.Nil(t, err)
		if !strings.Contains(said, "it was away for 1m40s") {
			t.Error(said)
		}
	})
}

func TestHoldOfNothingThatIsForgottenWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		_, err := holding(t, l, enable(a1), func() { after(time.Minute) })
		expect.Nil(t, err)
		expect.Same(t, "requests", 0, len(l.Requests()))
		_, err = holding(t, l, []state.Change{set("elsewhere", nacos.Enabled, "true", "false")}, func() { after(time.Second) })
		expect.Error(t, err, "is no instance of this target", "GROUP@@service/CLUSTER/ip:port")
	})
}
