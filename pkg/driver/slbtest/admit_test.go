package slbtest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// raw is a request as a client without the SDK makes it.
type raw struct {
	params map[string]string
	secret string
	send   func(*http.Request) (*http.Response, error)
	url    string
	form   map[string]string
}

var nonces atomic.Int64

func request(s *slbtest.Server) raw {
	return raw{
		url: s.URL() + "/", secret: slbtest.DefaultKey.Secret, send: (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do,
		params: map[string]string{
			"AccessKeyId": slbtest.DefaultKey.ID, "Action": "DescribeLoadBalancers", "Version": "2014-05-15", "RegionId": "cn-hangzhou",
			"Format": "JSON", "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureType": "",
			"SignatureNonce": strconv.FormatInt(nonces.Add(1), 10), "Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05Z"),
		},
	}
}

// with changes a parameter; "-" takes it away.
func (r raw) with(name, value string) raw {
	r.params = maps.Clone(r.params)
	if r.params[name] = value; value == "-" {
		delete(r.params, name)
	}
	return r
}

// do signs with url.Values' encoding, which differs from the server's own
// only for a space, "*" and "~".
func (r raw) do(t *testing.T) (status int, body map[string]any) {
	t.Helper()
	query, form, all := url.Values{}, url.Values{}, url.Values{}
	for k, v := range r.params {
		query.Set(k, v)
		all.Set(k, v)
	}
	for k, v := range r.form {
		form.Set(k, v)
		all.Set(k, v)
	}
	text := "POST&%2F&" + url.QueryEscape(all.Encode())
	mac := hmac.New(sha1.New, []byte(r.secret+"&"))
	mac.Write([]byte(text))
	if _, given := r.params["Signature"]; !given {
		query.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	rq, err := http.NewRequestWithContext(context.Background(), http.MethodPost, r.url+"?"+query.Encode(), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	rq.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := r.send(rq)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &body); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return answer.StatusCode, body
}

func TestTheGatewayRefuses(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true})
	good := request(s)
	if status, body := good.do(t); status != http.StatusOK {
		t.Fatalf("a good request: %d %v", status, body)
	}
	wrong := request(s)
	wrong.secret = "wrong"
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format("2006-01-02T15:04:05Z") }
	tests := []struct {
		name    string
		request raw
		status  int
		code    string
	}{
		{"a used nonce", good, 400, "SignatureNonceUsed"},
		{"a wrong secret", wrong, 400, "SignatureDoesNotMatch"},
		{"an unknown key", request(s).with("AccessKeyId", "LTAIx"), 404, "InvalidAccessKeyId.NotFound"},
		{"a missing timestamp", request(s).with("Timestamp", "-"), 400, "MissingParameter"},
		{"a missing nonce", request(s).with("SignatureNonce", "-"), 400, "MissingParameter"},
		{"an empty signature", request(s).with("Signature", ""), 400, "MissingParameter"},
		{"a timestamp of another form", request(s).with("Timestamp", "2026-11-22 10:00:00"), 400, "InvalidTimeStamp.Format"},
		{"a timestamp 16 minutes ago", request(s).with("Timestamp", at(-16*time.Minute)), 400, "InvalidTimeStamp.Expired"},
		{"a timestamp in 16 minutes", request(s).with("Timestamp", at(16*time.Minute)), 400, "InvalidTimeStamp.Expired"},
		{"another signature method", request(s).with("SignatureMethod", "HMAC-SHA256"), 400, "InvalidParameter"},
		{"XML", request(s).with("Format", "XML"), 400, "InvalidParameter"},
		{"an unknown action", request(s).with("Action", "DescribeLoadBalancer"), 404, "InvalidApi.NotFound"},
		{"an action in another case", request(s).with("Action", "describeLoadBalancers"), 404, "InvalidApi.NotFound"},
		{"an action of another version", request(s).with("Version", "2020-06-16"), 404, "InvalidApi.NotFound"},
		{"another region", request(s).with("RegionId", "cn-beijing"), 404, "InvalidRegionId.NotFound"},
		{"an unknown parameter", request(s).with("LoadBalancerIdd", "lb-1"), 400, "InvalidParameter"},
		{"a token for a key without one", request(s).with("SecurityToken", "x"), 400, "InvalidSecurityToken.MismatchWithAccessKey"},
		{"a missing parameter", request(s).with("Action", "DescribeLoadBalancerAttribute"), 400, "MissingParameter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body := tt.request.do(t)
			if status != tt.status || body["Code"] != tt.code || body["RequestId"] == "" || body["HostId"] == "" {
				t.Errorf("%d %v, want %d %s", status, body, tt.status, tt.code)
			}
		})
	}
	twice := request(s)
	twice.form = map[string]string{"Action": "DescribeLoadBalancers"}
	if status, body := twice.do(t); status != 400 || body["Code"] != "InvalidParameter" {
		t.Errorf("a parameter in query and form: %d %v", status, body)
	}
	if n := len(s.Calls()); n != 3 {
		t.Errorf("%d calls in the log, want the 3 that were signed and known", n)
	}
}

func TestTheSDKIsToldThatOnlyTheSecretIsWrong(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true})
	c := dialAs(t, s, credentials.NewAccessKeyCredential(slbtest.DefaultKey.ID, "wrong"))
	_, err := c.slb.DescribeLoadBalancers(slb.CreateDescribeLoadBalancersRequest())
	e, ok := err.(*sdkerrors.ServerError) //nolint:errorlint // the SDK does not wrap
	if !ok || e.ErrorCode() != "SignatureDoesNotMatch" || !strings.Contains(e.Recommend(), "InvalidAccessKeySecret") {
		t.Fatalf("error %v", err)
	}
}

func TestAnSTSKeyNeedsItsTokenAndEnds(t *testing.T) {
	key := slbtest.Key{ID: "STS.1", Secret: "s", Token: "t0ken"}
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Keys: []slbtest.Key{key}})
	describe := func(token string) string {
		c := dialAs(t, s, credentials.NewStsTokenCredential(key.ID, key.Secret, token))
		_, err := c.slb.DescribeLoadBalancers(slb.CreateDescribeLoadBalancersRequest())
		return code(err)
	}
	if got := describe("t0ken"); got != "" {
		t.Fatalf("with the token: %s", got)
	}
	if got := describe("other"); got != "InvalidSecurityToken.MismatchWithAccessKey" {
		t.Errorf("with another token: %s", got)
	}
	if got := describe(""); got != "MissingSecurityToken" {
		t.Errorf("without a token: %s", got)
	}
	s.ExpireKey("STS.1")
	if got := describe("t0ken"); got != "InvalidSecurityToken.Expired" {
		t.Errorf("after its end: %s", got)
	}
	s.SetKey(key)
	if got := describe("t0ken"); got != "" {
		t.Errorf("renewed: %s", got)
	}
}

func TestPlainHTTPIsRefusedWithoutTheFlag(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{})
	plain := request(s)
	plain.url = "http://" + s.Host() + "/"
	if status, body := plain.do(t); status != 400 || body["Code"] != "InvalidProtocol.NeedSsl" {
		t.Errorf("plain: %d %v", status, body)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	secure := request(s)
	secure.send = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}).Do
	if status, body := secure.do(t); status != http.StatusOK {
		t.Errorf("TLS: %d %v", status, body)
	}
}

func TestOnlyLoopbackIsServed(t *testing.T) {
	if s, err := slbtest.New(slbtest.Options{Addr: "0.0.0.0:0"}); err == nil {
		s.Close()
		t.Error("0.0.0.0 was served")
	}
}

func TestAllKeysOfAnAccountShareALimitPerAction(t *testing.T) {
	two := slbtest.Key{ID: "second", Secret: "s"}
	s := slbtest.Start(t, slbtest.Options{
		PlainHTTP: true, Keys: []slbtest.Key{slbtest.DefaultKey, two, {ID: "other", Secret: "s", Account: "2"}},
		Actions: map[string]slbtest.Limit{"slb.DescribeLoadBalancers": {Calls: 2, Per: time.Hour}},
	})
	as := func(key slbtest.Key, action string) any {
		r := request(s).with("AccessKeyId", key.ID).with("Action", action)
		r.secret = key.Secret
		_, body := r.do(t)
		return body["Code"]
	}
	as(slbtest.DefaultKey, "DescribeLoadBalancers")
	as(two, "DescribeLoadBalancers")
	if got := as(two, "DescribeLoadBalancers"); got != "Throttling.User" {
		t.Errorf("third call of the account: %v", got)
	}
	if got := as(slbtest.Key{ID: "other", Secret: "s"}, "DescribeLoadBalancers"); got != nil {
		t.Errorf("another account: %v", got)
	}
	if got := as(two, "DescribeVServerGroups"); got != "MissingParameter" {
		t.Errorf("another action: %v", got)
	}
	global := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Global: slbtest.Limit{Calls: 1, Per: time.Hour}})
	request(global).do(t)
	if _, body := request(global).do(t); body["Code"] != "Throttling.Api" {
		t.Errorf("over the global limit: %v", body)
	}
}
