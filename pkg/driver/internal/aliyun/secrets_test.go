package aliyun_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/hint"
)

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	expect.Nil(t, os.WriteFile(name, b, 0o600))
	return name
}

// open secrets that must not be in text.
func leaks(text string) []string {
	var found []string
	for _, s := range []string{keyID, secKey, token, "secretproxy", "Signature=", "Signature%3D", "SignatureNonce=", "SecurityToken=", "AccessKeyId="} {
		if strings.Contains(text, s) {
			found = append(found, s)
		}
	}
	return found
}

// Every way to fail, with the signed request thrown back in the answer.
func TestNoErrorLogOrProgressHoldsAKeyASignatureOrAToken(t *testing.T) {
	echo := func(r *http.Request) string { return r.URL.String() }
	for name, answer := range map[string]answers{
		"an error of the transport": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Post", URL: echo(r), Err: errors.New("broken pipe at " + echo(r))}
		},
		"a proxy's address": func(*http.Request) (*http.Response, error) {
			return nil, errors.New(`invalid proxy address "http://` + keyID + `:` + secKey[:6] + `proxy@%zz:80": invalid URL escape`)
		},
		"no such host": func(r *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: r.URL.Host, Err: "no such host"}}
		},
		"a wrong signature": func(r *http.Request) (*http.Response, error) {
			return say(400, `{"RequestId":"1","Code":"SignatureDoesNotMatch","Message":"Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId%3D`+keyID+`%26SecurityToken%3D`+token+`"}`), nil
		},
		"an unknown key": func(*http.Request) (*http.Response, error) {
			return say(404, `{"RequestId":"1","Code":"InvalidAccessKeyId.NotFound","Message":"Specified access key `+keyID+` is not found."}`), nil
		},
		"a refusal that repeats the request": func(r *http.Request) (*http.Response, error) {
			return say(400, `{"RequestId":"`+keyID+`","Code":"InvalidParameter","Message":"bad request: `+echo(r)+`"}`), nil
		},
		"a code that repeats the request": func(r *http.Request) (*http.Response, error) {
			return say(400, `{"Code":"X `+echo(r)+`"}`), nil
		},
		"a page that repeats the request": func(r *http.Request) (*http.Response, error) {
			return say(502, "<html>"+echo(r)+"</html>"), nil
		},
		"a good status with a page": func(r *http.Request) (*http.Response, error) { return say(200, echo(r)), nil },
		"a soft failure": func(r *http.Request) (*http.Response, error) {
			return say(200, `{"Success":false,"Code":"X","Message":"`+echo(r)+`"}`), nil
		},
		"throttled": func(r *http.Request) (*http.Response, error) {
			return say(400, `{"Code":"Throttling.User","Message":"`+echo(r)+`"}`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var signed string
			w := newWorld(answers(func(r *http.Request) (*http.Response, error) { signed = r.URL.RawQuery; return answer(r) }), stsKey())
			a := account()
			a.RetryFor = time.Nanosecond
			var told strings.Builder
			ctx := driver.WithProgress(t.Context(), func(text string) { told.WriteString(text) })
			c := open(t, a, w.Env)
			err := c.SetGroupWeights(ctx, "rsp-1", nil)
			if err == nil {
				t.Fatal("no error")
			}
			if len(leaks(signed)) < 4 {
				t.Errorf("the request itself holds %v: the check would find nothing", leaks(signed))
			}
			err = aliyun.ForDriver(err)
			for what, text := range map[string]string{"error": err.Error(), "hints": strings.Join(hint.Of(err), "\n"), "log": w.logs.String(), "progress": told.String(), "print": fmt.Sprintf("%+v %#v %+v %#v", err, err, c, c.Client)} {
				if found := leaks(text); len(found) > 0 {
					t.Errorf("%s holds %v: %s", what, found, text)
				}
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if found := leaks(e.Error()); len(found) > 0 {
					t.Errorf("a wrapped error holds %v: %s", found, e)
				}
			}
			if got := w.Secrets.Redactor.Text(signed); strings.Contains(got, keyID) || strings.Contains(got, token) {
				t.Errorf("the redactor was not told: %s", got)
			}
		})
	}
}

func TestAKeyOfSTSThatIsRenewedWhileFlipRunsIsUsed(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Keys: []slbtest.Key{stsKey()}, Estate: estate()})
	w := newWorld(nil, stsKey())
	c := open(t, at(s), w.Env)
	if _, err := c.Group(t.Context(), "rsp-1"); err != nil {
		t.Fatal(err)
	}
	s.ExpireKey(keyID)
	_, err := c.Group(t.Context(), "rsp-1")
	expect.Error(t, aliyun.ForDriver(err), "InvalidSecurityToken", "renew it")
	if !errors.Is(aliyun.ForDriver(err), driver.ErrPermanent) {
		t.Error("a token that nobody renewed does not get better")
	}
	s.SetKey(slbtest.Key{ID: "STS.new", Secret: "new", Token: "newer"})
	w.mu.Lock()
	w.vars = map[string]string{"KEY": "STS.new", "SECRET": "new", "TOKEN": "newer"}
	w.mu.Unlock()
	if _, err := c.Group(t.Context(), "rsp-1"); err != nil {
		t.Errorf("with the new key: %v", err)
	}
	expect.Same(t, "who", "plan, key ....new", c.Who())
}

func TestCredentialsAreFoundByName(t *testing.T) {
	cli := `{"current":"prod","profiles":[{"name":"prod","mode":"AK","access_key_id":"AKofProfile","access_key_secret":"s"},{"name":"other","mode":"StsToken","access_key_id":"AKofOther","access_key_secret":"s","sts_token":"t"}]}`
	for name, test := range map[string]struct {
		credentials aliyun.Credentials
		env         map[string]string
		want        string // of Who
	}{
		"the environment":               {aliyun.Credentials{Env: true}, map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "AKofEnv1", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}, "env, key ...Env1"},
		"a profile":                     {aliyun.Credentials{Profile: "other"}, nil, "cli_profile/static_sts, key ...ther"}, //nolint:misspell // the end of "other"
		"the environment comes first":   {aliyun.Credentials{}, map[string]string{"ALIBABA_CLOUD_ACCESS_KEY_ID": "AKofEnv1", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s"}, "default/env, key ...Env1"},
		"then the profile that is used": {aliyun.Credentials{}, nil, "default/cli_profile/static_ak, key ...file"},
	} {
		t.Run(name, func(t *testing.T) {
			home(t, cli)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			w := newWorld(answers(func(*http.Request) (*http.Response, error) { return say(200, `{}`), nil }), stsKey())
			a := account()
			a.AccessKeyID, a.AccessKeySecret, a.SecurityToken, a.Credentials = "", "", "", test.credentials
			c := open(t, a, w.Env)
			expect.Nil(t, c.Do(t.Context(), aliyun.Request{Action: "X"}, nil))
			expect.Same(t, "who", test.want, c.Who())
		})
	}
}

// home keeps the SDK away from this machine's own credentials and from the
// metadata service of ECS.
func home(t *testing.T, cli string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	for _, name := range []string{"ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "PROFILE", "OIDC_TOKEN_FILE", "CREDENTIALS_URI", "CREDENTIALS_FILE"} {
		t.Setenv("ALIBABA_CLOUD_"+name, "")
	}
	t.Setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
	if cli == "" {
		return
	}
	expect.Nil(t, os.MkdirAll(filepath.Join(dir, ".aliyun"), 0o700))
	expect.Nil(t, os.WriteFile(filepath.Join(dir, ".aliyun", "config.json"), []byte(cli), 0o600))
}

func TestWithoutCredentialsTheWholeReasonIsToldEveryTime(t *testing.T) {
	home(t, `{"profiles": [{"access_key_secret": "`+secKey+`"`) // torn: the SDK shows the file
	w := newWorld(answers(func(*http.Request) (*http.Response, error) {
		t.Error("something was sent")
		return nil, context.Canceled
	}), stsKey())
	a := account()
	a.AccessKeyID, a.AccessKeySecret, a.SecurityToken = "", "", ""
	c := open(t, a, w.Env)
	for range 3 {
		err := aliyun.ForDriver(c.Do(t.Context(), aliyun.Request{Action: "X"}, nil))
		expect.Error(t, err, "ALIBABA_CLOUD_ACCESS_KEY_ID", "credentials.profile")
		expect.Error(t, err, "config.json is not JSON", "")
		expect.Error(t, err, "no credentials: ALIBABA_CLOUD_ACCESS_KEY_ID is not set, ", "")
		if found := leaks(err.Error()); len(found) > 0 {
			t.Errorf("the error holds %v: %v", found, err)
		}
	}
}

func TestOfFilesWithCredentialsThatAreNotThereIsSaidSo(t *testing.T) {
	home(t, "")
	t.Setenv("HOME", t.TempDir())
	a := account()
	a.AccessKeyID, a.AccessKeySecret, a.SecurityToken = "", "", ""
	err := open(t, a, newWorld(nil, stsKey()).Env).Do(t.Context(), aliyun.Request{Action: "X"}, nil)
	expect.Error(t, err, "no credentials: ALIBABA_CLOUD_ACCESS_KEY_ID is not set, ", "")
	expect.Error(t, err, "config.json is not there, ", "")
	expect.Error(t, err, "credentials is not there", "")
}

func TestWhatIsWrongWithAnAccountIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*aliyun.Account)
		want string
	}{
		"no region":                    {func(a *aliyun.Account) { a.Region = "" }, "region"},
		"half a key":                   {func(a *aliyun.Account) { a.AccessKeySecret = "" }, "belong together"},
		"a token alone":                {func(a *aliyun.Account) { a.AccessKeyID, a.AccessKeySecret = "", "" }, "security_token belongs"},
		"a secret in the plan":         {func(a *aliyun.Account) { a.AccessKeySecret = "verySecret" }, "written into the plan"},
		"a token in the plan":          {func(a *aliyun.Account) { a.SecurityToken = "verySecret" }, "written into the plan"},
		"two ways to be somebody":      {func(a *aliyun.Account) { a.Credentials.Profile = "x" }, "several credentials"},
		"a role that is none":          {func(a *aliyun.Account) { a.Credentials.RoleARN = "admin" }, "role_arn"},
		"a network that is none":       {func(a *aliyun.Account) { a.Network = "lan" }, "public|vpc"},
		"a negative rate":              {func(a *aliyun.Account) { a.Rate = -1 }, "negative"},
		"an authority and no checking": {func(a *aliyun.Account) { a.TLS.CA, a.TLS.Insecure = "x", true }, "tls"},
	} {
		a := account()
		test.edit(&a)
		t.Run(name, func(t *testing.T) {
			err := a.Validate()
			expect.Error(t, err, test.want, "")
			if err != nil && strings.Contains(err.Error(), "verySecret") {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
}

func TestTheSDKIsNotUsedWhileItPrintsKeys(t *testing.T) {
	t.Setenv("DEBUG", "app,sdk")
	_, err := aliyun.OpenSLB(account(), driver.Env{})
	expect.Error(t, err, "DEBUG=sdk", "unset DEBUG")
}
