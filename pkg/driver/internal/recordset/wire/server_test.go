package wire_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
)

const www = "www.example.com"

func client(change ...func(*wire.Client)) wire.Client {
	k := dnstest.TestKey()
	c := wire.Client{Timeout: 3 * time.Second, Key: wire.Key{Name: k.Name, Algorithm: k.Algorithm, Secret: k.Secret}}
	for _, f := range change {
		f(&c)
	}
	return c
}

// stored is the set as the server has it, for prerequisites.
func stored(t *testing.T, s *dnstest.Server, typ string) []wire.Record {
	t.Helper()
	a, err := client().Ask(t.Context(), s.Addr(), www, typ)
	if err != nil {
		t.Fatal(err)
	}
	return a.Set(www, typ)
}

// What servers do with updates, as the drivers rely on it. Every row begins
// with "www 300 IN A 192.0.2.1" and "192.0.2.2".
func TestUpdatesAreWhatTheDriversRelyOn(t *testing.T) {
	type want struct {
		code   string // of the *wire.Error; "" is NOERROR
		a      []string
		ttl    int
		serial bool // rises
	}
	old := []string{"192.0.2.1", "192.0.2.2"}
	untouched := func(code string) want { return want{code: code, a: old, ttl: 300} }
	rows := []struct {
		name string
		send func(u *wire.Update, now []wire.Record)
		want want
	}{
		{"a set that is as required is replaced whole, with its TTL", func(u *wire.Update, now []wire.Record) {
			u.RequireSet(now)
			u.RemoveSet(www, "A")
			u.Insert(www, "A", 60, []string{"192.0.2.9", "192.0.2.2"})
		}, want{a: []string{"192.0.2.2", "192.0.2.9"}, ttl: 60, serial: true}},
		{"a set that is not as required is left alone", func(u *wire.Update, now []wire.Record) {
			u.RequireSet(now[:1])
			u.RemoveSet(www, "A")
			u.Insert(www, "A", 60, []string{"192.0.2.9"})
		}, untouched("NXRRSET")},
		{"the order of required values does not count", func(u *wire.Update, now []wire.Record) {
			back := slices.Clone(now)
			slices.Reverse(back)
			u.RequireSet(back)
			u.Insert(www, "A", 300, []string{"192.0.2.9"})
		}, want{a: []string{"192.0.2.1", "192.0.2.2", "192.0.2.9"}, ttl: 300, serial: true}},
		{"requirements do not compare the TTL", func(u *wire.Update, now []wire.Record) {
			u.RequireSet(now)
			u.RemoveSet(www, "A")
			u.Insert(www, "A", 61, old)
		}, want{a: old, ttl: 61, serial: true}},
		{"a set that must not exist and does is left alone", func(u *wire.Update, _ []wire.Record) {
			u.RequireNoSet(www, "A")
			u.Insert(www, "A", 300, []string{"192.0.2.9"})
		}, untouched("YXRRSET")},
		{"a name that must be free and is not is left alone", func(u *wire.Update, _ []wire.Record) {
			u.RequireNoName(www)
			u.Insert(www, "CNAME", 300, []string{"other.example.com"})
		}, untouched("YXDOMAIN")},
		{"one record outside of the zone refuses the whole message", func(u *wire.Update, _ []wire.Record) {
			u.Insert(www, "A", 300, []string{"192.0.2.9"})
			u.Insert("www.elsewhere.test", "A", 300, []string{"192.0.2.9"})
		}, untouched("NOTZONE")},
		{"a CNAME beside an A is accepted and ignored", func(u *wire.Update, _ []wire.Record) {
			u.Insert(www, "CNAME", 300, []string{"other.example.com"})
		}, untouched("")},
		{"what changes nothing is accepted and the serial stays", func(u *wire.Update, _ []wire.Record) {
			u.Insert(www, "A", 300, []string{"192.0.2.1"})
		}, untouched("")},
	}
	for name, start := range map[string]func(testing.TB, dnstest.Zone, ...dnstest.Option) *dnstest.Server{
		"BIND": dnstest.BIND, "Knot": dnstest.Knot,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, dnstest.Zone{})
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					s.Set(t, www, "A", 300, old...)
					before := s.Serial(t)
					u := wire.NewUpdate(s.Zone())
					row.send(u, stored(t, s, "A"))
					var got want
					if err := client().Send(t.Context(), s.Addr(), u); err != nil {
						said, ok := errors.AsType[*wire.Error](err)
						if !ok {
							t.Fatal(err)
						}
						got.code = said.Code
					}
					reply := s.Lookup(t, www, "A")
					got.a, got.ttl, got.serial = reply.Values, reply.TTL, s.Serial(t) != before
					if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(want{})); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

func TestOneOfTwoRacersWins(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{Records: []string{"www 300 IN A 192.0.2.1"}})
	now := stored(t, s, "A")
	var race sync.WaitGroup
	errs := make([]error, 2)
	for i, address := range []string{"192.0.2.8", "192.0.2.9"} {
		race.Go(func() {
			u := wire.NewUpdate(s.Zone())
			u.RequireSet(now)
			u.RemoveSet(www, "A")
			u.Insert(www, "A", 300, []string{address})
			errs[i] = client().Send(t.Context(), s.Addr(), u)
		})
	}
	race.Wait()
	lost := 0
	for _, err := range errs {
		if said, ok := errors.AsType[*wire.Error](err); ok && said.Code == "NXRRSET" {
			lost++
		} else if err != nil {
			t.Errorf("neither won nor lost: %v", err)
		}
	}
	if lost != 1 {
		t.Errorf("%d of 2 lost: %v", lost, errs)
	}
}

func TestSignaturesAreRefusedWithTheReason(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{Records: []string{"www 300 IN A 192.0.2.1"}})
	for name, row := range map[string]struct {
		change func(*wire.Client)
		want   wire.Error
	}{
		"another secret":   {func(c *wire.Client) { c.Key.Secret = "b3RoZXI=" }, wire.Error{Code: "NOTAUTH", Signature: "BADSIG"}},
		"an unknown key":   {func(c *wire.Client) { c.Key.Name = "nobody" }, wire.Error{Code: "NOTAUTH", Signature: "BADKEY"}},
		"a late clock":     {func(c *wire.Client) { c.Now = clock(-15 * time.Minute) }, wire.Error{Code: "NOTAUTH", Signature: "BADTIME", Ahead: 15 * time.Minute}},
		"a clock ahead":    {func(c *wire.Client) { c.Now = clock(time.Hour) }, wire.Error{Code: "NOTAUTH", Signature: "BADTIME", Ahead: -time.Hour}},
		"another strength": {func(c *wire.Client) { c.Key.Algorithm = "hmac-sha512" }, wire.Error{Code: "NOTAUTH", Signature: "BADKEY"}},
		"no key at all":    {func(c *wire.Client) { c.Key = wire.Key{} }, wire.Error{Code: "REFUSED"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := wire.NewUpdate(s.Zone())
			u.Insert(www, "A", 300, []string{"192.0.2.9"})
			err := client(row.change).Send(t.Context(), s.Addr(), u)
			got, ok := errors.AsType[*wire.Error](err)
			if !ok {
				t.Fatalf("want a *wire.Error, got %v", err)
			}
			row.want.Server = s.Addr()
			got.Ahead = got.Ahead.Round(time.Minute)
			if diff := cmp.Diff(row.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func clock(off time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(off) }
}

func TestASecondaryPassesUpdatesOn(t *testing.T) {
	primary, secondary := dnstest.Pair(t, dnstest.Zone{})
	u := wire.NewUpdate(primary.Zone())
	u.Insert(www, "A", 300, []string{"192.0.2.9"})
	if err := client().Send(t.Context(), secondary.Addr(), u); err != nil {
		t.Fatal(err)
	}
	if got := primary.Lookup(t, www, "A").Values; !slices.Equal(got, []string{"192.0.2.9"}) {
		t.Errorf("the primary has %v", got)
	}
}

func TestALongAnswerIsFetchedOverTCP(t *testing.T) {
	var records []string
	for i := range 60 { // BIND takes no more than 100 of a set
		records = append(records, "www 300 IN TXT \"a text that is long enough to fill an answer, number "+strconv.Itoa(i)+"\"")
	}
	s := dnstest.BIND(t, dnstest.Zone{Records: records})
	a, err := wire.Client{}.Ask(t.Context(), s.Addr(), www, "TXT")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(a.Set(www, "TXT")); n != 60 || !a.Authoritative {
		t.Errorf("%d records, with authority: %v", n, a.Authoritative)
	}
}

func TestAnExchangeEndsWithItsContextAndItsTimeout(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{})
	s.Freeze(t)
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := (wire.Client{Timeout: time.Minute}).Ask(cancelled, s.Addr(), www, "A"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	_, err := wire.Client{Timeout: 300 * time.Millisecond}.Ask(t.Context(), s.Addr(), www, "A")
	if _, lost := errors.AsType[*wire.LostError](err); !lost {
		t.Errorf("timeout: want a *LostError, got %v", err)
	}
	s.Stop()
	_, err = wire.Client{TCP: true}.Ask(t.Context(), s.Addr(), www, "A")
	if _, lost := errors.AsType[*wire.LostError](err); lost || err == nil {
		t.Errorf("nothing was sent to a closed port, but: %v", err)
	}
}
