package adguard_test

import (
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/trust"
)

func TestAWrongBlockIsRefusedWithItsReason(t *testing.T) {
	tests := map[string]struct {
		edit          func(*adguard.Config)
		words, advice string
	}{
		"no url":                         {func(c *adguard.Config) { c.URL = "" }, "url is missing", "url: https://"},
		"a url that is none":             {func(c *adguard.Config) { c.URL = "dns.local" }, "url is not an http or https URL", ""},
		"a password in the url":          {func(c *adguard.Config) { c.URL = "http://u:secret@dns.local" }, "url is no place for a password", "user and password"},
		"a query in the url":             {func(c *adguard.Config) { c.URL = "http://dns.local?x=1" }, "more than a host and a path", ""},
		"no password":                    {func(c *adguard.Config) { c.Password = "" }, "user and password are needed", "ADGUARD_PASSWORD"},
		"no user":                        {func(c *adguard.Config) { c.User = "" }, "user and password are needed", ""},
		"a dns address that is none":     {func(c *adguard.Config) { c.DNS = "a b" }, "dns: ", ""},
		"an order that nobody knows":     {func(c *adguard.Config) { c.Order = "random" }, `order is as-written|new-first, not "random"`, ""},
		"a negative time":                {func(c *adguard.Config) { c.UpstreamTTL = -1 }, "cannot be negative", ""},
		"half a client certificate":      {func(c *adguard.Config) { c.TLS = trust.TLS{Cert: "x.pem"} }, "cert", ""},
		"nothing is wrong with this one": {nil, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := adguard.Config{URL: "https://dns.local/adguard/control/", User: "flip", Password: "${env:ADGUARD_PASSWORD}", DNS: "[::1]"}
			if test.edit == nil {
				expect.Nil(t, c.Validate())
				return
			}
			test.edit(&c)
			expect.Error(t, c.Validate(), test.words, test.advice)
		})
	}
}
