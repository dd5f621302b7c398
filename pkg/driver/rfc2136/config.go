package rfc2136

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// Config is a target's block in a plan.
type Config struct {
	Zone          string        `yaml:"zone" jsonschema_description:"the zone that holds the records: example.com"`
	Server        string        `yaml:"server,omitempty" jsonschema_description:"the primary that takes updates, host:port; it may be hidden. Default: the primary that the zone's SOA record names (MNAME), found through the machine's resolver"`
	TSIG          TSIG          `yaml:"tsig,omitempty" jsonschema_description:"the key that signs updates and reads; without it nothing is signed"`
	NameServers   []string      `yaml:"name_servers,omitempty" jsonschema_description:"every address that answers for the zone with authority, host or host:port; default: the addresses of the zone's NS records. Name them where the zone has several views, or where the NS records lead to addresses that cannot be asked from here"`
	Records       []string      `yaml:"records,omitempty" jsonschema_description:"record sets to read although no step names them: \"www.example.com A\""`
	Timeout       time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one answer may take; default 5s"`
	SettleTimeout time.Duration `yaml:"settle_timeout,omitempty" jsonschema_description:"how long name servers may take to answer with a change; default 2m"`
}

// TSIG is a key as the server's configuration has it.
type TSIG struct {
	Name      string     `yaml:"name,omitempty" jsonschema_description:"the key's name on the server"`
	Algorithm string     `yaml:"algorithm,omitempty" jsonschema:"enum=hmac-sha256,enum=hmac-sha512,enum=hmac-sha384,enum=hmac-sha224,enum=hmac-sha1" jsonschema_description:"default hmac-sha256"`
	Secret    secret.Ref `yaml:"secret,omitempty" jsonschema_description:"the key in base64"`
}

func (c Config) timeout() time.Duration { return orElse(c.Timeout, 5*time.Second) }
func (t TSIG) algorithm() string        { return orElse(t.Algorithm, wire.Algorithms()[0]) }

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	zone, err := recordset.ParseZone(c.Zone)
	if err != nil {
		return err
	}
	if c.Server != "" {
		if _, err := wire.WithPort(c.Server); err != nil {
			return fmt.Errorf("server: %w", err)
		}
	}
	if err := c.TSIG.validate(); err != nil {
		return fmt.Errorf("tsig: %w", err)
	}
	if _, err := recordset.CheckServers(c.NameServers); err != nil {
		return fmt.Errorf("name_servers: %w", err)
	}
	if c.Timeout < 0 || c.SettleTimeout < 0 {
		return errors.New("timeout and settle_timeout cannot be negative")
	}
	return recordset.CheckRecords(zone, c.Records)
}

func (t TSIG) validate() error {
	if t == (TSIG{}) {
		return nil
	}
	if t.Name == "" || t.Secret == "" {
		return errors.New("name and secret belong together; one of them is missing")
	}
	if _, err := wire.Host(t.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if !slices.Contains(wire.Algorithms(), t.algorithm()) {
		err := fmt.Errorf("algorithm %q is not spoken", t.Algorithm)
		if strings.Contains(strings.ToLower(t.Algorithm), "md5") {
			return hint.Wrap(err, "hmac-md5 can be forged; make a key with tsig-keygen -a hmac-sha256")
		}
		return hint.Wrap(err, "algorithms: %s", strings.Join(wire.Algorithms(), ", "))
	}
	if !secret.IsRef(string(t.Secret)) {
		return wire.CheckSecret(string(t.Secret))
	}
	return nil
}
