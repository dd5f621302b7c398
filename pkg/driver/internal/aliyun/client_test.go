package aliyun_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func TestAnAccessKeyGoesOverPlainHTTPToThisMachineOnly(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://slb.aliyuncs.com":      "plain http would send the access key",
		"http://10.0.0.5:8080":         "plain http would send the access key",
		"http://localhost:8080":        "plain http would send the access key", // a resolver decides where that is
		"http://127.0.0.1.example.com": "plain http would send the access key",
		"http://127.0.0.1:8080":        "",
		"http://[::1]:8080":            "",
		"https://slb.example.com":      "",
		"slb.example.com:8443":         "",
		"ftp://slb.example.com":        "is not an address",
		"https://a:b@slb.example.com":  "no place for a password",
		"https://slb.example.com/path": "more than a host and a port",
	} {
		a := account()
		a.Endpoint = endpoint
		err := a.Validate()
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", endpoint, err)
			}
			continue
		}
		expect.Error(t, err, want, "")
		if _, err := aliyun.OpenSLB(a, driver.Env{}); err == nil {
			t.Errorf("%s: a client was opened without validation", endpoint)
		}
	}
}

func TestRequestsGoToTheRegionOverHTTPSAsFlip(t *testing.T) {
	for name, test := range map[string]struct {
		account func(*aliyun.Account)
		open    func(aliyun.Account, driver.Env) (*aliyun.Client, error)
		want    string
	}{
		"classic, a central endpoint": {func(*aliyun.Account) {}, slbClient, "https://slb.aliyuncs.com"},
		"classic, a regional one":     {func(a *aliyun.Account) { a.Region = "eu-west-1" }, slbClient, "https://slb.eu-west-1.aliyuncs.com"},
		"application":                 {func(*aliyun.Account) {}, albClient, "https://alb.cn-hangzhou.aliyuncs.com"},
		"inside the VPC":              {func(a *aliyun.Account) { a.Network = "vpc" }, albClient, "https://alb-vpc.cn-hangzhou.aliyuncs.com"},
		"a private gateway":           {func(a *aliyun.Account) { a.Endpoint = "gw.example.com:8443" }, albClient, "https://gw.example.com:8443"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_PROXY", "(bad")             // the SDK would fail over this
			t.Setenv("HTTPS_PROXY", "http://%zz:80") // and over this
			var got *http.Request
			w := newWorld(answers(func(r *http.Request) (*http.Response, error) { got = r; return say(200, `{}`), nil }), stsKey())
			a := account()
			test.account(&a)
			c, err := test.open(a, w.Env)
			expect.Nil(t, err)
			expect.Nil(t, c.Do(t.Context(), aliyun.Request{Action: "X"}, nil))
			expect.Same(t, "address", test.want, got.URL.Scheme+"://"+got.URL.Host)
			if agent := got.Header.Get("User-Agent"); !strings.HasPrefix(agent, "flip/") {
				t.Errorf("user agent %q", agent)
			}
			expect.Same(t, "who", "plan, key ...This", c.Who())
		})
	}
}

func slbClient(a aliyun.Account, env driver.Env) (*aliyun.Client, error) {
	c, err := aliyun.OpenSLB(a, env)
	return c.Client, err
}

func albClient(a aliyun.Account, env driver.Env) (*aliyun.Client, error) {
	c, err := aliyun.OpenALB(a, env)
	return c.Client, err
}

func TestACallThatDidNothingIsRepeatedUntilItsTimeIsUp(t *testing.T) {
	for _, code := range []string{"Throttling.User", "throttling", "ServiceIsConfiguring", "SYSTEMBUSY", "IncorrectStatus.serverGroup", "Conflict.Lock", "IdempotenceProcessing", "-22031"} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var at []time.Time
				w := newWorld(answers(func(*http.Request) (*http.Response, error) {
					at = append(at, time.Now())
					return refusal(400, code), nil
				}), stsKey())
				a := account()
				a.RetryFor = time.Minute
				began := time.Now()
				err := open(t, a, w.Env).SetGroupWeights(t.Context(), "rsp-1", nil)
				expect.Error(t, aliyun.ForDriver(err), code, "retry_for")
				if took := time.Since(began); took > time.Minute || took < 30*time.Second {
					t.Errorf("it took %s", took)
				}
				for i := 1; i < len(at); i++ {
					if p := at[i].Sub(at[i-1]); p < time.Second || p > 15*time.Second {
						t.Errorf("pause %d was %s", i, p)
					}
				}
				if errors.Is(aliyun.ForDriver(err), driver.ErrPermanent) || errors.Is(aliyun.ForDriver(err), driver.ErrUnknown) {
					t.Errorf("it did nothing and may be tried again: %v", err)
				}
			})
		})
	}
}

func TestTheEndOfAContextEndsThePauseBetweenTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(answers(func(*http.Request) (*http.Response, error) { return refusal(400, "Throttling.User"), nil }), stsKey())
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := open(t, account(), w.Env).SetGroupWeights(ctx, "rsp-1", nil)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 500*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestCallsKeepToTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(answers(func(*http.Request) (*http.Response, error) { return say(200, `{}`), nil }), stsKey())
		a := account()
		a.Rate = 5
		c := open(t, a, w.Env)
		began := time.Now()
		for range 30 {
			expect.Nil(t, c.Do(t.Context(), aliyun.Request{Action: "X"}, nil))
		}
		expect.Same(t, "30 calls at 5 a second, 5 at once", 5*time.Second, time.Since(began))
	})
}

func TestAWriteWhoseFateIsUnknownIsSentOnce(t *testing.T) {
	for name, answer := range map[string]answers{
		"no answer":        func(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") },
		"an HTML gateway":  func(*http.Request) (*http.Response, error) { return say(502, "<html>bad gateway</html>"), nil },
		"garbage":          func(*http.Request) (*http.Response, error) { return say(200, "<html>"), nil },
		"a number as code": func(*http.Request) (*http.Response, error) { return say(400, `{"Code":500,"Message":"x"}`), nil },
		"unavailable":      func(*http.Request) (*http.Response, error) { return refusal(503, "ServiceUnavailable"), nil },
		"an inner error":   func(*http.Request) (*http.Response, error) { return refusal(500, "InternalError"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := 0
				w := newWorld(answers(func(r *http.Request) (*http.Response, error) { sent++; return answer(r) }), stsKey())
				err := open(t, account(), w.Env).SetGroupWeights(t.Context(), "rsp-1", nil)
				expect.Same(t, "class", aliyun.Ambiguous.String(), aliyun.ClassOf(err).String())
				if !errors.Is(aliyun.ForDriver(err), driver.ErrUnknown) {
					t.Errorf("%v does not say that the outcome is unknown", err)
				}
				expect.Same(t, "requests", 1, sent)
			})
		})
	}
}

func TestErrorsHaveTheirClass(t *testing.T) {
	for code, want := range map[string]struct {
		status int
		class  aliyun.Class
		hint   string
	}{
		"InvalidAccessKeyId.NotFound":          {404, aliyun.Auth, "asked as plan, key ...This"},
		"SignatureDoesNotMatch":                {400, aliyun.Auth, "check the access key"},
		"Forbidden.RAM":                        {403, aliyun.Auth, "allow slb:SetVServerGroupAttribute to plan, key ...This"},
		"InvalidSecurityToken.Expired":         {400, aliyun.Auth, "renew it"},
		"InvalidTimeStamp.Expired":             {400, aliyun.Auth, "clock"},
		"InvalidLoadBalancerId.NotFound":       {404, aliyun.NotFound, ""},
		"ResourceNotFound.serverGroup":         {404, aliyun.NotFound, ""},
		"InvalidParameter":                     {400, aliyun.Invalid, ""},
		"MissingParameter":                     {400, aliyun.Invalid, ""},
		"InvalidProtocol.NeedSsl":              {400, aliyun.Invalid, ""},
		"InvalidDomainName.NoExist":            {404, aliyun.NotFound, ""},
		"SomethingNew":                         {500, aliyun.Ambiguous, ""},
		"OperationFailed.SomethingNobodyKnows": {409, aliyun.Invalid, ""},
	} {
		w := newWorld(answers(func(*http.Request) (*http.Response, error) { return refusal(want.status, code), nil }), stsKey())
		err := open(t, account(), w.Env).SetGroupWeights(t.Context(), "rsp-1", nil)
		expect.Same(t, code, want.class.String(), aliyun.ClassOf(err).String())
		expect.Error(t, aliyun.ForDriver(err), "SetVServerGroupAttribute rsp-1: "+code+": no (request 4711)", want.hint)
		if !aliyun.CodeIs(err, strings.ToUpper(code)) {
			t.Errorf("%s: codes differ by case", code)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	sent := 0
	w := newWorld(answers(func(*http.Request) (*http.Response, error) {
		sent++
		r := say(307, "")
		r.Header.Set("Location", "https://elsewhere.example.com/")
		return r, nil
	}), stsKey())
	expect.Error(t, open(t, account(), w.Env).SetGroupWeights(t.Context(), "rsp-1", nil), "redirect", "")
	expect.Same(t, "requests", 1, sent)
}

func TestAHangingGatewayHoldsNoCallBeyondItsTime(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Keys: []slbtest.Key{stsKey()}})
	s.Inject(slbtest.Fault{Kind: slbtest.Slow, After: time.Hour})
	a := at(s)
	a.Timeout = 100 * time.Millisecond
	_, err := open(t, a, newWorld(nil, stsKey()).Env).Group(t.Context(), "rsp-1")
	if !errors.Is(err, context.DeadlineExceeded) || aliyun.ClassOf(err) != aliyun.Ambiguous {
		t.Errorf("got %v", err)
	}
}

func TestAnswersAreVerifiedOverTLSAgainstTheAuthorityThatThePlanNames(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{Keys: []slbtest.Key{stsKey()}, Estate: estate()})
	a := account()
	a.Endpoint = "https://" + s.TLSHost()
	_, err := open(t, a, newWorld(nil, stsKey()).Env).Group(t.Context(), "rsp-1")
	expect.Error(t, aliyun.ForDriver(err), "certificate", "nothing was sent: look at region, network, endpoint and tls")
	if aliyun.ClassOf(err) == aliyun.Ambiguous {
		t.Error("nothing was sent to who could not be trusted")
	}
	a.TLS.CA = writeFile(t, s.CA())
	g, err := open(t, a, newWorld(nil, stsKey()).Env).Group(t.Context(), "rsp-1")
	if err != nil || g.LoadBalancer != "lb-1" {
		t.Errorf("%+v, %v", g, err)
	}
}

func estate() slbtest.Estate {
	return slbtest.Estate{CLB: []slbtest.CLB{{ID: "lb-1", Groups: []slbtest.Group{{ID: "rsp-1", Members: []slbtest.Member{{ServerID: "i-1", ServerIP: "127.0.0.1", Port: 9, Weight: 100}}}}}}}
}

func TestSixteenCallersShareOneClient(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Keys: []slbtest.Key{stsKey()}, Estate: estate()})
	c := open(t, at(s), newWorld(nil, stsKey()).Env)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 20 {
				ctx := t.Context()
				if i%4 == 3 { // some give up early
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Millisecond)
					defer cancel()
				}
				if _, err := c.Group(ctx, "rsp-1"); err != nil && (i%4 != 3 || !errors.Is(err, context.DeadlineExceeded)) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if c.Calls() < 12*20 {
		t.Errorf("%d calls", c.Calls())
	}
	expect.Same(t, "calls that the stand-in took", true, len(s.Calls()) >= 12*20)
}

func TestADryRunThatWouldPassIsNoError(t *testing.T) {
	for code, want := range map[string]bool{"DryRunOperation": true, "dryrunoperation": true, "Forbidden.RAM": false} {
		var sent string
		w := newWorld(answers(func(r *http.Request) (*http.Response, error) {
			sent = r.URL.Query().Get("DryRun")
			return refusal(400, code), nil
		}), stsKey())
		c, err := aliyun.OpenALB(account(), w.Env)
		expect.Nil(t, err)
		if err := c.MaySetWeights(t.Context(), "sgp-1", nil); (err == nil) != want {
			t.Errorf("%s: %v", code, err)
		}
		expect.Same(t, "DryRun", "true", sent)
	}
}

func TestAnAnswerWithStatus200CanBeAFailure(t *testing.T) {
	for code, want := range map[string]aliyun.Class{"IncorrectStatus.serverGroup": aliyun.Busy, "ResourceNotFound.serverGroup": aliyun.NotFound, "IllegalParam.Weight": aliyun.Invalid} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(answers(func(*http.Request) (*http.Response, error) {
				return say(200, fmt.Sprintf(`{"RequestId":"1","Success":false,"Code":%q,"Message":"m","HttpStatusCode":400}`, code)), nil
			}), stsKey())
			c, err := aliyun.OpenNLB(account(), w.Env)
			expect.Nil(t, err)
			_, err = c.SetWeights(t.Context(), "sgp-1", nil, "token")
			expect.Same(t, code, want.String(), aliyun.ClassOf(err).String())
			expect.Error(t, err, code, "")
		})
	}
}
