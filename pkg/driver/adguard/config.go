package adguard

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// Config is a target's block in a plan.
type Config struct {
	URL           string        `yaml:"url" jsonschema_description:"where the web interface is: https://dns.example.com; plain http sends the password in plain text"`
	User          secret.Ref    `yaml:"user" jsonschema_description:"who logs in"`
	Password      secret.Ref    `yaml:"password" jsonschema_description:"the user's password"`
	TLS           trust.TLS     `yaml:"tls,omitempty" jsonschema_description:"how TLS is spoken to an https URL"`
	DNS           string        `yaml:"dns,omitempty" jsonschema_description:"where it answers look-ups, host or host:port: a change is done when it answers with it. The list of rewrites is looked at when left out"`
	Order         string        `yaml:"order,omitempty" jsonschema:"enum=as-written,enum=new-first" jsonschema_description:"new-first refuses a plan that adds an address behind one that stays: clients that take the first answer would never see it; as-written (default) takes any order"`
	UpstreamTTL   time.Duration `yaml:"upstream_ttl,omitempty" jsonschema_description:"how long an answer of the upstream may still be kept when a name gets its first rewrite; default 1h"`
	Timeout       time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one answer may take; default 5s"`
	SettleTimeout time.Duration `yaml:"settle_timeout,omitempty" jsonschema_description:"how long it may take to answer look-ups with a change; default 30s"`
}

// The values of order.
const (
	asWritten = "as-written"
	newFirst  = "new-first"
)

func (c Config) timeout() time.Duration       { return orElse(c.Timeout, 5*time.Second) }
func (c Config) settleTimeout() time.Duration { return orElse(c.SettleTimeout, 30*time.Second) }
func (c Config) upstreamTTL() time.Duration   { return orElse(c.UpstreamTTL, time.Hour) }

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if _, err := c.base(); err != nil {
		return err
	}
	if c.User == "" || c.Password == "" {
		return hint.Wrap(errors.New("user and password are needed, both"), `user: flip, password: "${env:ADGUARD_PASSWORD}"`)
	}
	if c.DNS != "" {
		if _, err := wire.WithPort(c.DNS); err != nil {
			return fmt.Errorf("dns: %w", err)
		}
	}
	if c.Order != "" && c.Order != asWritten && c.Order != newFirst {
		return fmt.Errorf("order is %s|%s, not %q", asWritten, newFirst, c.Order)
	}
	if c.Timeout < 0 || c.SettleTimeout < 0 || c.UpstreamTTL < 0 {
		return errors.New("timeout, settle_timeout and upstream_ttl cannot be negative")
	}
	return c.TLS.Validate()
}

// base is the URL of the API without a slash at its end.
func (c *Config) base() (*url.URL, error) {
	if c.URL == "" {
		return nil, hint.Wrap(errors.New("url is missing"), "url: https://dns.example.com")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, hint.Wrap(errors.New("url is not an http or https URL"), "url: https://dns.example.com")
	case u.User != nil:
		return nil, hint.Wrap(errors.New("url is no place for a password"), "set user and password of the target")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("url has more than a host and a path")
	}
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/control")
	return u, nil
}
