package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// auth holds the access token. Secrets are resolved for each login, so that a
// run of days sees a password that was changed.
type auth struct {
	username, password secret.Ref
	secrets            *secret.Resolver

	logins sync.Mutex // one login at a time
	mu     sync.Mutex
	value  string
	renew  time.Time
	before bool // a login was answered with a token
}

// cached is the token while it is good for some time.
func (a *auth) cached() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.value != "" && time.Now().After(a.renew) {
		a.value = ""
	}
	return a.value
}

// forget drops a token that a server refused, unless it was replaced since.
func (a *auth) forget(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.value == token {
		a.value = ""
	}
}

func (a *auth) keep(token string, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.value, a.before = token, true
	a.renew = time.Now().Add(ttl - ttl/10)
	if a.secrets != nil {
		a.secrets.Redactor.Add(token)
	}
}

// worked reports whether these credentials were accepted before.
func (a *auth) worked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.before
}

func (a *auth) resolve(ctx context.Context, ref secret.Ref) (string, error) {
	if a.secrets == nil {
		if secret.IsRef(string(ref)) {
			return "", fmt.Errorf("nobody can resolve %s", ref)
		}
		return string(ref), nil
	}
	return a.secrets.Resolve(ctx, ref)
}

// token logs in when there is no good token. It is empty without a username.
func (c *client) token(ctx context.Context, n *node) (string, error) {
	a := c.auth
	if a.username == "" {
		return "", nil
	}
	a.logins.Lock()
	defer a.logins.Unlock()
	if token := a.cached(); token != "" {
		return token, nil
	}
	token, ttl, err := c.login(ctx, n)
	if err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	a.keep(token, ttl)
	return token, nil
}

func (c *client) login(ctx context.Context, n *node) (string, time.Duration, error) {
	username, err := c.auth.resolve(ctx, c.auth.username)
	if err != nil {
		return "", 0, err
	}
	password, err := c.auth.resolve(ctx, c.auth.password)
	if err != nil {
		return "", 0, err
	}
	paths := []string{"/v1/auth/users/login", "/v1/auth/login", "/v3/auth/user/login"}
	if api(c.api.Load()) == v3 {
		paths = []string{"/v3/auth/user/login", "/v1/auth/users/login"}
	}
	var body []byte
	for _, path := range paths {
		body, err = c.send(ctx, n, call{
			method: http.MethodPost, path: path, login: true,
			params: url.Values{"username": {username}, "password": {password}},
		}, "")
		if !isStatus(err, http.StatusNotFound, http.StatusGone, http.StatusMethodNotAllowed, http.StatusNotImplemented) {
			break
		}
	}
	if isStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest) {
		return "", 0, driver.Permanent(hint.Wrap(err, "look at username and password of the target"))
	}
	if isStatus(err, http.StatusInternalServerError) && !c.auth.worked() {
		return "", 0, driver.Permanent(hint.Wrap(err, "look at username and password of the target: many servers answer 500 to a login that they refuse; if both are right, look at the server's log"))
	}
	if err != nil {
		return "", 0, err
	}
	return parseLogin(body)
}

// parseLogin reads {"accessToken","tokenTtl"}, which newer servers wrap as the
// data of a result.
func parseLogin(body []byte) (string, time.Duration, error) {
	type login struct {
		Token string  `json:"accessToken"`
		TTL   float64 `json:"tokenTtl"` // seconds
	}
	var answer struct {
		login
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", 0, errors.New("the answer to the login is not JSON")
	}
	if answer.Token == "" && len(answer.Data) > 0 {
		_ = json.Unmarshal(answer.Data, &answer.login) // checked next
	}
	if answer.Token == "" {
		return "", 0, errors.New("the answer to the login holds no token")
	}
	// Without a sane ttl the token is used until it is refused.
	ttl := 5 * time.Hour
	if answer.TTL > 0 && answer.TTL < 1e8 {
		ttl = time.Duration(answer.TTL * float64(time.Second))
	}
	return answer.Token, ttl, nil
}
