// Package aliyun speaks with the API of Aliyun for the drivers of its load
// balancers and its DNS. It is the only code that knows the vendor's SDK
// (github.com/aliyun/alibaba-cloud-sdk-go v1), of which it uses the parts that
// sign requests, find credentials and know endpoints. Requests and answers are
// written here, one file a product: the SDK's own types drop every field that
// is newer than they are, and what is dropped from a rule that is written back
// whole is lost.
//
// The SDK has its defaults for other uses. Here a request goes over HTTPS, ends
// with its context, is never repeated by the SDK (which repeats writes whose
// fate is unknown), follows no redirect, and no error, log or trace holds the
// signed URL. One SDK client is not safe for concurrent use, so a Client sends
// one request at a time.
package aliyun

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
	"golang.org/x/time/rate"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// Product is one API.
type Product struct {
	Name    string // as endpoints and policies call it: slb
	Version string
	// Form: parameters travel in the body.
	Form bool
}

// Client speaks with one product for one target.
type Client struct {
	product Product
	account Account
	who     *who
	wire    *transport
	limit   *rate.Limiter
	log     *slog.Logger

	// turn is held by who uses the SDK client, and with it by the request that
	// runs. It is a channel so that waiting for it ends with a context.
	turn chan struct{}
	sdk  *sdk.Client
	now  credentials.Credentials // of the request that runs
}

// Open makes a client. It sends nothing.
func Open(p Product, a Account, env driver.Env) (*Client, error) {
	if slices.Contains(strings.Split(os.Getenv("DEBUG"), ","), "sdk") {
		return nil, hint.Wrap(errors.New("DEBUG=sdk makes the vendor's SDK print access keys and signatures"), "unset DEBUG; flip -v logs every call without them")
	}
	host, scheme, err := a.address(p.Name)
	if err != nil {
		return nil, err
	}
	wire, err := newTransport(a, env, scheme == "http")
	if err != nil {
		return nil, err
	}
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		product: p, account: a, who: &who{account: a, secrets: env.Secrets}, wire: wire, log: log,
		limit: rate.NewLimiter(rate.Limit(a.rate()), max(1, int(a.rate()))), turn: make(chan struct{}, 1),
	}
	cfg := sdk.NewConfig()
	cfg.Scheme, cfg.Transport, cfg.AutoRetry, cfg.MaxRetryTime = strings.ToUpper(scheme), wire, false, 0
	if c.sdk, err = sdk.NewClientWithOptions(a.Region, cfg, (*running)(c)); err != nil {
		return nil, err
	}
	c.sdk.Domain = host
	// The SDK reads proxies itself, and NO_PROXY as regular expressions; the
	// transport does it as every other program. Neither value is used.
	c.sdk.SetNoProxy("^$")
	c.sdk.SetHttpProxy("http://unused.invalid")
	c.sdk.SetHttpsProxy("http://unused.invalid")
	c.sdk.SetCloseTrace(true)
	// The context of a call ends it first.
	c.sdk.SetReadTimeout(a.CallTimeout() + time.Minute)
	return c, nil
}

// running gives the SDK the credentials of the request that runs.
type running Client

func (r *running) GetProviderName() string { return r.now.ProviderName }

func (r *running) GetCredentials() (*credentials.Credentials, error) {
	cc := r.now
	return &cc, nil
}

// Format keeps the credentials of the request that runs out of what is printed.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "client of "+c.product.Name) }

// Close lets idle connections go.
func (c *Client) Close() { c.wire.close() }

// Who names the provider of the credentials and the end of the key, once a
// call was made.
func (c *Client) Who() string { return c.who.String() }

// Calls counts the requests that were sent.
func (c *Client) Calls() int {
	c.wire.mu.Lock()
	defer c.wire.mu.Unlock()
	return c.wire.calls
}

// Request is one call of an API.
type Request struct {
	Product  string // filled in by the client
	Action   string
	Resource string // what it is about, for errors
	Params   Params
	// Write: it changes something when it succeeds.
	Write bool
}

func (r Request) failed() *Error {
	return &Error{Product: r.Product, Action: r.Action, Resource: r.Resource, Write: r.Write}
}

// Do calls the API and decodes its answer into into, which may be nil. A call
// that was throttled, or that found the resource busy, did nothing and is
// repeated until retry_for or ctx ends. A call whose fate is unknown is not: it
// is an Error of the class Ambiguous, for a caller who can look.
func (c *Client) Do(ctx context.Context, req Request, into any) error {
	req.Product = c.product.Name
	end := time.Now().Add(c.account.retryFor())
	renewed := false
	for try := 1; ; try++ {
		e := c.once(ctx, req, into)
		if e == nil {
			return nil
		}
		c.log.DebugContext(ctx, "call failed", "action", req.Action, "resource", req.Resource, "class", e.Class.String(), "code", e.Code, "request", e.RequestID, "try", try)
		if e.Class == Auth && e.Status != 0 && !renewed && expired(e.Code) {
			// A token may be renewed at any time, also before it ends.
			renewed = true
			c.who.forget()
			continue
		}
		wait := pauseAfter(try)
		if (e.Class != Throttled && e.Class != Busy) || time.Now().Add(wait).After(end) {
			return e
		}
		driver.Progress(ctx, fmt.Sprintf("%s is %s (%s); again in %s", cmp.Or(req.Resource, req.Action), e.Class, e.Code, wait.Round(100*time.Millisecond)))
		if err := Pause(ctx, wait); err != nil {
			e.Err = err
			return fmt.Errorf("%w; then %w while waiting to try again", e, err)
		}
	}
}

func expired(code string) bool {
	code = strings.ToLower(code)
	return strings.HasPrefix(code, "invalidsecuritytoken") || strings.HasPrefix(code, "invalidaccesskeyid")
}

// once sends the request at most once.
func (c *Client) once(ctx context.Context, req Request, into any) *Error {
	before := func(err error) *Error {
		return explain(req, &beforeError{Other, bare(err, c.who.hide)}, c.who.hide)
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return before(ctx.Err())
	}
	if err := c.limit.Wait(ctx); err != nil {
		return before(cmp.Or(ctx.Err(), context.DeadlineExceeded)) // it would not be this call's turn before
	}
	cc, err := c.who.get(ctx)
	if err != nil {
		e := explain(req, &beforeError{Auth, err}, c.who.hide)
		if ctx.Err() != nil {
			e.Class = Other
		}
		return e
	}
	c.now = cc
	ctx, cancel := context.WithTimeout(ctx, c.account.CallTimeout())
	defer cancel()
	c.wire.begin(ctx)
	resp := responses.NewCommonResponse()
	err = c.act(req, resp)
	if err != nil {
		e := explain(req, err, c.who.hide)
		e.Who = c.who.String()
		if !c.wire.left() && e.Status == 0 && e.Class == Ambiguous {
			e.Class = Other
		}
		return e
	}
	return c.decode(req, resp.GetHttpContentBytes(), into)
}

// act runs the SDK, which panics over an error answer whose code is no text.
func (c *Client) act(req Request, resp *responses.CommonResponse) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the answer is not what the API promises: %v", p)
		}
	}()
	return c.sdk.DoAction(c.common(req), resp)
}

// common is the SDK's form of a request.
func (c *Client) common(req Request) *requests.CommonRequest {
	r := requests.NewCommonRequest()
	r.Method = requests.POST
	r.Product, r.Version, r.ApiName = c.product.Name, c.product.Version, req.Action
	params := r.QueryParams
	if c.product.Form {
		params = r.FormParams
	}
	for k, v := range req.Params {
		if v != "" {
			params[k] = v
		}
	}
	r.TransToAcsRequest()
	return r
}

// envelope is what an answer says about itself. NLB can answer 200 and say
// that it failed.
type envelope struct {
	RequestID Word  `json:"RequestId"`
	Success   *Flag `json:"Success"`
	Code      Word  `json:"Code"`
	Message   Word  `json:"Message"`
}

func (c *Client) decode(req Request, body []byte, into any) *Error {
	var env envelope
	bad := func(err error) *Error {
		e := req.failed()
		e.Class, e.Status, e.Err = Ambiguous, 200, errors.New("the answer is not what the API promises: "+brief(c.who.hide(err.Error())))
		return e
	}
	if err := json.Unmarshal(body, &env); err != nil {
		return bad(err)
	}
	if env.Success != nil && !bool(*env.Success) {
		e := req.failed()
		e.Status, e.RequestID = 200, brief(c.who.hide(string(env.RequestID)))
		e.Code, e.Message = brief(c.who.hide(string(env.Code))), brief(c.who.hide(string(env.Message)))
		e.Who = c.who.String()
		if e.Class = classify(e.Code, e.Status); e.Class == Other {
			e.Class = Invalid
		}
		return e
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return bad(err)
	}
	return nil
}

// DryRun sends a request that changes nothing and is nil when the API would
// have made the change: it says so with an error code.
func (c *Client) DryRun(ctx context.Context, req Request) error {
	req.Params = req.Params.With("DryRun", "true")
	err := c.Do(ctx, req, nil)
	if CodeIs(err, "DryRunOperation") {
		return nil
	}
	return err
}
