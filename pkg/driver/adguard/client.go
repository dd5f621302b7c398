package adguard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// client speaks with the HTTP API.
type client struct {
	base           string
	host           string
	user, password secret.Ref
	secrets        *secret.Resolver
	http           *http.Client
	timeout        time.Duration
	log            *slog.Logger

	mu     sync.Mutex
	denied denial
}

// denial are credentials that the server refused. Asking with them again would
// only make the lock-out longer.
type denial struct {
	who   [sha256.Size]byte
	until time.Time
	err   error
}

// lockOut is block_auth_min of a new installation: after some wrong passwords
// the right one is refused too, for that long.
const lockOut = 15 * time.Minute

func newClient(cfg Config, env driver.Env, log *slog.Logger) (*client, error) {
	u, err := cfg.base()
	if err != nil {
		return nil, err
	}
	secure, err := cfg.TLS.Config()
	if err != nil {
		return nil, err
	}
	transport := env.Transport
	if transport == nil || cfg.TLS != (trust.TLS{}) {
		own := http.DefaultTransport.(*http.Transport).Clone() // net/http promises the type
		own.TLSClientConfig = secure
		transport = own
	}
	return &client{
		base: u.String(), host: u.Host, user: cfg.User, password: cfg.Password, secrets: env.Secrets, timeout: cfg.timeout(), log: log,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// statusError is an answer that is not 200.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%d %s: %s", e.code, http.StatusText(e.code), e.text)
}

func isStatus(err error, code int) bool {
	e, ok := errors.AsType[*statusError](err)
	return ok && e.code == code
}

func (c *client) rows(ctx context.Context) ([]row, error) {
	body, err := c.get(ctx, "rewrite/list")
	if err != nil {
		return nil, fmt.Errorf("list the rewrites: %w", err)
	}
	rows, err := parseRows(body)
	if err != nil {
		return nil, fmt.Errorf("list the rewrites: %w", err)
	}
	return rows, nil
}

// used reports whether rewrites are used at all. Versions before v0.107.68
// have no such switch.
func (c *client) used(ctx context.Context) (bool, error) {
	body, err := c.get(ctx, "rewrite/settings")
	if isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusMethodNotAllowed) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("rewrite settings: %w", err)
	}
	return parseSwitch(body)
}

func (c *client) ttl(ctx context.Context) (int, error) {
	body, err := c.get(ctx, "dns_info")
	if err != nil {
		return 0, fmt.Errorf("DNS settings: %w", err)
	}
	return parseTTL(body)
}

// entry is a row in the API. `enabled` is never written: a new row is, and an
// updated one stays as it was.
type entry struct {
	Domain string `json:"domain"`
	Answer string `json:"answer"`
}

func (c *client) make(ctx context.Context, do call) error {
	one := entry{do.row.domain, do.row.answer}
	var err error
	switch do.verb {
	case update:
		_, err = c.send(ctx, http.MethodPut, "rewrite/update", map[string]entry{"target": one, "update": {do.next.domain, do.next.answer}})
		if isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusMethodNotAllowed) {
			err = driver.Permanent(hint.Wrap(err, "replacing a rewrite needs AdGuard Home v0.107.30 or newer; adding one and removing one in two steps does not"))
		}
	case add, remove:
		_, err = c.send(ctx, http.MethodPost, "rewrite/"+string(do.verb), one)
	}
	return err
}

func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	return c.send(ctx, http.MethodGet, path, nil)
}

func (c *client) credentials(ctx context.Context) (user, password string, err error) {
	resolve := func(ref secret.Ref) (string, error) {
		if c.secrets != nil {
			return c.secrets.Resolve(ctx, ref)
		}
		if secret.IsRef(string(ref)) {
			return "", fmt.Errorf("nobody can resolve %s", ref)
		}
		return string(ref), nil
	}
	if user, err = resolve(c.user); err != nil {
		return "", "", driver.Permanent(err)
	}
	if password, err = resolve(c.password); err != nil {
		return "", "", driver.Permanent(err)
	}
	return user, password, nil
}

// largest is how much of an answer is read.
const largest = 32 << 20

// send makes one call. It is never repeated here. An error that says nothing
// about whether a write took effect wraps driver.ErrUnknown.
func (c *client) send(ctx context.Context, method, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	user, password, err := c.credentials(ctx)
	if err != nil {
		return nil, err
	}
	who := sha256.Sum256([]byte(user + "\x00" + password))
	if err := c.refused(who); err != nil {
		return nil, err
	}
	r, err := request(ctx, method, c.base+"/control/"+path, body)
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(user, password)
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, explain(outcome(method, fmt.Errorf("%s: %w", c.host, bare(err))))
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largest))
	switch {
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, c.deny(who, &statusError{answer.StatusCode, reason(text)})
	case answer.StatusCode != http.StatusOK:
		failed := error(&statusError{answer.StatusCode, reason(text)})
		if answer.StatusCode >= http.StatusInternalServerError {
			failed = outcome(method, failed)
		}
		return nil, explain(failed)
	case err != nil:
		return nil, outcome(method, fmt.Errorf("%s: the answer broke off: %w", c.host, err))
	}
	return text, nil
}

func request(ctx context.Context, method, target string, body any) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, target, http.NoBody)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.GetBody = nil // net/http may not send a write again by itself
	r.Header.Set("Content-Type", "application/json")
	return r, nil
}

// refused is the error of credentials that were refused a while ago.
func (c *client) refused(who [sha256.Size]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denied.who != who || time.Now().After(c.denied.until) {
		return nil
	}
	return c.denied.err
}

func (c *client) deny(who [sha256.Size]byte, failed *statusError) error {
	err := driver.Permanent(hint.Wrap(fmt.Errorf("%s: %w", c.host, failed),
		"look at user and password of the target; flip did not try again, since after some wrong passwords even the right one is refused for 15 minutes, or until AdGuard Home is restarted"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied = denial{who, time.Now().Add(lockOut), err}
	return err
}

// outcome marks the error of a write that may have taken effect. A connection
// that was never made carried nothing.
func outcome(method string, err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if method == http.MethodGet || (ok && op.Op == "dial") {
		return err
	}
	return driver.Uncertain(err)
}

// bare takes method and URL off the error of net/http.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// reason is what an error answer says, on one line.
func reason(body []byte) string {
	text := strings.Join(strings.Fields(string(body)), " ")
	const most = 200
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return orElse(strings.ToValidUTF8(text, "?"), "no reason given")
}

// explain adds what can be done about it.
func explain(err error) error {
	if e, ok := errors.AsType[*statusError](err); ok {
		switch {
		case e.code >= 300 && e.code < 400:
			return driver.Permanent(hint.Wrap(err, "url does not lead to the API: is it https there, or has the installation not been finished?"))
		case e.code == http.StatusBadRequest || e.code == http.StatusUnsupportedMediaType:
			return driver.Permanent(err)
		}
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return hint.Wrap(err, "are host and port of url right, and is AdGuard Home up?")
	}
	return err
}
