package nacos_test

import (
	"context"
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

// brief is a settle_timeout for what never settles.
func brief(c *nacos.Config) { c.SettleTimeout = time.Second }

func TestSettleReturnsWhenEveryNodeListedAndPushedTheChange(t *testing.T) {
	for _, version := range versions[1:] {
		l := newListeningLab(t, nacostest.Options{Version: version, Nodes: 2}, nil)
		for _, changes := range [][]state.Change{
			disable(a1), enable(a1), {set(id(a2), nacos.Weight, "10", "0.5")},
		} {
			expect.Nil(t, l.Apply(t.Context(), changes))
			expect.Same(t, "subscribed before the first write, at every node", 2, l.Subscribers("users"))
			expect.Nil(t, l.Settle(t.Context(), changes))
		}
		expect.Nil(t, l.Close())
	}
}

func TestSettleHearsOfAPersistentInstanceThatGoesAndComes(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Service = nacos.Names{"legacy"} })
	l.Register("legacy", nacostest.Instance{Address: a1, Weight: 2, Persistent: true, Metadata: map[string]string{"k": "v"}}, nacostest.Instance{Address: a2, Weight: 1, Persistent: true})
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	var gone []state.Change
	object := "DEFAULT_GROUP@@legacy/DEFAULT/" + a1
	for attr, v := range s.Objects[object].Attrs {
		gone = append(gone, set(object, attr, v, state.Absent))
	}
	back := make([]state.Change, len(gone))
	for i, c := range gone {
		back[i] = c.Inverse()
	}
	for _, changes := range [][]state.Change{gone, back} {
		expect.Nil(t, l.Apply(t.Context(), changes))
		expect.Nil(t, l.Settle(t.Context(), changes))
	}
	i, _ := l.Get("legacy", a1)
	expect.Same(t, "what came back", nacostest.Instance{Address: a1, Cluster: "DEFAULT", Weight: 2, Persistent: true, Metadata: map[string]string{"k": "v"}}, i)
}

func TestSettleTakesNothingForGranted(t *testing.T) {
	tests := map[string]struct {
		before, after func(lab)
		want, advice  string
	}{
		"a push that never comes": {
			before: func(l lab) { l.Fail(nacostest.Fault{Kind: nacostest.MutePush, Node: 1}) },
			want:   "what it pushed of DEFAULT_GROUP@@users still shows 10.1.0.11:8080",
		},
		"an empty push": {
			before: func(l lab) { l.Fail(nacostest.Fault{Kind: nacostest.EmptyPush, Node: 0}) },
			want:   "what it pushed of DEFAULT_GROUP@@users is empty: that proves nothing",
		},
		"a server that started anew": {
			after: func(l lab) { expect.Nil(t, l.Restart(1)) },
			want:  "its list of DEFAULT_GROUP@@users is empty",
		},
		"all servers started anew": {
			after: func(l lab) { expect.Nil(t, l.Restart(0)); expect.Nil(t, l.Restart(1)) },
			want:  "no instance is listed where there were",
		},
		"a server that is down": {
			after:  func(l lab) { l.Down(1) },
			want:   "connection refused",
			advice: "is Nacos up?",
		},
		"a list that lacks an instance": {
			after: func(l lab) { l.Leave("users", b1) },
			want:  "10.1.0.21:8080 was there before and is not listed now: the list is not complete",
		},
		"somebody who enables it": {
			after: func(l lab) { l.Set("users", a1, true, 10) },
			want:  "enabled of DEFAULT_GROUP@@users/DEFAULT/10.1.0.11:8080 is true, not false",
		},
		"an instance that is gone instead of out": {
			after: func(l lab) { l.Leave("users", a1) },
			want:  "enabled of DEFAULT_GROUP@@users/DEFAULT/10.1.0.11:8080 is absent, not false",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newListeningLab(t, nacostest.Options{Nodes: 2}, brief)
			_, err := l.Read(t.Context())
			expect.Nil(t, err)
			if test.before != nil {
				test.before(l)
			}
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			if test.after != nil {
				test.after(l)
			}
			ctx, progress := told(t.Context())
			err = l.Settle(ctx, disable(a1))
			expect.Error(t, err, "consumers do not see the change after 1s", "nothing was taken for granted")
			expect.Error(t, err, test.want, test.advice)
			if !strings.Contains(progress(), "consumers: ") {
				t.Error("nobody was told what it waits for")
			}
		})
	}
}

func TestSettleGoesOnWhenTheServersHaveRecovered(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{Nodes: 2}, nil)
	_, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Restart(0))
	expect.Nil(t, l.Restart(1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ctx = driver.WithProgress(ctx, func(text string) {
		if strings.Contains(text, "no instance is listed") {
			l.Remember(0)
			l.Remember(1)
		}
	})
	expect.Nil(t, l.Settle(ctx, disable(a1)))
	expect.Same(t, "out", []string{a1}, l.out())
}

func TestASubscriptionOutlivesWhatServersDoToConsumers(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{}, nil)
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Settle(t.Context(), disable(a1)))
	l.Detect()
	expect.Nil(t, l.Apply(t.Context(), enable(a1)))
	expect.Nil(t, l.Settle(t.Context(), enable(a1)))
	l.Reset()
	expect.Nil(t, l.Apply(t.Context(), disable(a2)))
	expect.Nil(t, l.Settle(t.Context(), disable(a2)))
}

func TestSettleWithoutASubscriptionBelievesTheLists(t *testing.T) {
	no := false
	l := newListeningLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Subscribe = &no })
	l.Fail(nacostest.Fault{Kind: nacostest.MutePush})
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Settle(t.Context(), disable(a1)))
	expect.Same(t, "subscribers", 0, l.Subscribers("users"))
}

func TestAGRPCPortThatCannotBeReachedIsSaidInSettleAndDoesNotStopTheWrite(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{}, func(c *nacos.Config) { brief(c); c.GRPCPort = 1 })
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	err := l.Settle(t.Context(), disable(a1))
	expect.Error(t, err, "gRPC port 127.0.0.1:1", "`subscribe: false` asks over HTTP only")
}

func TestAGRPCServerThatNeverAnswersHoldsNothingBeyondItsDeadline(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{}, func(c *nacos.Config) { brief(c); c.Timeout = 300 * time.Millisecond })
	l.Fail(nacostest.Fault{Kind: nacostest.Hang, On: "GRPC "})
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Error(t, l.Settle(t.Context(), disable(a1)), "gRPC port", "")
}

func TestNacos1IsAskedOverHTTPOnly(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{Version: "1.4.8"}, nil)
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Settle(t.Context(), disable(a1)))
}

func TestTheCachesOfConsumersRunAfterNacosShowsTheChange(t *testing.T) {
	for cache, want := range map[nacos.Cache]time.Duration{"ribbon": 30 * time.Second, "spring-lb": 35 * time.Second, "dubbo": 3 * time.Second, "none": 0, "90s": 90 * time.Second, "": 35 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.ConsumerCache = cache })
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			begin := time.Now()
			ctx, progress := told(t.Context())
			expect.Nil(t, l.Settle(ctx, disable(a1)))
			expect.Same(t, string(cache), want, time.Since(begin))
			if want > 0 && !strings.Contains(progress(), "consumers use the list that they have for "+want.String()+" more") {
				t.Error("nobody was told")
			}
			expect.Same(t, "expected", want+time.Second, l.Expect(disable(a1)))
			expect.Same(t, "expected of nothing", time.Duration(0), l.Expect(nil))
		})
	}
}

func TestWhatComesBackWhileCachesRunIsNotSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.ConsumerCache = "30s" })
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		time.AfterFunc(10*time.Second, func() { l.Set("users", a1, true, 10) })
		expect.Error(t, l.Settle(t.Context(), disable(a1)), "after the caches of consumers", "")
	})
}

func TestASettleThatIsCancelledSaysWhatItLastSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{}, nil)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		l.Set("users", a1, true, 10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := l.Settle(ctx, disable(a1))
		expect.Is(t, err, context.DeadlineExceeded, true)
		expect.Error(t, err, "last seen: enabled of", "")
	})
}

func TestASettleOfAnotherProcessTakesItsBaselineFromTheFirstLook(t *testing.T) {
	l := newListeningLab(t, nacostest.Options{}, nil)
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	later := open(t, nacos.Config{Servers: l.Servers(), Service: nacos.Names{"users"}, ConsumerCache: "none"}, driver.Env{})
	t.Cleanup(func() { _ = later.Close() })
	expect.Nil(t, later.Settle(t.Context(), disable(a1)))
}
