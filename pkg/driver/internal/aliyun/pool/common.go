package pool

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// Common is the part of a target's block that the load balancers share.
type Common struct {
	Hosts         map[string]string `yaml:"hosts,omitempty" jsonschema_description:"addresses of servers for which the API tells none, by server id; steps see them as member.host"`
	Force         bool              `yaml:"force,omitempty" jsonschema_description:"true sets weights even where a Kubernetes cluster or a service of Aliyun manages the group and may set them back"`
	HealthTimeout time.Duration     `yaml:"health_timeout,omitempty" jsonschema_description:"how long a member that was given traffic may take to pass its health checks; default 2m"`
	SettleTimeout time.Duration     `yaml:"settle_timeout,omitempty" jsonschema_description:"how long the load balancer may take to finish a change; default 2m"`
}

const patience = 2 * time.Minute

// HealthFor is health_timeout.
func (c Common) HealthFor() time.Duration { return longer(c.HealthTimeout) }

// SettleFor is settle_timeout.
func (c Common) SettleFor() time.Duration { return longer(c.SettleTimeout) }

func longer(d time.Duration) time.Duration {
	if d == 0 {
		return patience
	}
	return d
}

// Validate reports the first thing that is wrong.
func (c Common) Validate() error {
	if c.HealthTimeout < 0 || c.SettleTimeout < 0 {
		return errors.New("health_timeout and settle_timeout cannot be negative")
	}
	for id, host := range c.Hosts {
		if id == "" || host == "" {
			return fmt.Errorf("hosts: %q: %q is not SERVER: ADDRESS", id, host)
		}
	}
	return nil
}

// IsID reports whether text can be an id of Aliyun.
var IsID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`).MatchString

// Unique checks a list of ids.
func Unique(what string, ids []string) error {
	for i, id := range ids {
		if !IsID(id) {
			return fmt.Errorf("%s %q is not an id", what, id)
		}
		if slices.Contains(ids[:i], id) {
			return fmt.Errorf("%s %s is listed twice", what, id)
		}
	}
	return nil
}

// Kind is that of members with a weight; zero is the doc of their weight.
func Kind(name, doc, zero string) driver.Kind {
	return driver.Kind{
		Name: name, Member: true, Doc: doc, Capacity: capacity,
		Attributes: []driver.Attribute{{Name: Weight, Type: driver.TypeInt, Min: MinWeight, Max: MaxWeight, Doc: zero}},
	}
}

func capacity(attrs map[string]state.Value) float64 {
	w, _ := attrs[Weight].Float()
	return max(w, 0)
}

// Scopes names what a target changes, by its ids; empty ones are left out.
func Scopes(product, region string, ids ...string) []string {
	var scopes []string
	for _, id := range ids {
		if id != "" {
			scopes = append(scopes, product+"://"+region+"/"+id)
		}
	}
	return scopes
}
