package resolve

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
)

// mostDoH bounds an answer in bytes, as the length of a DNS message over TCP.
const mostDoH = 64 << 10

// doh asks a server for DNS over HTTPS with GET, on a fresh connection for each
// sample: kept ones would lead to the same cache.
type doh struct {
	base
	c       Config
	subnet  netip.Prefix
	secrets *secret.Resolver
}

// Look asks as often as there are samples.
func (v *doh) Look(ctx context.Context, q Question) []Answer {
	label := string(v.c.DoH)
	if u, err := dohURL(label); err == nil && !secret.IsRef(label) {
		label = u.Scheme + "://" + u.Host + u.Path
	}
	var all []vantage
	for n := range v.c.Samples {
		all = append(all, vantage{name: label, client: prefixText(v.subnet), sample: n + 1, ask: func(ctx context.Context) (Answer, error) {
			return v.ask(ctx, q)
		}})
	}
	answers := v.look(ctx, all)
	if v.secrets != nil {
		for i := range answers {
			answers[i].Unknown = v.secrets.Redactor.Text(answers[i].Unknown)
		}
	}
	return answers
}

func (v *doh) ask(ctx context.Context, q Question) (Answer, error) {
	question := ask{Question: q, recurse: true, subnet: v.subnet}
	req, err := v.request(ctx, question)
	if err != nil {
		return Answer{}, err
	}
	client, err := v.client(req.URL)
	if err != nil {
		return Answer{}, err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostDoH+1))
	switch {
	case err != nil:
		return Answer{}, err
	case resp.StatusCode != http.StatusOK:
		return Answer{}, fmt.Errorf("status %d", resp.StatusCode)
	case len(body) > mostDoH:
		return Answer{}, fmt.Errorf("the answer is longer than %d KiB", mostDoH>>10)
	}
	a, err := v.read(question, resp.Header, body)
	if err != nil {
		return Answer{}, err
	}
	return a.aged(resp.Header.Get("Age")), nil
}

func (v *doh) read(question ask, h http.Header, body []byte) (Answer, error) {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if v.c.Format == "json" {
		if !strings.Contains(kind, "json") && !strings.Contains(kind, "javascript") {
			return Answer{}, fmt.Errorf("the answer is %.60q, not JSON", kind)
		}
		return question.readJSON(body)
	}
	if kind != "application/dns-message" {
		return Answer{}, fmt.Errorf("the answer is %.60q, not application/dns-message", kind)
	}
	return question.unpack(body)
}

// aged subtracts the time that the answer lay in HTTP caches (RFC 8484, 5.1).
func (a Answer) aged(header string) Answer {
	seconds, err := strconv.ParseInt(strings.TrimSpace(header), 10, 32)
	if err != nil || seconds <= 0 {
		return a
	}
	age := time.Duration(seconds) * time.Second
	a.MinTTL, a.MaxTTL = max(a.MinTTL-age, 0), max(a.MaxTTL-age, 0)
	return a
}

func (v *doh) request(ctx context.Context, question ask) (*http.Request, error) {
	text := string(v.c.DoH)
	if secret.IsRef(text) {
		if v.secrets == nil {
			return nil, errors.New("secrets cannot be resolved here")
		}
		var err error
		if text, err = v.secrets.Resolve(ctx, v.c.DoH); err != nil {
			return nil, err
		}
	}
	u, err := dohURL(text)
	if err != nil {
		return nil, err
	}
	values, accept := u.Query(), "application/dns-message"
	if v.c.Format == "json" {
		accept = "application/dns-json"
		values.Set("name", question.Name)
		values.Set("type", question.Type)
		if v.subnet.IsValid() {
			values.Set("edns_client_subnet", v.subnet.String())
		}
	} else {
		message, err := question.pack()
		if err != nil {
			return nil, err
		}
		values.Set("dns", base64.RawURLEncoding.EncodeToString(message))
	}
	u.RawQuery = values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "flip")
	return req, nil
}

func (v *doh) client(u *url.URL) (*http.Client, error) {
	secure, err := v.c.TLS.Config()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{TLSClientConfig: secure, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	if v.c.Connect != "" {
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, v.c.Connect)
		}
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}
