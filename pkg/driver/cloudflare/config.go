package cloudflare

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// Config is a target's block in a plan.
type Config struct {
	Zone          string        `yaml:"zone" jsonschema_description:"the zone's name: example.com"`
	ZoneID        string        `yaml:"zone_id,omitempty" jsonschema_description:"the zone's id; looked up by name when left out, which the token has to allow (Zone Read)"`
	Token         secret.Ref    `yaml:"token" jsonschema_description:"an API token that may edit the zone's DNS (DNS Write)"`
	Records       []string      `yaml:"records,omitempty" jsonschema_description:"record sets that are shown although no step names them: \"www.example.com A\""`
	NameServers   []string      `yaml:"name_servers,omitempty" jsonschema_description:"who answers for the zone, host or host:port; what the zone says when left out"`
	MinTTL        int           `yaml:"min_ttl,omitempty" jsonschema_description:"the shortest TTL of the zone's plan in seconds: 60 (default), 30 on Enterprise"`
	Timeout       time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one call may take, waiting for the rate limit included; default 30s"`
	SettleTimeout time.Duration `yaml:"settle_timeout,omitempty" jsonschema_description:"how long the name servers may take to answer with a change; default 2m"`
	BaseURL       string        `yaml:"base_url,omitempty" jsonschema_description:"where the API is, for tests; plain http on the own machine only"`
}

const (
	defaultBaseURL = "https://api.cloudflare.com/client/v4/"
	minTTL         = 60
	enterpriseTTL  = 30
	maxTTL         = 86400
	// autoTTL is what "automatic" stands for, and the TTL of everything proxied.
	autoTTL = 300
)

var zoneID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if zoneID.MatchString(c.Zone) {
		return hint.Wrap(errors.New("zone is the zone's name, not its id"), "write zone: example.com and zone_id: %s", c.Zone)
	}
	zone, err := recordset.ParseZone(c.Zone)
	if err != nil {
		return err
	}
	if c.ZoneID != "" && !zoneID.MatchString(c.ZoneID) {
		return hint.Wrap(fmt.Errorf("zone_id %q is not an id of Cloudflare", c.ZoneID), "32 digits and letters a-f, on the zone's overview page")
	}
	if c.Token == "" {
		return hint.Wrap(errors.New("token is missing"), "token: ${env:CF_API_TOKEN}")
	}
	if err := recordset.CheckRecords(zone, c.Records); err != nil {
		return err
	}
	if _, err := recordset.CheckServers(c.NameServers); err != nil {
		return fmt.Errorf("name_servers: %w", err)
	}
	if c.MinTTL != 0 && (c.MinTTL < enterpriseTTL || c.MinTTL > maxTTL) {
		return fmt.Errorf("min_ttl is %d..%d, not %d", enterpriseTTL, maxTTL, c.MinTTL)
	}
	if c.Timeout < 0 || c.SettleTimeout < 0 {
		return errors.New("timeout and settle_timeout cannot be negative")
	}
	_, err = c.base()
	return err
}

// base is the API's URL with a slash at the end. A token never goes over a
// network in plain text.
func (c *Config) base() (string, error) {
	if c.BaseURL == "" {
		return defaultBaseURL, nil
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("base_url is not an https URL of a host and a path")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return "", fmt.Errorf("base_url: the token would go to %s in plain text; http is for the own machine", u.Host)
	}
	return strings.TrimRight(c.BaseURL, "/") + "/", nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
