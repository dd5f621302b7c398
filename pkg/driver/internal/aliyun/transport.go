package aliyun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime/debug"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
)

// maxAnswer bounds what is read of one answer: 400 servers are about 100 KB.
const maxAnswer = 32 << 20

// transport carries the SDK's requests. The SDK has no contexts; the one of
// the call that runs is set before it, under the client's lock.
type transport struct {
	base  http.RoundTripper
	plain bool // http:// is allowed: the endpoint is a loopback address
	agent string

	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // see above
	sent  bool            // the request of the call that runs left, at least in part
	calls int
}

func newTransport(a Account, env driver.Env, plain bool) (*transport, error) {
	t := &transport{base: env.Transport, plain: plain, agent: userAgent()}
	if env.Transport == nil || a.TLS.CA != "" || a.TLS.Insecure || a.TLS.ServerName != "" || a.TLS.Cert != "" {
		secure, err := a.TLS.Config()
		if err != nil {
			return nil, err
		}
		own := http.DefaultTransport.(*http.Transport).Clone() // net/http promises the type
		own.TLSClientConfig = secure
		own.Proxy = http.ProxyFromEnvironment
		t.base = own
	}
	return t, nil
}

// begin makes ctx the one of the next request.
func (t *transport) begin(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx, t.sent = ctx, false
}

func (t *transport) left() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	ctx := t.ctx
	t.mu.Unlock()
	if r.URL.Scheme != "https" && !t.plain {
		return nil, &beforeError{Invalid, errors.New("refused to send an access key over plain http")}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r = r.Clone(ctx)
	r.Header.Set("User-Agent", t.agent)
	t.mu.Lock()
	t.sent = true
	t.calls++
	t.mu.Unlock()
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, &beforeError{Invalid, fmt.Errorf("the endpoint answers with a redirect (HTTP status %d), which a signed request does not follow", resp.StatusCode)}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// close lets idle connections go.
func (t *transport) close() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// userAgent is flip/VERSION.
func userAgent() string {
	version := "dev"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return "flip/" + version
}

// What nobody may see: the query of a URL and the password in one (of a proxy),
// and the parameters that prove who
// asks wherever they stand, plain (Signature=...), in JSON, or encoded as they
// are in a string to sign.
var (
	user    = regexp.MustCompile(`://[^\s"'<>/?]*@`)
	query   = regexp.MustCompile(`(?i)(https?://[^\s"'<>?]*)\?[^\s"'<>]*`)
	plain   = regexp.MustCompile(`(?i)(AccessKeyId|AccessKeySecret|SecurityToken|Signature|SignatureNonce|BearerToken)("?\s*[:=]\s*"?)[^&\s"'<>]+`)
	encoded = regexp.MustCompile(`(?i)(AccessKeyId|AccessKeySecret|SecurityToken|Signature|SignatureNonce|BearerToken)(%3D|%253D)(?:[^&\s"'<>%]|%[013-9A-F][0-9A-F]|%2[0-57-9A-F])*`)
)

// scrub hides them. A name that none of the signs follows stays:
// "InvalidAccessKeyId.NotFound: Specified access key".
func scrub(text string) string {
	text = user.ReplaceAllString(text, "://***@")
	text = query.ReplaceAllString(text, "$1?***")
	text = encoded.ReplaceAllString(text, "$1$2***")
	return plain.ReplaceAllString(text, "$1 ***")
}
