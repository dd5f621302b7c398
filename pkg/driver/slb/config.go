package slb

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
)

// Config is a target's block in a plan.
type Config struct {
	aliyun.Account `yaml:",inline"`
	LoadBalancer   string   `yaml:"load_balancer,omitempty" jsonschema_description:"the load balancer's id (lb-...); it may be left out with vserver_group alone"`
	VServerGroup   string   `yaml:"vserver_group,omitempty" jsonschema_description:"the vserver group (rsp-...) whose servers are the target's members"`
	DefaultGroup   bool     `yaml:"default_group,omitempty" jsonschema_description:"true: the servers of the load balancer's default group are the members"`
	Listeners      []string `yaml:"listeners,omitempty" jsonschema_description:"listeners whose vserver group flip may switch, written 80/http"`
	Rules          []string `yaml:"rules,omitempty" jsonschema_description:"ids of forwarding rules whose vserver group flip may switch"`
	pool.Common    `yaml:",inline"`
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if err := c.Account.Validate(); err != nil {
		return err
	}
	if c.VServerGroup != "" && c.DefaultGroup {
		return errors.New("vserver_group and default_group are two groups; a target has one")
	}
	if c.VServerGroup == "" && !c.DefaultGroup && len(c.Listeners)+len(c.Rules) == 0 {
		return hint.Wrap(errors.New("nothing is named that could be set"), "name a vserver_group: rsp-..., default_group: true, listeners, or rules")
	}
	if c.LoadBalancer == "" && (c.DefaultGroup || len(c.Listeners)+len(c.Rules) > 0) {
		return errors.New("load_balancer is missing: default_group, listeners and rules are parts of one")
	}
	for name, id := range map[string]string{"load_balancer": c.LoadBalancer, "vserver_group": c.VServerGroup} {
		if id != "" && !pool.IsID(id) {
			return fmt.Errorf("%s %q is not an id", name, id)
		}
	}
	for i, l := range c.Listeners {
		if _, _, err := parseListener(l); err != nil {
			return err
		}
		if slices.Contains(c.Listeners[:i], l) {
			return fmt.Errorf("listener %s is listed twice", l)
		}
	}
	if err := pool.Unique("rule", c.Rules); err != nil {
		return err
	}
	return c.Common.Validate()
}

// parseListener reads 80/http.
func parseListener(text string) (port int, protocol string, err error) {
	digits, protocol, _ := strings.Cut(text, "/")
	port, err = strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 || !slices.Contains([]string{"http", "https", "tcp", "udp"}, protocol) {
		return 0, "", hint.Wrap(fmt.Errorf("listener %q is not PORT/PROTOCOL", text), "for example 80/http; protocols are http, https, tcp, udp")
	}
	return port, protocol, nil
}
