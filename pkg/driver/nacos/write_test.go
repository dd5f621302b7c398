package nacos_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

func TestEveryWriteIsTheWholeTupleInTheWordsOfTheVersion(t *testing.T) {
	for version, want := range map[string]string{
		"1.4.8": "PATCH /v1/ns/instance?",
		"2.2.3": "PUT /v1/ns/instance?",
		"3.0.3": "PUT /v3/admin/ns/instance?",
	} {
		l := newLab(t, nacostest.Options{Version: version, Namespace: "prod-id"}, func(c *nacos.Config) { c.Namespace = "prod-id" })
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		writes := l.Writes()
		if len(writes) != 1 || !strings.HasPrefix(writes[0], want) {
			t.Errorf("%s: want one %s, got %q", version, want, writes)
			continue
		}
		query, err := url.ParseQuery(strings.TrimPrefix(writes[0], want))
		expect.Nil(t, err)
		tuple := url.Values{
			"namespaceId": {"prod-id"}, "groupName": {"DEFAULT_GROUP"}, "serviceName": {"DEFAULT_GROUP@@users"}, "clusterName": {"DEFAULT"},
			"ip": {"10.1.0.11"}, "port": {"8080"}, "ephemeral": {"true"}, "enabled": {"false"}, "weight": {"10"}, "metadata": {`{"version":"1"}`},
		}
		switch version[0] {
		case '1':
			tuple.Set("cluster", "DEFAULT")
		case '3':
			tuple.Set("serviceName", "users")
		}
		expect.Same(t, version, tuple, query)
		i, _ := l.Get("users", a1)
		expect.Same(t, version+": what became of it", nacostest.Instance{Address: a1, Cluster: "DEFAULT", Weight: 10, Disabled: true, Metadata: map[string]string{"version": "1"}}, i)
	}
}

func TestMetadataSurvivesHoweverItIsWritten(t *testing.T) {
	metadata := map[string]string{"a=b": "c,d", "ü": "日本 &?#%", "json": `{"k":"v"}`, "long": strings.Repeat("x", 10_000)}
	for _, version := range versions {
		l := newLab(t, nacostest.Options{Version: version}, nil)
		l.Register("users", nacostest.Instance{Address: a2, Weight: 0.125, Metadata: metadata})
		expect.Nil(t, l.Apply(t.Context(), disable(a2)))
		expect.Nil(t, l.Apply(t.Context(), enable(a2)))
		i, _ := l.Get("users", a2)
		expect.Same(t, version, nacostest.Instance{Address: a2, Cluster: "DEFAULT", Weight: 0.125, Metadata: metadata}, i)
	}
}

func TestNothingIsWrittenForAnInstanceThatIsNotThere(t *testing.T) {
	for _, version := range versions {
		l := newLab(t, nacostest.Options{Version: version}, nil)
		for name, object := range map[string]string{
			"another address": id("10.1.0.99:8080"), "another port": id("10.1.0.11:81"), "another cluster": "DEFAULT_GROUP@@users/hz/" + a1,
		} {
			err := l.Apply(t.Context(), []state.Change{set(object, nacos.Enabled, "true", "false")})
			expect.Error(t, err, "is registered in cluster", "10.1.0.11:8080, 10.1.0.12:8080, 10.1.0.21:8080")
			expect.Is(t, err, driver.ErrNotFound, true)
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, name+": writes", []string(nil), nonEmpty(l.Writes()))
			expect.Same(t, name+": phantom overlays", 0, l.Phantoms())
		}
	}
}

func TestAnInstanceThatLeftIsNotWrittenButMayComeBack(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	_, err := l.Read(t.Context())
	expect.Nil(t, err)
	l.Leave("users", a1)
	err = l.Apply(t.Context(), disable(a1))
	expect.Error(t, err, "no instance 10.1.0.11:8080 is registered", "it was registered before")
	expect.Is(t, err, driver.ErrPermanent, false)
	expect.Same(t, "phantom overlays", 0, l.Phantoms())
}

func TestAServerThatKnowsOnlyANewerAPIIsSpokenToInIt(t *testing.T) {
	l := newLab(t, nacostest.Options{Version: "3.0.3"}, nil)
	// As behind a proxy that hides the newer question.
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, On: "GET /v3/admin/core/state", Code: 404})
	l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, On: "GET /v1/console/server/state", Text: `{"version":"2.5.1"}`})
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Same(t, "out", []string{a1}, l.out())
}

func TestTheVersionDecidesTheAPI(t *testing.T) {
	for answer, want := range map[string]string{
		`{"version":"1.4.8"}`: "PATCH /v1/ns/instance", `{"version":"2.5.1"}`: "PUT /v1/ns/instance",
		`{"version":"0.9"}`: "PATCH /v1/ns/instance", `{}`: "PUT /v1/ns/instance", `who knows`: "PUT /v1/ns/instance",
	} {
		family := "2.2.3"
		if strings.HasPrefix(want, "PATCH") {
			family = "1.4.8"
		}
		l := newLab(t, nacostest.Options{Version: family}, nil)
		l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, On: "GET /v1/console/server/state", Text: answer})
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		if got := l.Writes()[0]; !strings.HasPrefix(got, want) {
			t.Errorf("%s: want %s, got %s", answer, want, got)
		}
	}
	l := newLab(t, nacostest.Options{}, nil)
	l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, On: "GET /v1/console/server/state", Text: `{"version":"4.0.0"}`})
	_, err := l.Read(t.Context())
	expect.Error(t, err, `is version "4.0.0"`, "flip knows Nacos 1.x, 2.x and 3.x")
}

func TestAnotherImplementationWithoutAVersionGetsTheWidestAPI(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, On: "server/state", Code: 404})
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Same(t, "out", []string{a1}, l.out())
}

func TestRNacosIsRefusedBeforeAnythingIsAskedOfIt(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, On: "server/state", Code: 404})
	l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, On: "GET /rnacos/", Text: "<title>R-NACOS</title>"})
	_, err := l.Read(t.Context())
	expect.Error(t, err, "server 10.0.0.1:8848 is r-nacos, which lists no disabled instances to operators", "Nacos 1.x, 2.x and 3.x")
	expect.Is(t, err, driver.ErrPermanent, true)
	expect.Same(t, "requests", 3, len(l.Requests()))
}

func TestOkThatChangedNothingIsAnError(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, Method: "PUT", Text: "ok"})
	err := l.Apply(t.Context(), disable(a1))
	expect.Error(t, err, "the server answered ok, but enabled of DEFAULT_GROUP@@users/DEFAULT/10.1.0.11:8080 is true, not false", "at the same time")
	expect.Is(t, err, driver.ErrUnknown, true)
}

func TestAWriteThatIsNotAcknowledgedIsUnknown(t *testing.T) {
	for name, fault := range map[string]nacostest.Fault{
		"an answer that is not ok": {Kind: nacostest.Garbage, Text: "<html>proxy</html>"},
		"a lost answer":            {Kind: nacostest.LoseAnswer},
		"a failing server":         {Kind: nacostest.Status, Code: 502, Text: "bad gateway"},
	} {
		l := newLab(t, nacostest.Options{}, nil)
		fault.Node, fault.Method = -1, "PUT"
		l.Fail(fault)
		err := l.Apply(t.Context(), disable(a1))
		if err == nil || !errors.Is(err, driver.ErrUnknown) {
			t.Errorf("%s: want an unknown outcome, got %v", name, err)
		}
		l.Heal()
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		expect.Same(t, name+": out", []string{a1}, l.out())
	}
}

func TestAWriteWithoutARaftLeaderSaysSo(t *testing.T) {
	l := newLab(t, nacostest.Options{Nodes: 2}, nil)
	fault := nacostest.RaftFailure
	fault.Node = -1
	l.Fail(fault)
	err := l.Apply(t.Context(), disable(a1))
	expect.Error(t, err, "do metadata operation failed", "Raft leader")
	expect.Is(t, err, driver.ErrPermanent, false)
	expect.Same(t, "tries", 2, len(l.Writes()))
	l.Heal()
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
}

func TestAWriteThatAServerRefusesIsMadeOnceAndNowhereElse(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGone} {
		l := newLab(t, nacostest.Options{Version: "3.0.3", Nodes: 3}, nil)
		l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, Method: "PUT", Code: code, Text: "no"})
		err := l.Apply(t.Context(), disable(a1))
		expect.Error(t, err, fmt.Sprint(code), "")
		expect.Is(t, err, driver.ErrPermanent, true)
		expect.Is(t, err, driver.ErrUnknown, false)
		expect.Same(t, "writes", 1, len(l.Writes()))
	}
}

func TestWhenAllNodesHangAWriteEndsWithItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nacostest.Options{Nodes: 3}, nil)
		_, err := l.Read(t.Context())
		expect.Nil(t, err)
		l.Fail(nacostest.Fault{Kind: nacostest.Hang, Node: -1})
		began := time.Now()
		err = l.Apply(t.Context(), disable(a1))
		expect.Is(t, err, context.DeadlineExceeded, true)
		expect.Same(t, "it took", 2*time.Second, time.Since(began))
	})
}

func TestANodeThatIsDownIsPassedOver(t *testing.T) {
	for name, fault := range map[string]func(lab){
		"down": func(l lab) { l.Down(0) },
		"failing": func(l lab) {
			l.Fail(nacostest.Fault{Kind: nacostest.Status, Code: http.StatusServiceUnavailable, Text: "server is STARTING now"})
		},
		"mute": func(l lab) { l.Fail(nacostest.Fault{Kind: nacostest.Hang}) },
		"new": func(l lab) {
			expect.Nil(t, l.Restart(0))
		},
	} {
		l := newLab(t, nacostest.Options{Nodes: 3}, nil)
		fault(l)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		expect.Same(t, name, []string{a1}, l.out())
	}
}

func TestWhenAllNodesAreDownNothingIsWrittenAndEachSaysWhy(t *testing.T) {
	l := newLab(t, nacostest.Options{Nodes: 2}, nil)
	l.Down(0)
	l.Down(1)
	err := l.Apply(t.Context(), disable(a1))
	expect.Error(t, err, "server 10.0.0.1:8848: dial tcp: connection refused; find out the version: server 10.0.0.2:8848: dial tcp: connection refused", "is Nacos up?")
	expect.Error(t, err, "nothing was written", "")
	expect.Is(t, err, driver.ErrPermanent, false)
	expect.Is(t, err, driver.ErrUnknown, false)
}

func TestAnEmptyServiceAfterARestartIsNoState(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	_, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Nil(t, l.Restart(0))
	_, err = l.Read(t.Context())
	expect.Error(t, err, "no instance is listed where there were 3", "until their owners register again")
	expect.Is(t, err, driver.ErrPermanent, false)
	l.Remember(0)
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "instances", 3, len(s.Objects))
}

func TestAServiceThatNobodyKnowsIsNotFound(t *testing.T) {
	for _, version := range versions {
		l := newLab(t, nacostest.Options{Version: version}, func(c *nacos.Config) { c.Namespace = "Production" })
		_, err := l.Read(t.Context())
		expect.Error(t, err, "not found", "it is an id, not the name that the console shows")
		expect.Is(t, err, driver.ErrNotFound, true)
	}
}

func TestAnswersThatAreNoneAreErrorsAndNeverAnEmptyState(t *testing.T) {
	for _, version := range versions {
		for _, text := range []string{"", "null", "[]", "{}", `{"code":0,"data":null}`, `{"code":0,"data":{}}`, `{"list":[],"hosts":[]}`, "<html>", `{"list":[{}],"count":1}`} {
			for _, on := range []string{"/ns/service", "instance/list", "catalog"} {
				l := newLab(t, nacostest.Options{Version: version}, nil)
				l.Fail(nacostest.Fault{Kind: nacostest.Garbage, Node: -1, On: on, Text: text})
				if s, err := l.Read(t.Context()); err == nil && len(s.Objects) != 3 {
					t.Errorf("%s, %s answers %q: %v", version, on, text, s)
				}
			}
		}
	}
}

func TestAnAddressThatIsRegisteredTwiceIsOneObjectThatSaysSo(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Copy("users", nacostest.Instance{Address: a1, Weight: 10, Metadata: map[string]string{"version": "2"}})
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "objects", 3, len(s.Objects))
	expect.Same(t, "copies", "2", s.Objects[id(a1)].Info["copies"])
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	s, err = l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "enabled", state.Value("false"), s.Get(id(a1), nacos.Enabled))
}

func nonEmpty(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}
