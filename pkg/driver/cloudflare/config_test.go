package cloudflare_test

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/cloudflare"
)

func TestAWrongBlockIsRefusedWithItsReason(t *testing.T) {
	tests := map[string]struct {
		edit          func(*cloudflare.Config)
		words, advice string
	}{
		"no zone":                        {func(c *cloudflare.Config) { c.Zone = "" }, "zone is missing", "zone: example.com"},
		"an id as the zone":              {func(c *cloudflare.Config) { c.Zone = strings.Repeat("0", 32) }, "zone is the zone's name, not its id", "zone_id: 0000"},
		"a wrong id":                     {func(c *cloudflare.Config) { c.ZoneID = "x" }, `zone_id "x" is not an id`, "overview page"},
		"no token":                       {func(c *cloudflare.Config) { c.Token = "" }, "token is missing", "CF_API_TOKEN"},
		"a record of another zone":       {func(c *cloudflare.Config) { c.Records = []string{"www.example.org A"} }, "is not in zone", ""},
		"a name server that is none":     {func(c *cloudflare.Config) { c.NameServers = []string{"a b"} }, "name_servers", ""},
		"a TTL that nobody has":          {func(c *cloudflare.Config) { c.MinTTL = 5 }, "min_ttl is 30..86400, not 5", ""},
		"a negative time":                {func(c *cloudflare.Config) { c.Timeout = -1 }, "cannot be negative", ""},
		"plain http to another machine":  {func(c *cloudflare.Config) { c.BaseURL = "http://192.0.2.1/client/v4" }, "in plain text", ""},
		"a host that only looks local":   {func(c *cloudflare.Config) { c.BaseURL = "http://127.0.0.1.example.com/" }, "in plain text", ""},
		"a URL with a password":          {func(c *cloudflare.Config) { c.BaseURL = "https://u:p@example.com/" }, "base_url is not", ""},
		"a URL that is none":             {func(c *cloudflare.Config) { c.BaseURL = "example.com" }, "base_url is not", ""},
		"nothing is wrong with this one": {nil, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := cloudflare.Config{Zone: "example.com", Token: "${env:CF_API_TOKEN}", BaseURL: "http://[::1]:1/client/v4"}
			if test.edit == nil {
				expect.Nil(t, c.Validate())
				return
			}
			test.edit(&c)
			expect.Error(t, c.Validate(), test.words, test.advice)
		})
	}
}
