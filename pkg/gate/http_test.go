package gate

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// build makes a gate as the engine does.
func build[C any](t *testing.T, k Kind, c C, env Env) Gate {
	t.Helper()
	g, err := k.Build(decoder(c), env)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func decoder[C any](c C) func(any) error {
	return func(into any) error { *into.(*C) = c; return nil }
}

func secrets(vars map[string]string) *secret.Resolver {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
	return r
}

// outcomeOf writes a look as one line: pass, no, undecided or blind.
func outcomeOf(r Result, err error) string {
	switch {
	case err != nil:
		return "blind: " + err.Error()
	case r.Pass:
		return "pass: " + r.Detail
	case r.Undecided:
		return "undecided: " + r.Detail
	}
	return "no: " + r.Detail
}

func look(t *testing.T, g Gate) string {
	t.Helper()
	return outcomeOf(g.Check(t.Context()))
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	say := func(path string, code int, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		})
	}
	say("/ok", 200, "all is well\n")
	say("/created", 201, "")
	say("/warming", 503, "warming\n")
	say("/page", 502, "<html>Bad Gateway</html>")
	say("/health", 200, `{"status":"UP","components":{"db":{"status":"DOWN"}},"items":[{"id":1},{"id":7}],"ready":true,"none":null}`)
	say("/sick", 503, `{"status":"DOWN"}`)
	say("/huge", 200, strings.Repeat("x", 3<<20)+"needle")
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%s|%s|%s", r.Host, r.Header.Get("X-Token"), r.UserAgent(), b)
	})
	s := serve(t, mux.ServeHTTP)

	tests := []struct {
		name string
		c    HTTPConfig
		want string
	}{
		{"status 200 passes when the plan is silent", HTTPConfig{URL: "/ok"}, "pass: status 200"},
		{"another status is a no", HTTPConfig{URL: "/created"}, "no: status 201"},
		{"a refused status says what the answer says", HTTPConfig{URL: "/warming"}, "no: status 503 (warming)"},
		{"a page of HTML is no explanation", HTTPConfig{URL: "/page"}, "no: status 502"},
		{"a class of statuses", HTTPConfig{URL: "/created", Status: Statuses{"2xx"}}, "pass: status 201"},
		{"a list of statuses", HTTPConfig{URL: "/warming", Status: Statuses{"200", "503"}}, "pass: status 503"},
		{"redirects are not followed", HTTPConfig{URL: "/moved"}, "no: status 302 to /ok"},
		{"redirects are followed where the plan asks", HTTPConfig{URL: "/moved", Redirects: 1}, "pass: status 200"},
		{"text in the body", HTTPConfig{URL: "/ok", Contains: "is well"}, "pass: status 200"},
		{"no such text in the body", HTTPConfig{URL: "/ok", Contains: "is bad"}, `no: status 200, the body "all is well" does not contain "is bad"`},
		{"a body that matches", HTTPConfig{URL: "/ok", Matches: `^all\b`}, `pass: status 200, "all"`},
		{"a body that does not match", HTTPConfig{URL: "/ok", Matches: `^none`}, `no: status 200, the body "all is well" does not match ^none`},
		{"values of JSON", HTTPConfig{URL: "/health", JSON: map[string]Scalar{"status": "UP", "items[1].id": "7", "ready": "true", "none": "null"}}, "pass: status 200, items[1].id is 7, none is null, ready is true"},
		{"another value of JSON", HTTPConfig{URL: "/health", JSON: map[string]Scalar{"components.db.status": "UP"}}, "no: status 200, components.db.status is DOWN, not UP"},
		{"another number of JSON", HTTPConfig{URL: "/health", JSON: map[string]Scalar{"items[0].id": "2"}}, "no: status 200, items[0].id is 1, not 2"},
		{"an object is no value", HTTPConfig{URL: "/health", JSON: map[string]Scalar{"items[0]": "x"}}, `no: status 200, items[0] is {"id":1}, not x`},
		{"a missing value of JSON", HTTPConfig{URL: "/health", JSON: map[string]Scalar{"items[2].id": "7"}}, "no: status 200, the answer has no items[2].id"},
		{"text where JSON is wanted", HTTPConfig{URL: "/ok", JSON: map[string]Scalar{"status": "UP"}}, "no: status 200, the answer is not JSON"},
		{"a condition", HTTPConfig{URL: "/health", Pass: `body.status == "UP" && status == 200 && headers["content-type"] contains "text"`}, `pass: status 200, body.status is "UP", headers["content-type"] is "text/plain; charset=utf-8"`},
		{"a condition decides about the status too", HTTPConfig{URL: "/sick", Pass: `body.status == "DOWN" && status == 503`}, `pass: status 503, body.status is "DOWN"`},
		{"a condition and a status", HTTPConfig{URL: "/sick", Pass: `body.status == "DOWN"`, Status: Statuses{"200"}}, `no: status 503 ({"status":"DOWN"})`},
		{"a condition that is false", HTTPConfig{URL: "/sick", Pass: `body.status == "UP"`}, `no: status 503, not body.status == "UP", body.status is "DOWN"`},
		{"a condition over JSON that is not there", HTTPConfig{URL: "/ok", Pass: `body.status == "UP"`}, `no: status 200, not body.status == "UP": the answer is not JSON`},
		{"a condition over another kind of value", HTTPConfig{URL: "/health", Pass: `body.status.deep == 1`}, "no: status 200, not body.status.deep == 1: invalid operation: int(string) at column 13"},
		{"a condition that gives no yes or no", HTTPConfig{URL: "/health", Pass: `body.status`}, "no: status 200, not body.status: invalid operation: bool(string) at column 1"},
		{"a huge body is not read to its end", HTTPConfig{URL: "/huge", Contains: "needle"}, `no: status 200, the body "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..." does not contain "needle" (looked at the first 1 MiB)`},
		{"a body that breaks off is a no where it matters", HTTPConfig{URL: "/broken", Contains: "half"}, "no: status 200, but the body broke off: unexpected EOF"},
		{"a body that nobody looks at does not matter", HTTPConfig{URL: "/broken"}, "pass: status 200"},
		{"method, headers and body are sent", HTTPConfig{URL: "/echo", Method: "POST", Body: "ping", Headers: map[string]secret.Ref{"Host": "shop.example", "X-Token": "t-${env:TOKEN}"}, Matches: `^shop\.example\|t-s3cret-value\|flip\|ping$`}, `pass: status 200, "shop.example|t-***|flip|ping"`},
		{"a page of HTML is not quoted", HTTPConfig{URL: "/page", Status: Statuses{"502"}, Contains: "Welcome"}, `no: status 502, the body does not contain "Welcome"`},
		{"a condition shows three values at most", HTTPConfig{URL: "/health", Pass: `body.status == "UP" && body.ready && len(body.items) == 2 && text != ""`}, `pass: status 200, body.status is "UP", body.ready is true, body.items is [{"id":1},{"id":7}]`},
		{"a secret at the end of what is shown of a value is not cut in half", HTTPConfig{URL: "/echo", Method: "POST", Body: "0123456789012345678901234567890${env:TOKEN}", Headers: map[string]secret.Ref{"Host": "h"}, Contains: "none"}, `no: status 200, the body "h||flip|0123456789012345678901234567890*..." does not contain "none"`},
		{"a secret in an answer is not shown", HTTPConfig{URL: "/echo", Method: "POST", Body: "${env:TOKEN}", Status: Statuses{"204"}}, "no: status 200 (HOST||flip|***)"},
		{"a missing secret could not look", HTTPConfig{URL: "/ok", Headers: map[string]secret.Ref{"X": "${env:NONE}"}}, "blind: headers: X: secret ${env:NONE}: environment variable NONE is not set"},
		{"a missing secret in the body could not look", HTTPConfig{URL: "/ok", Body: "${env:NONE}"}, "blind: body: secret ${env:NONE}: environment variable NONE is not set"},
		{"a header's value must be one", HTTPConfig{URL: "/ok", Headers: map[string]secret.Ref{"X": "${env:LINES}"}}, "blind: headers: the value of X holds a character that no header may hold"},
	}
	host := strings.TrimPrefix(s.URL, "http://")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.c.URL = secret.Ref(s.URL) + test.c.URL
			g := build(t, HTTP(), test.c, Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret-value", "LINES": "a\nbbbb"})})
			check(t, "look", strings.ReplaceAll(test.want, "HOST", host), look(t, g))
		})
	}
}

func TestHTTPTellsANoFromNotHavingLooked(t *testing.T) {
	hang := make(chan struct{})
	hanging := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	defer close(hang)
	closed := httptest.NewServer(nil)
	closed.Close()
	rude := tcpServer(t, func(c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		_, _ = io.WriteString(c, "hello\r\n")
	})
	tests := []struct {
		name string
		c    HTTPConfig
		want string
	}{
		{"a refused connection is a no", HTTPConfig{URL: secret.Ref(closed.URL)}, "no: connection refused"},
		{"no answer in time is a no", HTTPConfig{URL: secret.Ref(hanging.URL), Timeout: 50 * time.Millisecond}, "no: no answer within 50ms"},
		{"an answer that is not HTTP is a no", HTTPConfig{URL: secret.Ref("http://" + rude)}, `no: net/http: HTTP/1.x transport connection broken: malformed HTTP response "hello"`},
		{"a name that does not resolve could not look", HTTPConfig{URL: "http://nowhere.invalid/"}, "blind: dial tcp: lookup nowhere.invalid: no such host"},
		{"a URL that is a secret is checked when it is known", HTTPConfig{URL: "${env:BAD}"}, `blind: url: scheme "***" is neither http nor https`},
		{"a URL that is a secret may be missing", HTTPConfig{URL: "${env:NONE}"}, "blind: url: secret ${env:NONE}: environment variable NONE is not set"},
		{"a CA file that is missing could not look", HTTPConfig{URL: secret.Ref(hanging.URL), TLS: trust.TLS{CA: "/nonexistent"}}, "blind: tls: ca: open /nonexistent: no such file or directory"},
	}
	// No name is ever looked up: the resolver answers from here.
	base := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "nowhere.invalid:") {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := build(t, HTTP(), test.c, Env{Transport: base, Secrets: secrets(map[string]string{"BAD": "gopher://x"})})
			want := strings.ReplaceAll(test.want, "***", "gopher")
			check(t, "look", want, look(t, g))
		})
	}
}

func TestACanceledLookIsNotANo(t *testing.T) {
	hang := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	ctx, cancel := context.WithCancelCause(t.Context())
	g := build(t, HTTP(), HTTPConfig{URL: secret.Ref(s.URL)}, Env{})
	time.AfterFunc(20*time.Millisecond, func() { cancel(errStop) })
	check(t, "look", "blind: the operator said stop", outcomeOf(g.Check(ctx)))
}

func TestHTTPUsesAFreshConnectionForEveryLook(t *testing.T) {
	var opened atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	g := build(t, HTTP(), HTTPConfig{URL: secret.Ref(s.URL)}, Env{})
	for range 3 {
		check(t, "look", "pass: status 200", look(t, g))
	}
	check(t, "connections", 3, opened.Load())
}

func TestHTTPNeverUsesAProxy(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	broken := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("asked for a proxy") }}
	check(t, "look", "pass: status 200", look(t, build(t, HTTP(), HTTPConfig{URL: secret.Ref(s.URL)}, Env{Transport: broken})))
}

func TestHTTPConnectsElsewhereAndKeepsTheNames(t *testing.T) {
	var sni, host atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sni.Store(r.TLS.ServerName)
		host.Store(r.Host)
	}))
	s.StartTLS()
	defer s.Close()
	c := HTTPConfig{URL: "https://example.com/healthz", Connect: s.Listener.Addr().String(), TLS: trust.TLS{CA: caFile(t, s)}}
	check(t, "look", "pass: status 200", look(t, build(t, HTTP(), c, Env{})))
	check(t, "TLS name", any("example.com"), sni.Load())
	check(t, "Host", any("example.com"), host.Load())
}

func TestHTTPOverTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d client certificates", len(r.TLS.PeerCertificates))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = quiet()
	s.StartTLS()
	defer s.Close()
	ca := caFile(t, s)
	notPEM := filepath.Join(t.TempDir(), "not.pem")
	write(t, notPEM, "hello")
	cert, key := pairFiles(t, s)
	tests := []struct {
		name string
		tls  trust.TLS
		want string
	}{
		{"its own CA is trusted", trust.TLS{CA: ca}, "pass: status 200"},
		{"a client certificate is shown", trust.TLS{CA: ca, Cert: cert, Key: key}, "pass: status 200"},
		{"anything goes where the plan says so", trust.TLS{Insecure: true}, "pass: status 200"},
		{"an unknown CA is a no", trust.TLS{}, "no: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"another name is a no", trust.TLS{CA: ca, ServerName: "shop.test"}, "no: tls: failed to verify certificate: x509: certificate is valid for example.com, *.example.com, not shop.test"},
		{"a CA file without certificates could not look", trust.TLS{CA: notPEM}, "blind: tls: ca: " + notPEM + " holds no PEM certificate"},
		{"a missing client certificate could not look", trust.TLS{Cert: "/nonexistent", Key: key}, "blind: tls: cert: open /nonexistent: no such file or directory"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := HTTPConfig{URL: secret.Ref(s.URL), TLS: test.tls, Contains: map[bool]string{true: "1 client", false: "0 client"}[test.tls.Cert != ""]}
			check(t, "look", test.want, look(t, build(t, HTTP(), c, Env{})))
		})
	}
}

func TestASecretHeaderStaysWithItsHost(t *testing.T) {
	var got atomic.Value
	other := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("X-Token") + r.Header.Get("X-Plain"))
	})
	first := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	c := HTTPConfig{URL: secret.Ref(first.URL), Redirects: 2, Headers: map[string]secret.Ref{"X-Token": "${env:TOKEN}", "X-Plain": "plain"}}
	g := build(t, HTTP(), c, Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret"})})
	check(t, "look", "pass: status 200", look(t, g))
	check(t, "headers at the other host", any("plain"), got.Load())
}

func TestHTTPLatency(t *testing.T) {
	e := expectation{status: Statuses{"200"}, maxLatency: 500 * time.Millisecond}
	resp := &http.Response{StatusCode: 200}
	check(t, "slow", no("status 200 took 840ms > 500ms"), e.judge(resp, nil, 840*time.Millisecond))
	check(t, "fast", yes("status 200"), e.judge(resp, nil, 500*time.Millisecond))
}

func TestHTTPConfigValidate(t *testing.T) {
	tests := []struct {
		name string
		c    HTTPConfig
		want string
		hint string
	}{
		{"a url is needed", HTTPConfig{}, "url is missing", ""},
		{"a path is no url", HTTPConfig{URL: "/healthz"}, `url: scheme "" is neither http nor https`, `like "http://10.0.0.13:8080/healthz"`},
		{"a url has a host", HTTPConfig{URL: "http:///x"}, "url has no host", `like "http://10.0.0.13:8080/healthz"`},
		{"a url can be parsed", HTTPConfig{URL: "http://a b/"}, "url is not a URL", `like "http://10.0.0.13:8080/healthz"`},
		{"a reference is checked later", HTTPConfig{URL: "${env:URL}"}, "", ""},
		{"connect is an address", HTTPConfig{URL: "http://a", Connect: "10.0.0.1"}, `connect: "10.0.0.1" is not host:port`, `like "10.0.0.13:8080" or "[2001:db8::1]:443"`},
		{"no negative times", HTTPConfig{URL: "http://a", Timeout: -1}, "timeout, max_latency and redirects cannot be negative", ""},
		{"a latency that the timeout cuts off", HTTPConfig{URL: "http://a", MaxLatency: 5 * time.Second}, "max_latency 5s is not below timeout 5s", "raise timeout"},
		{"a method is a token", HTTPConfig{URL: "http://a", Method: "GET /"}, `method: "GET /" is not an HTTP method`, ""},
		{"a header has a name", HTTPConfig{URL: "http://a", Headers: map[string]secret.Ref{"a b": ""}}, `headers: "a b" is not a header's name`, ""},
		{"cert needs key", HTTPConfig{URL: "http://a", TLS: trust.TLS{Cert: "x"}}, "tls: cert and key belong together; one of them is missing", ""},
		{"insecure has no use for a CA", HTTPConfig{URL: "http://a", TLS: trust.TLS{Insecure: true, CA: "x"}}, "tls: insecure would not look at ca", "drop one of them"},
		{"a regular expression compiles", HTTPConfig{URL: "http://a", Matches: "("}, "matches: error parsing regexp: missing closing ): `(`", ""},
		{"a condition names what there is", HTTPConfig{URL: "http://a", Pass: "stauts == 200"}, "pass: unknown name stauts at column 1", "it may name status, body, text and headers"},
		{"a condition is true or false", HTTPConfig{URL: "http://a", Pass: "status"}, "pass: expected bool, but got int", "it may name status, body, text and headers"},
		{"a path of JSON is not empty", HTTPConfig{URL: "http://a", JSON: map[string]Scalar{" ": "x"}}, "json: a path is empty", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := HTTP().Check(decoder(test.c))
			check(t, "error", test.want, text(err))
			check(t, "hint", test.hint, strings.Join(hint.Of(err), " "))
		})
	}
}

func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
