package nacos

import (
	"encoding/json"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// FuzzAnswers: no answer of a server makes flip panic, and what is taken for
// an instance has an address, a weight that is a value, and an id that leads
// back to it.
func FuzzAnswers(f *testing.F) {
	one := `{"ip":"10.0.0.1","port":8080,"weight":1.5,"healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","metadata":{"a":"b"}}`
	for _, seed := range []string{
		`{"list":[` + one + `],"count":1}`, `{"hosts":[` + one + `],"lastRefTime":1,"name":"users","groupName":"G"}`, `[` + one + `]`,
		`{"code":0,"message":"success","data":[` + one + `]}`, `{"code":21008,"message":"service not exist","data":null}`,
		`{"protectThreshold":0.5,"clusters":[{"name":"DEFAULT"}]}`, `{"protectThreshold":0,"clusterMap":{"DEFAULT":{}}}`,
		`{"subscribers":[{"agent":"Nacos-Java-Client:v1.4.2","app":"a"}],"count":1}`, `{"pageItems":[{"agent":":","appName":"flip"}]}`,
		`{"accessToken":"t","tokenTtl":18000}`, `{"data":{"version":"3.0.3"}}`, `ok`, ``, `null`, `{"list":null}`, `{"hosts":[{"ip":"::1","port":-1}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		data, _ := parseResult(body)
		var lists [][]instance
		if all, _, err := parseCatalog(body); err == nil {
			lists = append(lists, all)
		}
		for _, raw := range [][]byte{body, data} {
			if all, err := parseInstances(raw); err == nil {
				lists = append(lists, all)
			}
			if all, err := parseHosts(raw); err == nil {
				lists = append(lists, all)
			}
			if d, err := parseService(raw); err == nil && !state.Float(d.threshold).Present() {
				t.Errorf("threshold %g", d.threshold)
			}
			if token, ttl, err := parseLogin(raw); err == nil && (token == "" || ttl <= 0) {
				t.Errorf("token %q for %s", token, ttl)
			}
			for _, version := range []api{v2, v3} {
				if all, err := parseSubscribers(raw, version); err == nil && describe(service{"G", "users"}, all) == "" {
					t.Error("nobody is told of subscribers")
				}
			}
			_ = versionOf(raw)
			_ = reason(raw)
			_ = (&subscription{views: map[service]view{}}).keep(json.RawMessage(raw))
		}
		for _, all := range lists {
			for k, i := range merge(all) {
				if k.ip == "" || !state.Float(i.weight).Present() || i.weight < 0 {
					t.Errorf("an instance at %q with weight %g", k.address(), i.weight)
				}
				s := subject{service{"G", "users"}, k}
				if back, ok := parseID(s.id()); !ok || back != s {
					t.Errorf("%+v has the id %q, which is %+v", s, s.id(), back)
				}
				if _, err := parseMetadata(metadataText(i.metadata)); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// FuzzMatch: no pattern makes flip panic.
func FuzzMatch(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "cluster=hz,port=80*", "metadata.a=[", "=", ",", "host=::/0", "a/b"} {
		f.Add(seed)
	}
	d, err := open(f.Context(), Config{Servers: Names{"http://h"}, Service: Names{"s"}}, driver.Env{})
	if err != nil {
		f.Fatal(err)
	}
	o := instance{key: key{"c", "10.0.0.1", 80}}
	object := state.Object{Info: o.info(service{"g", "s"})}
	f.Fuzz(func(t *testing.T, pattern string) {
		fits, err := d.(*Target).Match(pattern) //nolint:forcetypeassert // open promises it
		if err == nil && fits != nil {
			fits(object)
		}
	})
}
