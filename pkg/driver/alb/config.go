package alb

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
)

// Config is a target's block in a plan.
type Config struct {
	aliyun.Account `yaml:",inline"`
	ServerGroup    string   `yaml:"server_group,omitempty" jsonschema_description:"the server group (sgp-...) whose servers are the target's members"`
	Rule           string   `yaml:"rule,omitempty" jsonschema_description:"a forwarding rule (rule-...): the server groups that it forwards to are the target's members"`
	Listeners      []string `yaml:"listeners,omitempty" jsonschema_description:"listeners (lsn-...) whose default server group flip may switch"`
	Rules          []string `yaml:"rules,omitempty" jsonschema_description:"rules (rule-...) whose server groups and weights flip may set as a whole"`
	pool.Common    `yaml:",inline"`
}

// onDefault is what to do instead of weights in a default action.
const onDefault = "put a rule in front that matches everything and name it with rule:, set the weights of servers, or switch the listener as a whole: listeners: [lsn-...]"

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if err := c.Account.Validate(); err != nil {
		return err
	}
	switch {
	case c.ServerGroup != "" && c.Rule != "":
		return errors.New("server_group and rule both name the members; a target has one of them")
	case c.ServerGroup == "" && c.Rule == "" && len(c.Listeners)+len(c.Rules) == 0:
		return hint.Wrap(errors.New("nothing is named that could be set"), "name a server_group: sgp-..., a rule: rule-..., listeners, or rules")
	case strings.HasPrefix(c.Rule, "lsn-"):
		return hint.Wrap(fmt.Errorf("rule %q is a listener: its default action has no weights", c.Rule), onDefault)
	case c.Rule != "" && slices.Contains(c.Rules, c.Rule):
		return fmt.Errorf("rule %s is in rule and in rules; it would be set twice", c.Rule)
	}
	for name, id := range map[string]string{"server_group": c.ServerGroup, "rule": c.Rule} {
		if id != "" && !pool.IsID(id) {
			return fmt.Errorf("%s %q is not an id", name, id)
		}
	}
	if err := pool.Unique("listener", c.Listeners); err != nil {
		return err
	}
	if err := pool.Unique("rule", c.Rules); err != nil {
		return err
	}
	return c.Common.Validate()
}
