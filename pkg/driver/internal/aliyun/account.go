package aliyun

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/endpoints"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// Account is the part of a target's block that every driver of Aliyun has:
// where its API is and who asks.
type Account struct {
	Region          string        `yaml:"region" jsonschema_description:"the region's id, for example cn-hangzhou"`
	Endpoint        string        `yaml:"endpoint,omitempty" jsonschema_description:"the API's address instead of the region's: https://host or host:port; http:// on a loopback address only"`
	Network         string        `yaml:"network,omitempty" jsonschema:"enum=public,enum=vpc" jsonschema_description:"which of the region's endpoints is asked: public (default) or vpc"`
	Credentials     Credentials   `yaml:"credentials,omitempty" jsonschema_description:"who asks, by name: profile, env, ram_role, role_arn; default is the SDK's order: environment, OIDC, ~/.aliyun/config.json, ~/.alibabacloud/credentials, the RAM role of the machine"`
	AccessKeyID     secret.Ref    `yaml:"access_key_id,omitempty" jsonschema_description:"an access key instead of credentials: a reference like ${env:NAME}, read again while flip runs"`
	AccessKeySecret secret.Ref    `yaml:"access_key_secret,omitempty" jsonschema_description:"the secret of access_key_id"`
	SecurityToken   secret.Ref    `yaml:"security_token,omitempty" jsonschema_description:"the token that belongs to an access key of STS"`
	TLS             trust.TLS     `yaml:"tls,omitempty" jsonschema_description:"how TLS is spoken to the endpoint"`
	Timeout         time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one answer may take; default 10s"`
	RetryFor        time.Duration `yaml:"retry_for,omitempty" jsonschema_description:"how long a call is repeated that was throttled or that found the resource busy; default 2m"`
	Rate            float64       `yaml:"rate,omitempty" jsonschema_description:"calls a second that this target makes at most; default 5. The limit of Aliyun is per account and API, all programs together"`
}

// Credentials names who asks. Secrets are not written here.
type Credentials struct {
	Profile string `yaml:"profile,omitempty" jsonschema_description:"a profile of ~/.aliyun/config.json"`
	Env     bool   `yaml:"env,omitempty" jsonschema_description:"only ALIBABA_CLOUD_ACCESS_KEY_ID and its companions"`
	RAMRole string `yaml:"ram_role,omitempty" jsonschema_description:"the RAM role of the ECS machine that flip runs on"`
	RoleARN string `yaml:"role_arn,omitempty" jsonschema_description:"a role to assume, with the credentials that the other keys give"`
}

const (
	defaultTimeout  = 10 * time.Second
	defaultRetryFor = 2 * time.Minute
	defaultRate     = 5
)

// CallTimeout is how long one answer may take.
func (a Account) CallTimeout() time.Duration { return cmp.Or(a.Timeout, defaultTimeout) }

func (a Account) retryFor() time.Duration { return cmp.Or(a.RetryFor, defaultRetryFor) }
func (a Account) rate() float64           { return cmp.Or(a.Rate, defaultRate) }

var isRegion = regexp.MustCompile(`^[a-z]{2}[a-z0-9-]+$`).MatchString

// Validate reports the first thing that is wrong.
func (a Account) Validate() error {
	if !isRegion(a.Region) {
		return hint.Wrap(fmt.Errorf("region %q is not a region's id", a.Region), "for example region: cn-hangzhou")
	}
	if a.Endpoint != "" {
		if _, _, err := parseEndpoint(a.Endpoint); err != nil {
			return err
		}
	}
	if a.Network != "" && a.Network != "public" && a.Network != "vpc" {
		return fmt.Errorf("network is public|vpc, not %q", a.Network)
	}
	if a.Timeout < 0 || a.RetryFor < 0 || a.Rate < 0 {
		return errors.New("timeout, retry_for and rate cannot be negative")
	}
	if err := a.validateWho(); err != nil {
		return err
	}
	return a.TLS.Validate()
}

func (a Account) validateWho() error {
	if (a.AccessKeyID == "") != (a.AccessKeySecret == "") {
		return errors.New("access_key_id and access_key_secret belong together; one of them is missing")
	}
	if a.SecurityToken != "" && a.AccessKeyID == "" {
		return errors.New("security_token belongs to an access_key_id, which is missing")
	}
	for key, ref := range map[string]secret.Ref{"access_key_secret": a.AccessKeySecret, "security_token": a.SecurityToken} {
		if ref != "" && !secret.IsRef(string(ref)) {
			return hint.Wrap(fmt.Errorf("%s is written into the plan", key), "write a reference: %s: ${env:NAME}, or ${file:PATH}", key)
		}
	}
	c, ways := a.Credentials, 0
	for _, used := range []bool{c.Profile != "", c.Env, c.RAMRole != "", a.AccessKeyID != ""} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return hint.Wrap(errors.New("several credentials are named"), "keep one of credentials.profile, credentials.env, credentials.ram_role and access_key_id")
	}
	if c.RoleARN != "" && !strings.HasPrefix(c.RoleARN, "acs:ram::") {
		return fmt.Errorf("credentials.role_arn %q is not acs:ram::ACCOUNT:role/NAME", c.RoleARN)
	}
	return nil
}

// parseEndpoint returns the host with its port and the scheme. An access key
// goes over plain HTTP to this machine only.
func parseEndpoint(text string) (host, scheme string, err error) {
	full := text
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	u, err := url.Parse(full)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https":
		return "", "", hint.Wrap(fmt.Errorf("endpoint %q is not an address", text), "write https://host, or host:port")
	case u.User != nil:
		return "", "", hint.Wrap(errors.New("endpoint: an address is no place for a password"), "set access_key_id and access_key_secret")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", "", fmt.Errorf("endpoint %q has more than a host and a port", text)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", "", hint.Wrap(fmt.Errorf("endpoint %q: plain http would send the access key, the signature and the security token in clear text", text),
			"write https://; http:// is for a loopback address")
	}
	return u.Host, u.Scheme, nil
}

// loopback: localhost is left to the resolver of the machine, so it is none.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// address is where the API of a product is. Nothing is asked for it: the SDK's
// own way would ask a location service when it does not know the region.
func (a Account) address(product string) (host, scheme string, err error) {
	if a.Endpoint != "" {
		return parseEndpoint(a.Endpoint)
	}
	name := strings.ToLower(product)
	if a.Network == "vpc" {
		return name + "-vpc." + a.Region + ".aliyuncs.com", "https", nil
	}
	known := &endpoints.LocalRegionalResolver{}
	if host, ok, err := known.TryResolve(&endpoints.ResolveParam{Product: name, RegionId: a.Region}); err == nil && ok {
		return host, "https", nil
	}
	return name + "." + a.Region + ".aliyuncs.com", "https", nil
}
