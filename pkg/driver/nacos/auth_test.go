package nacos_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

func login(c *nacos.Config) { c.Username, c.Password = "flip", "a long secret" }

func guarded(version string) nacostest.Options {
	return nacostest.Options{Version: version, Username: "flip", Password: "a long secret"}
}

func TestOneLoginServesUntilItsTokenGrowsOld(t *testing.T) {
	for _, version := range versions {
		synctest.Test(t, func(t *testing.T) {
			o := guarded(version)
			o.TokenTTL = time.Hour
			l := newLab(t, o, login)
			for range 3 {
				expect.Nil(t, l.Apply(t.Context(), disable(a1)))
				expect.Nil(t, l.Apply(t.Context(), enable(a1)))
			}
			expect.Same(t, version+": logins", 1, l.Logins())
			time.Sleep(55 * time.Minute) // on a fake clock
			expect.Nil(t, l.Apply(t.Context(), disable(a1)))
			expect.Same(t, version+": logins before the token is refused", 2, l.Logins())
		})
	}
}

func TestATokenThatExpiresInTheMiddleIsReplacedOnce(t *testing.T) {
	for _, version := range versions {
		l := newLab(t, guarded(version), login)
		expect.Nil(t, l.Apply(t.Context(), disable(a1)))
		l.ExpireTokens()
		expect.Nil(t, l.Settle(t.Context(), disable(a1)))
		l.ExpireTokens()
		expect.Nil(t, l.Apply(t.Context(), enable(a1)))
		expect.Same(t, version+": logins", 3, l.Logins())
	}
}

func TestASubscriptionReplacesItsTokenToo(t *testing.T) {
	l := newListeningLab(t, guarded("2.2.3"), login)
	_, err := l.Read(t.Context())
	expect.Nil(t, err)
	l.ExpireTokens()
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Settle(t.Context(), disable(a1)))
}

func TestALoginThatIsRefusedSaysWhereToLookAndIsNotTriedAgain(t *testing.T) {
	for _, version := range versions {
		for _, who := range []secret.Ref{"flip", "nobody"} {
			l := newLab(t, guarded(version), func(c *nacos.Config) { c.Username, c.Password = who, "wrong" })
			_, err := l.Read(t.Context())
			expect.Error(t, err, "log in: server 10.0.0.1:8848: ", "look at username and password of the target")
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Is(t, err, driver.ErrUnknown, false)
			expect.Same(t, version+": logins", 1, l.Logins())
		}
	}
}

func TestALoginThatWorkedBeforeAndFailsNowIsAFailureOfTheServer(t *testing.T) {
	o := guarded("2.2.3")
	o.Nodes = 2
	l := newLab(t, o, login)
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, Method: "POST", On: "login", Code: 500, Text: "database is gone"})
	l.ExpireTokens()
	err := l.Apply(t.Context(), enable(a1))
	expect.Error(t, err, "log in: server 10.0.0.2:8848: 500 Internal Server Error: database is gone", "")
	expect.Is(t, err, driver.ErrPermanent, false)
	l.Heal()
	expect.Nil(t, l.Apply(t.Context(), enable(a1)))
	expect.Same(t, "out", []string(nil), l.out())
}

func TestAServerThatWantsALoginIsSaidSo(t *testing.T) {
	l := newLab(t, guarded("3.0.3"), nil)
	err := l.Apply(t.Context(), disable(a1))
	expect.Error(t, err, "403 Forbidden: token invalid!", "set username and password of a user who may read and write the namespace")
	expect.Same(t, "out", []string(nil), l.out())
}

func TestAUserWithoutRightsIsNotAskedForever(t *testing.T) {
	l := newLab(t, guarded("2.2.3"), login)
	l.Fail(nacostest.Fault{Kind: nacostest.Status, Node: -1, Method: "PUT", Code: 403, Text: "authorization failed!"})
	expect.Error(t, l.Apply(t.Context(), disable(a1)), "authorization failed!", "may read and write the namespace")
	expect.Same(t, "writes", 2, len(l.Writes()))
	expect.Same(t, "logins", 2, l.Logins())
}

func TestSecretsAreResolvedWhenTheyAreNeededAndNeverShown(t *testing.T) {
	redactor := &secret.Redactor{}
	secrets := secret.NewResolver(redactor)
	secrets.Getenv = func(name string) (string, bool) { return "a long secret", name == "NACOS_PASSWORD" }
	f := nacostest.NewFake(guarded("2.2.3"))
	f.Register("users", nacostest.Instance{Address: a1, Weight: 1}, nacostest.Instance{Address: a2, Weight: 1})
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	no := false
	d := open(t, nacos.Config{Servers: f.Servers(), Service: nacos.Names{"users"}, Username: "flip", Password: "${env:NACOS_PASSWORD}", Subscribe: &no},
		driver.Env{Transport: f.Transport(), Secrets: secrets, Log: log})
	expect.Nil(t, d.Apply(t.Context(), disable(a1)))
	if got := redactor.Text("a long secret, token-1-of-flip"); strings.Contains(got, "secret") || strings.Contains(got, "token") {
		t.Errorf("not redacted: %s", got)
	}
	for _, text := range append(f.Requests(), logged.String()) {
		if strings.Contains(text, "a long secret") || strings.Contains(text, "token-1") {
			t.Errorf("shown: %s", text)
		}
	}
	secrets.Getenv = func(string) (string, bool) { return "", false }
	f.ExpireTokens()
	expect.Error(t, d.Apply(t.Context(), enable(a1)), "environment variable NACOS_PASSWORD is not set", "export NACOS_PASSWORD")
}

func TestTLSTrustsWhatThePlanSaysAndNothingElse(t *testing.T) {
	f := nacostest.NewFake(nacostest.Options{})
	f.Register("users", nacostest.Instance{Address: a1, Weight: 1}, nacostest.Instance{Address: a2, Weight: 1})
	srv := httptest.NewTLSServer(f.Handler(0))
	t.Cleanup(srv.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	expect.Nil(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
	no := false
	for name, test := range map[string]struct {
		tls  nacos.TLS
		want string
	}{
		"its authority":  {tls: nacos.TLS{TLS: trust.TLS{CA: ca}}},
		"anything":       {tls: nacos.TLS{TLS: trust.TLS{Insecure: true}}},
		"the machine's":  {want: "certificate"},
		"another's name": {tls: nacos.TLS{TLS: trust.TLS{CA: ca, ServerName: "nacos.example.org"}}, want: "certificate"},
	} {
		d := open(t, nacos.Config{Servers: nacos.Names{srv.URL}, Service: nacos.Names{"users"}, Subscribe: &no, TLS: test.tls, Timeout: 2 * time.Second}, driver.Env{})
		err := d.Apply(t.Context(), disable(a1))
		if test.want == "" {
			expect.Nil(t, err)
			expect.Nil(t, d.Apply(t.Context(), enable(a1)))
			t.Log(name, "is trusted")
		} else {
			expect.Error(t, err, test.want, "")
		}
		expect.Nil(t, d.Close())
	}
}

func TestTheGRPCPortSpeaksTLSWhereThePlanSaysSo(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil)
	t.Cleanup(borrowed.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	expect.Nil(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: borrowed.Certificate().Raw}), 0o600))
	o := nacostest.Options{TLS: &tls.Config{Certificates: borrowed.TLS.Certificates}}
	l := newListeningLab(t, o, func(c *nacos.Config) { c.TLS = nacos.TLS{TLS: trust.TLS{CA: ca}, GRPC: true} })
	expect.Nil(t, l.Apply(t.Context(), disable(a1)))
	expect.Nil(t, l.Settle(t.Context(), disable(a1)))
	expect.Same(t, "subscribers", 1, l.Subscribers("users"))
	plain := newListeningLab(t, o, func(c *nacos.Config) {
		brief(c)
		c.TLS = nacos.TLS{TLS: trust.TLS{CA: ca}}
	})
	expect.Nil(t, plain.Apply(t.Context(), disable(a1)))
	expect.Error(t, plain.Settle(t.Context(), disable(a1)), "gRPC port", "")
}

func TestAWrongCertificateFileIsSaidBeforeAnyConnection(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	expect.Nil(t, os.WriteFile(empty, nil, 0o600))
	for want, files := range map[string]trust.TLS{
		"tls: ca: open /nowhere": {CA: "/nowhere"},
		"holds no PEM":           {CA: empty},
		"tls: cert: ":            {Cert: empty, Key: empty},
	} {
		_, err := nacos.Factory().Open(t.Context(), func(into any) error {
			*into.(*nacos.Config) = nacos.Config{Servers: nacos.Names{"https://127.0.0.1:1"}, Service: nacos.Names{"users"}, TLS: nacos.TLS{TLS: files}}
			return nil
		}, driver.Env{})
		expect.Error(t, err, want, "")
	}
}
