package nlb

import (
	"errors"
	"fmt"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
)

// Config is a target's block in a plan.
type Config struct {
	aliyun.Account `yaml:",inline"`
	ServerGroup    string   `yaml:"server_group,omitempty" jsonschema_description:"the server group (sgp-...) whose servers are the target's members"`
	Listeners      []string `yaml:"listeners,omitempty" jsonschema_description:"listeners (lsn-...) whose server group flip may switch"`
	pool.Common    `yaml:",inline"`
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if err := c.Account.Validate(); err != nil {
		return err
	}
	if c.ServerGroup == "" && len(c.Listeners) == 0 {
		return hint.Wrap(errors.New("nothing is named that could be set"), "name a server_group: sgp-..., or listeners")
	}
	if c.ServerGroup != "" && !pool.IsID(c.ServerGroup) {
		return fmt.Errorf("server_group %q is not an id", c.ServerGroup)
	}
	if err := pool.Unique("listener", c.Listeners); err != nil {
		return err
	}
	return c.Common.Validate()
}
