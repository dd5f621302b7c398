package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// AskConfig is the configuration of ask: {http: ...} and kill: {http: ...}: a
// call that makes a member do something.
type AskConfig struct {
	URL     secret.Ref            `yaml:"url"`     // of the member: http://${{ member.address }}/drain
	Method  string                `yaml:"method"`  // POST when left out
	Headers map[string]secret.Ref `yaml:"headers"` // values may be secret references
	Body    secret.Ref            `yaml:"body"`    // of the request
	Connect string                `yaml:"connect"` // host:port to connect to instead of the URL's; Host and TLS name stay
	Status  Statuses              `yaml:"status"`  // 200, 2xx or a list; 2xx when left out
	TLS     trust.TLS             `yaml:"tls"`
	Timeout time.Duration         `yaml:"timeout"` // of the call; 5s when left out
}

func (c *AskConfig) call() HTTPConfig {
	h := HTTPConfig{
		URL: c.URL, Method: cmp.Or(c.Method, http.MethodPost), Headers: c.Headers, Body: c.Body, Connect: c.Connect,
		Status: c.Status, TLS: c.TLS, Timeout: cmp.Or(c.Timeout, networkTimeout),
	}
	if len(h.Status) == 0 {
		h.Status = Statuses{"2xx"}
	}
	return h
}

// Validate says what is wrong with c.
func (c *AskConfig) Validate() error {
	call := c.call()
	return call.Validate()
}

// Ask is one call to one member.
type Ask struct{ gate httpGate }

// CheckAsk decodes and validates the block of an ask, nothing else.
func CheckAsk(decode func(any) error) error {
	var c AskConfig
	if err := decode(&c); err != nil {
		return err
	}
	return c.Validate()
}

// NewAsk makes the call that a block describes. It sends nothing yet.
func NewAsk(decode func(any) error, env Env) (Ask, error) {
	var c AskConfig
	if err := decode(&c); err != nil {
		return Ask{}, err
	}
	if err := c.Validate(); err != nil {
		return Ask{}, err
	}
	call := c.call()
	want, err := call.expectation()
	if err != nil {
		return Ask{}, err
	}
	return Ask{httpGate{call, env, want}}, nil
}

// Text is the call for people: "POST http://10.0.0.1:8080/drain".
func (a Ask) Text() string { return a.gate.Method + " " + shownURL(a.gate.URL) }

// Do makes the call once and ends soon after ctx. nil: the member answered as
// wanted. An error says nothing about whether the member did it.
func (a Ask) Do(ctx context.Context) error {
	res, err := a.gate.Check(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", a.gate.env.redact(a.Text()), err)
	case !res.Pass:
		return errors.New(a.gate.env.redact(a.Text()) + ": " + res.Detail)
	}
	return nil
}
