package aliyun_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/secret"
)

// What nobody may see.
const (
	keyID  = "LTAI5tNobodyMaySeeThis"
	secKey = "secretThatNobodyMaySee"
	token  = "CAISTokenThatNobodyMaySee"
)

// answers is a gateway: a function of the request.
type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func say(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func refusal(status int, code string) *http.Response {
	return say(status, `{"RequestId":"4711","HostId":"slb.aliyuncs.com","Code":"`+code+`","Message":"no."}`)
}

// world is what a client lives in.
type world struct {
	driver.Env
	mu   sync.Mutex
	vars map[string]string
	logs bytes.Buffer
}

func newWorld(transport http.RoundTripper, k slbtest.Key) *world {
	w := &world{vars: map[string]string{"KEY": k.ID, "SECRET": k.Secret, "TOKEN": k.Token}}
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		v, ok := w.vars[name]
		return v, ok
	}
	w.Env = driver.Env{Secrets: r, Transport: transport, Log: slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	return w
}

func stsKey() slbtest.Key { return slbtest.Key{ID: keyID, Secret: secKey, Token: token} }

func account() aliyun.Account {
	return aliyun.Account{Region: "cn-hangzhou", AccessKeyID: "${env:KEY}", AccessKeySecret: "${env:SECRET}", SecurityToken: "${env:TOKEN}", Rate: 10000, Timeout: 2 * time.Second}
}

// at is an account whose gateway is the stand-in.
func at(s *slbtest.Server) aliyun.Account {
	a := account()
	a.Endpoint = s.URL()
	return a
}

func open(t *testing.T, a aliyun.Account, env driver.Env) aliyun.SLB {
	t.Helper()
	c, err := aliyun.OpenSLB(a, env)
	expect.Nil(t, err)
	t.Cleanup(c.Close)
	return c
}
