package httpdns_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
)

// at advances the bubble's clock to a time since its start.
func at(start time.Time, d time.Duration) {
	time.Sleep(time.Until(start.Add(d)))
	synctest.Wait()
}

func TestAnAnswerIsAskedForAgainAt75PercentOfItsTTLAndServedUntilThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 600, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		start := time.Now()
		look(t, c, name)
		s[0].Answer(name, 600, "192.0.2.2")

		at(start, 450*time.Second-time.Millisecond)
		if got := len(s[0].Requests()); got != 1 {
			t.Errorf("%d requests before 450 s, want 1", got)
		}
		s[0].Spoil(httpdnstest.Fault{Delay: 3 * time.Second})
		at(start, 451*time.Second) // the refresh is under way
		if got := len(s[0].Requests()); got != 2 {
			t.Errorf("%d requests after 450 s, want 2", got)
		}
		a := look(t, c, name)
		if diff := cmp.Diff([]any{[]string{"192.0.2.1"}, httpdns.FromCache}, []any{ips(a), a.Source}); diff != "" {
			t.Errorf("while it is refreshed the old answer is served (-want +got):\n%s", diff)
		}
		if got := time.Since(start); got != 451*time.Second {
			t.Errorf("the look-up waited: it is %s now", got)
		}
		at(start, 454*time.Second)
		if diff := cmp.Diff([]string{"192.0.2.2"}, ips(look(t, c, name))); diff != "" {
			t.Errorf("after the refresh (-want +got):\n%s", diff)
		}
	})
}

func TestAnAnswerThatNobodyUsesIsNotRefreshedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 100, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		look(t, c, name)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(s[0].Requests()); got != 2 {
			t.Errorf("%d requests in an hour without look-ups, want the first and one refresh", got)
		}
	})
}

func TestAnAnswerIsNeverServedBeyondItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 100, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, Local: local("198.51.100.1")})
		start := time.Now()
		look(t, c, name)
		s[0].Spoil(httpdnstest.Fault{Status: 502, Always: true}) // every refresh fails

		at(start, 100*time.Second-time.Millisecond)
		if diff := cmp.Diff([]string{"192.0.2.1"}, ips(look(t, c, name))); diff != "" {
			t.Errorf("until the end of the TTL (-want +got):\n%s", diff)
		}
		if tries := len(s[0].Requests()) - 1; tries < 2 {
			t.Errorf("a refresh that failed was tried %d times, want more than one", tries)
		}
		at(start, 100*time.Second)
		a := look(t, c, name)
		if diff := cmp.Diff([]any{[]string{"198.51.100.1"}, httpdns.FromLocal}, []any{ips(a), a.Source}); diff != "" {
			t.Errorf("at the end of the TTL the chain is asked, to its end (-want +got):\n%s", diff)
		}
	})
}

func TestARefreshThatHangsDoesNotTakeTheLocalDNSFromThoseWhoWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 8, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, Local: local("198.51.100.1")})
		start := time.Now()
		look(t, c, name)
		s[0].Spoil(httpdnstest.Fault{Hang: true, Always: true})
		at(start, 9*time.Second) // the refresh of second 6 is still under way
		a := look(t, c, name)
		if diff := cmp.Diff(httpdns.FromLocal, a.Source); diff != "" {
			t.Errorf("source (-want +got):\n%s", diff)
		}
		if got := time.Since(start); got != 16*time.Second {
			t.Errorf("answered after %s, want 6 s + 5 s of the refresh + 5 s of its own try", got)
		}
	})
}

func TestAnAnswerWithoutTTLIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 0, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		look(t, c, name)
		look(t, c, name)
		if got := len(s[0].Requests()); got != 2 {
			t.Errorf("%d requests, want 2", got)
		}
	})
}

func TestManyWhoWantOneNameAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 60, "192.0.2.1")
		s[0].Spoil(httpdnstest.Fault{Delay: time.Second})
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		var right atomic.Int32
		for range 50 {
			go func() {
				if got, err := c.Lookup(t.Context(), name); err == nil && len(got[name].IPs) == 1 {
					right.Add(1)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if right.Load() != 50 || len(s[0].Requests()) != 1 {
			t.Errorf("%d of 50 were answered with %d requests, want 50 with 1", right.Load(), len(s[0].Requests()))
		}
	})
}

func TestOneWhoGivesUpDoesNotTakeTheAnswerFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 60, "192.0.2.1")
		s[0].Spoil(httpdnstest.Fault{Delay: 2 * time.Second})
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Lookup(hasty, name); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the hasty one got %v", err)
		}
		look(t, c, name)
		if got := len(s[0].Requests()); got != 1 {
			t.Errorf("%d requests, want 1", got)
		}
	})
}

func TestANewNetworkStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 600, "192.0.2.1")
		var wifi atomic.Bool
		c := newClient(t, httpdns.Options{
			Clusters: clusters(one), Dial: n.Dial, WatchNetwork: 10 * time.Second,
			Addresses: func() ([]net.Addr, error) {
				if wifi.Load() {
					return []net.Addr{&net.IPNet{IP: net.IPv4(10, 0, 0, 2), Mask: net.CIDRMask(24, 32)}}, nil
				}
				return []net.Addr{&net.IPNet{IP: net.IPv4(100, 64, 0, 7), Mask: net.CIDRMask(32, 32)}}, nil
			},
		})
		start := time.Now()
		look(t, c, name)
		s[0].Answer(name, 600, "192.0.2.2")
		at(start, 60*time.Second)
		if got := len(s[0].Requests()); got != 1 {
			t.Fatalf("%d requests without a change, want 1", got)
		}
		wifi.Store(true)
		s[0].Spoil(httpdnstest.Fault{Delay: 500 * time.Millisecond})
		at(start, 70*time.Second)
		if diff := cmp.Diff([]string{"192.0.2.2"}, ips(look(t, c, name))); diff != "" {
			t.Errorf("while the new answer is on its way the old one is not served (-want +got):\n%s", diff)
		}
		at(start, 71*time.Second)
		if got := len(s[0].Requests()); got != 2 {
			t.Errorf("%d requests after the change, want 2: the name is in use", got)
		}
		if diff := cmp.Diff([]string{"192.0.2.2"}, ips(look(t, c, name))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestALookUpThatIsUnderWayFollowsIntoTheNewNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 600, "192.0.2.1")
		s[0].Spoil(httpdnstest.Fault{Hang: true}) // the old network swallows it
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		start := time.Now()
		time.AfterFunc(time.Second, c.NetworkChanged)
		look(t, c, name)
		if got := time.Since(start); got != time.Second {
			t.Errorf("answered after %s, want 1 s: the old try is not waited for", got)
		}
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer("kept.example.com", 600, "192.0.2.1")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, WatchNetwork: time.Second})
		look(t, c, "kept.example.com")
		s[0].Spoil(httpdnstest.Fault{Hang: true, Always: true})
		var err error
		go func() { _, err = c.Lookup(t.Context(), name) }()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if !errors.Is(err, httpdns.ErrClosed) {
			t.Errorf("the look-up ended with %v", err)
		}
		if _, err := c.Lookup(t.Context(), "kept.example.com"); !errors.Is(err, httpdns.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		c.NetworkChanged() // nothing happens
	})
}
