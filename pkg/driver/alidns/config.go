package alidns

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
)

// Config is a target's block in a plan.
type Config struct {
	aliyun.Account `yaml:",inline"`
	Domain         string        `yaml:"domain" jsonschema_description:"the domain's name as Alidns has it: example.com"`
	Line           string        `yaml:"line,omitempty" jsonschema_description:"the line whose records are set; default \"default\". Records of other lines are left alone"`
	Records        []string      `yaml:"records,omitempty" jsonschema_description:"record sets that are shown although no step names them: \"www.example.com A\""`
	NameServers    []string      `yaml:"name_servers,omitempty" jsonschema_description:"who answers for the domain, host or host:port; what Alidns says when left out"`
	Unseen         bool          `yaml:"unseen,omitempty" jsonschema_description:"true: the name servers are not asked whether they answer with a change, for a flip that runs outside the line"`
	SettleTimeout  time.Duration `yaml:"settle_timeout,omitempty" jsonschema_description:"how long the name servers may take to answer with a change; default 2m"`
	Force          bool          `yaml:"force,omitempty" jsonschema_description:"true changes sets whose records have different TTLs; what each had is not put back"`
}

const (
	defaultLine   = "default"
	defaultRegion = "cn-hangzhou" // signed but not looked at: Alidns is one for all
)

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if c.Region == "" {
		c.Region = defaultRegion
	}
	if err := c.Account.Validate(); err != nil {
		return err
	}
	if c.Domain == "" {
		return hint.Wrap(errors.New("domain is missing"), "for example domain: example.com")
	}
	zone, err := recordset.ParseZone(c.Domain)
	if err != nil {
		return errors.New("domain" + strings.TrimPrefix(err.Error(), "zone"))
	}
	if err := recordset.CheckRecords(zone, c.Records); err != nil {
		return err
	}
	if _, err := recordset.CheckServers(c.NameServers); err != nil {
		return fmt.Errorf("name_servers: %w", err)
	}
	if c.Line != strings.TrimSpace(c.Line) || strings.ContainsAny(c.Line, "\n\t") {
		return hint.Wrap(fmt.Errorf("line %q is not a line's code", c.Line), "for example default, telecom, unicom, oversea")
	}
	if c.SettleTimeout < 0 {
		return errors.New("settle_timeout cannot be negative")
	}
	return nil
}

func (c *Config) retryFor() time.Duration { return cmp.Or(c.RetryFor, 2*time.Minute) }
