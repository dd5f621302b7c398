package nacos_test

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

func TestWhoHearsOfAChangeIsSaidOnce(t *testing.T) {
	tests := map[string]struct {
		agents []string
		want   string
	}{
		"nobody":     {nil, "nobody is subscribed to DEFAULT_GROUP@@users: consumers, if there are any, see a change when they ask next; is consumer_cache as long as that?"},
		"new ones":   {[]string{"Nacos-Java-Client:v2.3.2", "Nacos-Go-Client:v2.3.5", "Nacos-Java-Client:v2.3.2"}, "3 subscribed to DEFAULT_GROUP@@users: 1 with Nacos-Go-Client:v2.3.5, 2 with Nacos-Java-Client:v2.3.2"},
		"an old one": {[]string{"Nacos-Java-Client:v1.4.2", ""}, "2 subscribed to DEFAULT_GROUP@@users: 1 with Nacos-Java-Client:v1.4.2, 1 with unknown; 1 of them are told over UDP, which may be lost, and ask by themselves every 10s: consumer_cache should not be shorter"},
	}
	for name, test := range tests {
		for _, version := range versions {
			t.Run(name+", "+version, func(t *testing.T) {
				l := newListeningLab(t, nacostest.Options{Version: version}, nil)
				for _, agent := range test.agents {
					l.Subscribe("users", agent)
				}
				ctx, progress := told(t.Context())
				expect.Nil(t, l.Apply(ctx, disable(a1)))
				expect.Nil(t, l.Settle(t.Context(), disable(a1))) // flip is subscribed now
				expect.Nil(t, l.Apply(ctx, enable(a1)))
				expect.Same(t, "said", []string{test.want}, strings.Split(progress(), "\n"))
			})
		}
	}
}

func TestFlipIsNotAmongTheSubscribersThatItTellsOf(t *testing.T) {
	for _, version := range versions[1:] {
		l := newListeningLab(t, nacostest.Options{Version: version}, nil)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		expect.Nil(t, l.Settle(t.Context(), disable(a1)))
		later := l.successor(t)
		ctx, progress := told(t.Context())
		expect.Nil(t, later.Apply(ctx, enable(a1)))
		if !strings.HasPrefix(progress(), "nobody is subscribed") {
			t.Errorf("%s: %s", version, progress())
		}
	}
}

func TestSubscribersThatCannotBeSeenStopNothing(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, On: "subscribers", Code: 403, Text: "no"})
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
}
