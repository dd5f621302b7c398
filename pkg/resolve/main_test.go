package resolve_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/resolve/resolvetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// www is what most tests look up.
var www = resolve.Question{Name: "www.example.com", Type: "A"}

// untimed leaves out what differs from look to look.
var untimed = cmpopts.IgnoreFields(resolve.Answer{}, "Latency", "At", "View", "Vantage", "Sample", "Server")

func open(tb testing.TB, c resolve.Config, env resolve.Env) resolve.View {
	tb.Helper()
	v, err := resolve.New("v", c, env)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// authority is a view of the name servers of www at those addresses.
func authority(tb testing.TB, servers ...string) resolve.View {
	tb.Helper()
	return authorityFor(tb, www.Name, servers...)
}

func authorityFor(tb testing.TB, of string, servers ...string) resolve.View {
	tb.Helper()
	return open(tb, resolve.Config{Authoritative: "zone", Timeout: 2 * time.Second}, resolve.Env{
		NameServers: func(_ context.Context, target, name string) ([]string, error) {
			if target != "zone" || name != of {
				return nil, errors.New("asked for " + target + " " + name)
			}
			return servers, nil
		},
	})
}

// doh serves s over HTTP.
func doh(tb testing.TB, s *resolvetest.Server) string {
	tb.Helper()
	srv := httptest.NewServer(s)
	tb.Cleanup(srv.Close)
	return srv.URL + "/dns-query"
}

// sees compares the answers of one look.
func sees(tb testing.TB, v resolve.View, q resolve.Question, want ...resolve.Answer) {
	tb.Helper()
	if diff := cmp.Diff(want, v.Look(tb.Context(), q), untimed, cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", q, diff)
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
