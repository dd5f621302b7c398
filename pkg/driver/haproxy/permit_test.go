package haproxy_test

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/hint"
)

func TestPermitTellsASocketThatMayOnlyLook(t *testing.T) {
	for level, want := range map[string]string{"admin": "", "operator": "the socket's level is operator", "user": "the socket's level is user"} {
		t.Run(level, func(t *testing.T) {
			fake := haproxytest.StartFake(t, haproxytest.FakeBackend{Name: "be"})
			fake.Level(level)
			d := open(t, haproxy.Config{Endpoints: []haproxy.Endpoint{{Address: fake.Socket}}, Backend: haproxy.Names{"be"}})
			target, ok := driver.As[driver.Permitter](d)
			if !ok {
				t.Fatal("the driver says nothing about its rights")
			}
			err := target.Permit(t.Context())
			if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
				t.Fatalf("Permit: %v, want %q", err, want)
			}
			if err != nil && len(hint.Of(err)) != 1 {
				t.Errorf("hints: %q", hint.Of(err))
			}
		})
	}
}
