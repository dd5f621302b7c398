package slbtest_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdk "github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/alb"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/alidns"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/nlb"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// clients are real SDK clients of a server.
type clients struct {
	slb *slb.Client
	alb *alb.Client
	nlb *nlb.Client
	dns *alidns.Client
}

func dial(t *testing.T, s *slbtest.Server) clients {
	t.Helper()
	key := slbtest.DefaultKey
	return dialAs(t, s, credentials.NewAccessKeyCredential(key.ID, key.Secret))
}

func dialAs(t *testing.T, s *slbtest.Server, credential auth.Credential) clients {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config := func() *sdk.Config {
		cfg := sdk.NewConfig().WithScheme("HTTP")
		cfg.Transport = carrier{transport}
		return cfg
	}
	var c clients
	var err [4]error
	c.slb, err[0] = slb.NewClientWithOptions(s.Region(), config(), credential)
	c.alb, err[1] = alb.NewClientWithOptions(s.Region(), config(), credential)
	c.nlb, err[2] = nlb.NewClientWithOptions(s.Region(), config(), credential)
	c.dns, err[3] = alidns.NewClientWithOptions(s.Region(), config(), credential)
	if err := errors.Join(err[:]...); err != nil {
		t.Fatal(err)
	}
	c.slb.Domain, c.alb.Domain, c.nlb.Domain, c.dns.Domain = s.Host(), s.Host(), s.Host(), s.Host()
	return c
}

// carrier is not an *http.Transport, so the SDK leaves it alone.
type carrier struct{ http.RoundTripper }

// code is the error code of an SDK error, "" for none.
func code(err error) string {
	if e, ok := errors.AsType[*sdkerrors.ServerError](err); ok {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// member runs a server that says its name.
func member(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return s
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}

func quiet(t *testing.T, s *slbtest.Server) {
	t.Helper()
	if err := s.Quiet(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// get is the body of a page, "" when the request failed.
func get(t *testing.T, url string) string {
	t.Helper()
	body, status := fetch(t, url)
	if status != http.StatusOK {
		return ""
	}
	return body
}

func fetch(t *testing.T, url string) (body string, status int) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", 0
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", 0
	}
	return string(b), answer.StatusCode
}

func addr(s *httptest.Server) string { return s.Listener.Addr().String() }

// dead is an address where nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
