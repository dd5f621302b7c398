package engine_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

func gone(until float64, keep int, values ...string) journal.Replaced {
	return journal.Replaced{Target: "zone", Object: wwwA, Values: values, Keep: keep, At: at(until)}
}

func TestTheFloorIsTheLatestOfAllVersionsThatHeldWhatGoes(t *testing.T) {
	const a, b = "192.0.2.1", "192.0.2.2"
	for name, test := range map[string]struct {
		versions []journal.Replaced
		retired  []string
		want     float64
		none     bool
	}{
		"one version": {[]journal.Replaced{gone(10, 60, a)}, []string{a}, 72, false},
		"an old version with a long TTL ends last":  {[]journal.Replaced{gone(10, 3600, a), gone(20, 60, a), gone(30, 60, a, b)}, []string{a}, 3612, false},
		"versions without the value do not count":   {[]journal.Replaced{gone(10, 3600, b), gone(20, 60, a)}, []string{a}, 82, false},
		"nothing retired is every version":          {[]journal.Replaced{gone(10, 3600, b), gone(20, 60, a)}, nil, 3612, false},
		"a name that did not exist is a version":    {[]journal.Replaced{gone(10, 900)}, nil, 912, false},
		"and it holds no value":                     {[]journal.Replaced{gone(10, 900)}, []string{a}, 0, true},
		"no version at all":                         {nil, nil, 0, true},
		"two spellings of an address are one value": {[]journal.Replaced{gone(10, 60, "2001:db8::1")}, []string{"2001:DB8:0:0::1"}, 72, false},
		"two spellings of a name are one value":     {[]journal.Replaced{gone(10, 60, "Edge.example.com.")}, []string{"edge.example.com"}, 72, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, ok := engine.SafeAt(test.versions, test.retired, 2*time.Second)
			same(t, "there is a floor", !test.none, ok)
			if ok {
				same(t, "the floor", at(test.want), got)
			}
		})
	}
}

func TestWhatIsRetiredIsWhatNoVersionServesAnyMore(t *testing.T) {
	versions := []journal.Replaced{gone(1, 1, "192.0.2.1"), gone(2, 1, "192.0.2.1", "192.0.2.2"), gone(3, 1, "192.0.2.3", "192.0.2.2")}
	same(t, "retired", []string{"192.0.2.1", "192.0.2.3"}, engine.Retired(versions, []string{"192.0.2.2"}))
	same(t, "nothing", []string(nil), engine.Retired(versions[:1], []string{"192.0.2.1"}))
}

// timeline is a random history of one record set: versions, each replaced at
// one of the name servers after the other.
type timeline struct {
	versions []journal.Replaced
	began    []float64 // when the first name server stopped serving the version
	now      []string
}

func randomTimeline(rng *rand.Rand) timeline {
	var l timeline
	addresses := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}
	set := func() []string {
		rng.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
		return slices.Clone(addresses[:rng.IntN(len(addresses)+1)])
	}
	ttls := []int{1, 2, 20, 60, 300, 3600}
	clock := 0.0
	for range 1 + rng.IntN(5) {
		clock += 1 + rng.Float64()*200
		began := clock
		clock += rng.Float64() * 30 // the other name servers follow
		l.versions = append(l.versions, gone(clock, ttls[rng.IntN(len(ttls))], set()...))
		l.began = append(l.began, began)
	}
	l.now = set()
	return l
}

// caches are answers that resolvers have: what they hold, and until when. Each
// asked some name server at some moment, the worst right before a change.
func (l timeline) caches(rng *rand.Rand) (held []journal.Replaced) {
	from := 0.0
	for i, v := range l.versions {
		until := v.At.Sub(epoch).Seconds()
		for range 20 {
			asked := from + rng.Float64()*(until-from)
			if rng.IntN(4) == 0 {
				asked = until - 0.001
			}
			// A resolver counts whole seconds, and answers with 0 left too.
			ends := asked + float64(v.Keep) + rng.Float64()
			held = append(held, journal.Replaced{Values: v.Values, At: at(ends)})
		}
		from = l.began[i]
	}
	return held
}

// violations counts the caches that hold a retired value when wait is over.
func violations(wait func(l timeline, retired []string) time.Time) (worlds, wrong int) {
	rng := rand.New(rand.NewPCG(7, 11))
	for range 3000 {
		l := randomTimeline(rng)
		retired := engine.Retired(l.versions, l.now)
		if len(retired) == 0 {
			continue
		}
		worlds++
		safe := wait(l, retired)
		for _, c := range l.caches(rng) {
			if c.At.After(safe) && slices.ContainsFunc(c.Values, func(v string) bool { return slices.Contains(retired, v) }) {
				wrong++
			}
		}
	}
	return worlds, wrong
}

func TestNoCacheHoldsARetiredValueAfterTheFloor(t *testing.T) {
	worlds, wrong := violations(func(l timeline, retired []string) time.Time {
		at, _, _ := engine.SafeAt(l.versions, retired, engine.DefaultSlack)
		return at
	})
	t.Logf("%d worlds, %d caches too late", worlds, wrong)
	if wrong > 0 || worlds < 1000 {
		t.Errorf("%d caches of %d worlds hold a retired value after the floor", wrong, worlds)
	}
	for name, wait := range map[string]func(timeline, []string) time.Time{
		"the newest version alone": func(l timeline, _ []string) time.Time {
			at, _, _ := engine.SafeAt(l.versions[len(l.versions)-1:], nil, engine.DefaultSlack)
			return at
		},
		"the TTL of the newest version that held it": func(l timeline, retired []string) time.Time {
			for _, v := range slices.Backward(l.versions) {
				if at, _, ok := engine.SafeAt([]journal.Replaced{v}, retired, engine.DefaultSlack); ok {
					return at
				}
			}
			return epoch
		},
		"counted from the first name server's change": func(l timeline, retired []string) time.Time {
			early := slices.Clone(l.versions)
			for i := range early {
				early[i].At = at(l.began[i])
			}
			at, _, _ := engine.SafeAt(early, retired, engine.DefaultSlack)
			return at
		},
	} {
		worlds, wrong := violations(wait)
		t.Logf("control, %s: %d worlds, %d caches too late", name, worlds, wrong)
		if wrong == 0 {
			t.Errorf("control, %s: nothing was found wrong: this test cannot fail", name)
		}
	}
}
