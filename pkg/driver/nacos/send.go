package nacos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// call is one request of the API. Its parameters go into the URL, as the
// vendor's own clients send them; credentials never do.
type call struct {
	method string
	path   string
	params url.Values
	login  bool // of the login itself: parameters are the body
}

// statusError is an answer that is not 200.
type statusError struct {
	node string
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("server %s: %d %s: %s", e.node, e.code, http.StatusText(e.code), e.text)
}

func isStatus(err error, codes ...int) bool {
	var s *statusError
	if !errors.As(err, &s) {
		return false
	}
	return slices.Contains(codes, s.code)
}

const (
	largest   = 64 << 20 // of an answer
	longQuery = 6 << 10  // of a URL; servers refuse more than 8 KB
)

// send makes one request. An error that says nothing about whether a write
// took effect wraps driver.ErrUnknown.
func (c *client) send(ctx context.Context, n *node, req call, token string) ([]byte, error) {
	query := req.params.Encode()
	target, body := n.base+req.path, ""
	if req.login || (len(query) > longQuery && req.method != http.MethodGet) {
		body = query
	} else if query != "" {
		target += "?" + query
	}
	r, err := http.NewRequestWithContext(ctx, req.method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if req.method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("User-Agent", "flip")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, req.outcome(fmt.Errorf("server %s: %w", n.name, bare(err)), err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largest))
	if err != nil {
		return nil, req.outcome(fmt.Errorf("server %s: the answer broke off: %w", n.name, err), err)
	}
	if answer.StatusCode != http.StatusOK {
		failed := &statusError{n.name, answer.StatusCode, reason(text)}
		if answer.StatusCode >= 500 {
			return nil, req.outcome(failed, failed)
		}
		return nil, failed
	}
	return text, nil
}

// outcome marks the error of a write that may have taken effect. A connection
// that was never made carried nothing.
func (req call) outcome(err, cause error) error {
	op, ok := errors.AsType[*net.OpError](cause)
	if req.method == http.MethodGet || req.login || (ok && op.Op == "dial") {
		return err
	}
	return driver.Uncertain(err)
}

// bare takes method and URL off the error of net/http: they hold the tuple.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// reason is what an error answer says, on one line.
func reason(body []byte) string {
	text := strings.TrimSpace(string(body))
	if m := messageOf(body); m != "" {
		text = m
	}
	text = strings.Join(strings.Fields(text), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return orElse(text, "no reason given")
}

// explain adds what can be done about it.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case isStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return hint.Wrap(err, "set username and password of a user who may read and write the namespace; Nacos 3.x asks for them by default")
	case strings.Contains(text, "do metadata operation failed"), strings.Contains(strings.ToLower(text), "leader"):
		return hint.Wrap(err, "a write needs a Raft leader: most servers must be up and reach each other on port 7848 (their HTTP port - 1000)")
	case isStatus(err, http.StatusServiceUnavailable):
		return hint.Wrap(err, "the server is starting or going down; look at its console or logs/naming-server.log")
	case errors.Is(err, context.DeadlineExceeded):
		return hint.Wrap(err, "look at the server; a longer timeout of the target helps where it is only slow")
	case isDial(err):
		return hint.Wrap(err, "are host and port in servers right, and is Nacos up?")
	}
	return err
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
