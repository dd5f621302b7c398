package resolve_test

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/resolve/resolvetest"
	"github.com/flip-cli/flip/pkg/secret"
)

func TestAPacketThatDoesNotHelpIsAskedForAgain(t *testing.T) {
	for name, test := range map[string]struct {
		habit resolvetest.Habit
		over  string
	}{
		"one that is lost":                      {resolvetest.Habit{Drop: 1}, "udp"},
		"an answer that does not fit":           {resolvetest.Habit{Truncate: true}, "tcp"},
		"one that ends within a record":         {resolvetest.Habit{Cut: true}, "tcp"},
		"one that somebody in between has made": {resolvetest.Habit{Forged: true}, "tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			s := resolvetest.Start(t, "127.0.0.1")
			s.Set("www.example.com A", 60, "192.0.2.1", "192.0.2.2")
			v := open(t, resolve.Config{DNS: []string{s.Addr}, Timeout: 3 * time.Second}, resolve.Env{})
			s.Behave(test.habit)
			sees(t, v, www, resolve.Answer{Values: []string{"192.0.2.1", "192.0.2.2"}, HasTTL: true, MinTTL: seconds(60), MaxTTL: seconds(60), Authoritative: true})
			if q := s.Queries(); len(q) != 2 || q[1].Network != test.over {
				t.Errorf("asked %+v", q)
			}
		})
	}
}

func TestAServerThatTakesItsTimeIsWaitedForAsLongAsTheViewSays(t *testing.T) {
	t.Parallel()
	s := resolvetest.Start(t, "127.0.0.1")
	s.Set("www.example.com A", 60, "192.0.2.1")
	s.Behave(resolvetest.Habit{Slow: 2500 * time.Millisecond})
	v := open(t, resolve.Config{DNS: []string{s.Addr}, Timeout: 30 * time.Second}, resolve.Env{})
	sees(t, v, www, resolve.Answer{Values: []string{"192.0.2.1"}, HasTTL: true, MinTTL: seconds(60), MaxTTL: seconds(60), Authoritative: true})
}

func TestJSONOfResolversIsReadWithItsOddities(t *testing.T) {
	s := resolvetest.Start(t, "127.0.0.1")
	v := open(t, resolve.Config{DoH: secret.Ref(doh(t, s)), Format: "json"}, resolve.Env{})
	one := resolve.Answer{Values: []string{"192.0.2.1"}, HasTTL: true, MinTTL: seconds(5), MaxTTL: seconds(5)}
	aliased := one
	aliased.Alias, aliased.MaxTTL = []string{"edge.example.net"}, seconds(300)
	for name, test := range map[string]struct {
		answer string
		want   resolve.Answer
	}{
		"names with a dot at the end":    {`[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"}]`, one},
		"names without, in any case":     {`[{"name":"WWW.example.com","type":1,"TTL":5,"data":"192.0.2.1"}]`, one},
		"an alias before the address":    {`[{"name":"www.example.com","type":5,"TTL":300,"data":"Edge.example.net."},{"name":"edge.example.net.","type":1,"TTL":5,"data":"192.0.2.1"}]`, aliased},
		"an alias behind it":             {`[{"name":"edge.example.net","type":1,"TTL":5,"data":"192.0.2.1"},{"name":"www.example.com.","type":5,"TTL":300,"data":"edge.example.net"}]`, aliased},
		"signatures and unknown types":   {`[{"name":"www.example.com.","type":46,"TTL":5,"data":"a 13 3 300 1772000000 1771000000 1 example.com. x=="},{"name":"www.example.com.","type":65500,"TTL":5,"data":"?"},{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"}]`, one},
		"an address of another name":     {`[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"},{"name":"other.example.com.","type":1,"TTL":1,"data":"192.0.2.9"}]`, one},
		"the same address twice":         {`[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"},{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"}]`, one},
		"no answer, and no time either":  {`null`, resolve.Answer{Empty: resolve.NoData}},
		"an AAAA that was not asked for": {`[{"name":"www.example.com.","type":28,"TTL":5,"data":"2001:db8::1"}]`, resolve.Answer{Empty: resolve.NoData}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Behave(resolvetest.Habit{Body: `{"Status":0,"TC":false,"RD":true,"RA":true,"Question":{"name":"www.example.com.","type":1},"Answer":` + test.answer + `}`})
			sees(t, v, www, test.want)
		})
	}
}
