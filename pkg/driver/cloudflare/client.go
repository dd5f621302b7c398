package cloudflare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cloudflare/cloudflare-go/v7/dns"
	"github.com/cloudflare/cloudflare-go/v7/option"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// client speaks with the API. What is sent again, and when, is decided here:
// the vendor's library would repeat a write whose answer was lost.
type client struct {
	base    string
	token   secret.Ref
	secrets *secret.Resolver
	http    doer
	log     *slog.Logger
}

// doer bounds what is read of an answer.
type doer struct{ *http.Client }

const largest = 32 << 20

func (d doer) Do(r *http.Request) (*http.Response, error) {
	res, err := d.Client.Do(r)
	if err == nil {
		res.Body = &limited{io.LimitReader(res.Body, largest), res.Body}
	}
	return res, err
}

type limited struct {
	io.Reader
	io.Closer
}

func (c *client) resolve(ctx context.Context) (string, error) {
	if c.secrets != nil {
		return c.secrets.Resolve(ctx, c.token)
	}
	if secret.IsRef(string(c.token)) {
		return "", fmt.Errorf("nobody can resolve %s", c.token)
	}
	return string(c.token), nil
}

// asker makes one call. It returns the body of every answer.
type asker func(ctx context.Context, token string) ([]byte, *http.Response, error)

// library is a call through the vendor's library, with its retries off.
func (c *client) library(call func(context.Context, *dns.RecordService) error) asker {
	return func(ctx context.Context, token string) (body []byte, res *http.Response, err error) {
		err = call(ctx, dns.NewRecordService(
			option.WithBaseURL(c.base), option.WithAPIToken(token), option.WithHTTPClient(c.http), option.WithMaxRetries(0),
			option.WithResponseInto(&res), option.WithResponseBodyInto(&body),
		))
		if res != nil && res.StatusCode >= http.StatusMultipleChoices && body == nil {
			body, _ = io.ReadAll(res.Body) // the library put it back
		}
		return body, res, err
	}
}

// page asks for one page of the records of a name. The fields are set without
// the package that has functions for it: it imports all others.
func (c *client) page(ctx context.Context, zone, host string, page int) (envelope, error) {
	return c.read(ctx, c.library(func(ctx context.Context, s *dns.RecordService) error {
		var p dns.RecordListParams
		p.ZoneID.Value, p.ZoneID.Present = zone, true
		p.Name.Value.Exact.Value, p.Name.Value.Exact.Present, p.Name.Present = host, true, true
		p.Page.Value, p.Page.Present = float64(page), true
		p.PerPage.Value, p.PerPage.Present = perPage, true
		_, err := s.List(ctx, p)
		return err
	}))
}

// batch sends one transaction.
func (c *client) batch(ctx context.Context, zone string, b batch) error {
	body, err := json.Marshal(b)
	if err != nil {
		return err
	}
	answer, err := c.again(ctx, true, c.library(func(ctx context.Context, s *dns.RecordService) error {
		var p dns.RecordBatchParams
		p.ZoneID.Value, p.ZoneID.Present = zone, true
		_, err := s.Batch(ctx, p, option.WithRequestBody("application/json", body))
		return err
	}))
	if err != nil {
		return err
	}
	// A 200 that is no answer of the API says nothing; who reads back decides.
	_, err = parse(answer)
	if refused, ok := errors.AsType[*apiError](err); ok {
		return explain(refused)
	}
	return nil
}

// get asks for what the library's package dns does not have. The package that
// has it would make the program 17 MB larger.
func (c *client) get(ctx context.Context, path string) (envelope, error) {
	return c.read(ctx, func(ctx context.Context, token string) ([]byte, *http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
		if err != nil {
			return nil, nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept", "application/json")
		res, err := c.http.Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return body, res, err
	})
}

func (c *client) read(ctx context.Context, ask asker) (envelope, error) {
	body, err := c.again(ctx, false, ask)
	if err != nil {
		return envelope{}, err
	}
	e, err := parse(body)
	return e, explain(err)
}

const (
	// reads is how often a question is asked when nobody answers it.
	reads = 3
	// throttled is how often a call is made that the rate limit refused.
	throttled   = 5
	firstPause  = 200 * time.Millisecond
	defaultWait = time.Second // of a 429 that does not say
)

// again makes a call, and again where that is harmless: what the rate limit
// refused was not done, and a question changes nothing. A write whose outcome
// is unknown is never repeated here: who reads back decides.
func (c *client) again(ctx context.Context, write bool, ask asker) ([]byte, error) {
	asked, refused := 0, 0
	for {
		body, res, err := c.once(ctx, ask) //nolint:bodyclose // once has read it and closed it
		if err == nil {
			return body, nil
		}
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
		case res != nil && res.StatusCode == http.StatusTooManyRequests && refused < throttled:
			refused++
			pause = retryAfter(res.Header.Get("Retry-After"))
		case !write && passing(err, res) && asked < reads-1:
			pause = firstPause << asked
			asked++
		}
		if pause == 0 {
			return nil, explain(outcome(err, res, write))
		}
		if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
			return nil, explain(fmt.Errorf("%w; asked to wait %s, which is longer than the call may take", err, pause))
		}
		c.log.DebugContext(ctx, "asking Cloudflare again", "after", pause, "err", err)
		driver.Progress(ctx, fmt.Sprintf("Cloudflare: %v; again in %s", err, pause))
		select {
		case <-ctx.Done():
			return nil, explain(fmt.Errorf("%w; then %w while waiting to ask again", err, ctx.Err()))
		case <-time.After(pause):
		}
	}
}

// once makes one call with the token of this moment. The error of an answer is
// an *apiError.
func (c *client) once(ctx context.Context, ask asker) ([]byte, *http.Response, error) {
	token, err := c.resolve(ctx)
	if err != nil {
		return nil, nil, driver.Permanent(err)
	}
	body, res, err := ask(ctx, token)
	switch {
	case res != nil && res.StatusCode >= http.StatusMultipleChoices:
		return nil, res, failed(res.StatusCode, body)
	case err != nil:
		return nil, nil, bare(err)
	}
	return body, res, nil
}

// passing: another try may find it better.
func passing(err error, res *http.Response) bool {
	return !errors.Is(err, driver.ErrPermanent) && (res == nil || res.StatusCode >= http.StatusInternalServerError)
}

// outcome marks the error of a write that may have taken effect. A connection
// that was never made carried nothing.
func outcome(err error, res *http.Response, write bool) error {
	if !write || errors.Is(err, driver.ErrPermanent) {
		return err
	}
	if res != nil && res.StatusCode < http.StatusInternalServerError {
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return err
	}
	return driver.Uncertain(err)
}

// retryAfter reads seconds or a date; RFC 9110, 10.2.3.
func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 1e6)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), defaultWait)
	}
	return defaultWait
}

// bare takes method and URL off the error of net/http.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// explain adds what can be done about it.
func explain(err error) error {
	if e, ok := errors.AsType[*apiError](err); ok {
		switch {
		case e.status == http.StatusTooManyRequests:
			return hint.Wrap(err, "Cloudflare counts 1200 requests in 5 minutes for a user, the dashboard's too, then refuses all for 5 minutes")
		case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden || e.has(6003, 6111, 9106, 9109, 10000):
			return driver.Permanent(hint.Wrap(err, "the token has to be valid and allow DNS Write on the zone, and Zone Read when zone_id is left out"))
		case e.has(7003) || e.status == http.StatusNotFound && !e.has(81044):
			return driver.Permanent(hint.Wrap(fmt.Errorf("%w (%w)", err, driver.ErrNotFound), "is zone_id right, and may the token see the zone?"))
		case e.has(9021):
			return driver.Permanent(hint.Wrap(err, "a TTL is 60..86400 seconds, from 30 on an Enterprise zone (min_ttl: 30)"))
		case e.status == http.StatusBadRequest && !e.has(conflicts...):
			return driver.Permanent(err)
		}
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return hint.Wrap(err, "can this machine reach api.cloudflare.com?")
	}
	return err
}

// conflicts are what the API says when the zone is not what was just listed:
// an identical record, a name that has become or ceased to be a CNAME, a
// record that is gone.
var conflicts = []int{81044, 81053, 81054, 81057, 81058}
