package haproxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/flip-cli/flip/pkg/hint"
)

// Config is a target's block in a plan.
type Config struct {
	Endpoints     []Endpoint    `yaml:"endpoints" jsonschema_description:"the runtime API of every node: unix:///path, /path, tcp://host:port or master:///path@1, with name= in front or as {name, address}; nodes without a name are lb1, lb2, ..."`
	Backend       Names         `yaml:"backend" jsonschema_description:"the backend, or a list of backends, whose servers are the target's members"`
	Maps          []string      `yaml:"maps,omitempty" jsonschema_description:"map files, as HAProxy names them, whose entries flip may read and set"`
	Timeout       time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one answer of HAProxy may take; default 5s"`
	Agent         string        `yaml:"agent,omitempty" jsonschema:"enum=leave,enum=disable" jsonschema_description:"leave (default) refuses to set the weight of a server whose agent check runs, since the agent would overwrite it; disable switches the agent check off first, and on again when the weight is back"`
	HealthTimeout time.Duration `yaml:"health_timeout,omitempty" jsonschema_description:"how long a server that goes to ready may take to pass its health checks; default 60s"`
	MaxInFlight   time.Duration `yaml:"max_in_flight,omitempty" jsonschema_description:"how long a command that was sent before a crash may still take effect; default is timeout"`
}

// The policies for servers with an agent check.
const (
	agentLeave   = "leave"
	agentDisable = "disable"
)

func (c Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 5 * time.Second
}

func (c Config) healthTimeout() time.Duration {
	if c.HealthTimeout > 0 {
		return c.HealthTimeout
	}
	return time.Minute
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if _, err := c.nodes(); err != nil {
		return err
	}
	if len(c.Backend) == 0 {
		return errors.New("backend is empty: name the backend whose servers are the members")
	}
	for i, be := range c.Backend {
		if !isName(be) {
			return fmt.Errorf("backend %q is not a name of HAProxy (letters, digits and . _ : -)", be)
		}
		if slices.Contains(c.Backend[:i], be) {
			return fmt.Errorf("backend %s is listed twice", be)
		}
	}
	for i, file := range c.Maps {
		if file == "" || strings.ContainsAny(file, " \t\n;\\") || strings.HasPrefix(file, "#") || strings.HasPrefix(file, "@") {
			return fmt.Errorf("map %q is not a file that flip can name to HAProxy", file)
		}
		if slices.Contains(c.Maps[:i], file) {
			return fmt.Errorf("map %s is listed twice", file)
		}
	}
	if c.Agent != "" && c.Agent != agentLeave && c.Agent != agentDisable {
		return fmt.Errorf("agent is leave|disable, not %q", c.Agent)
	}
	if c.Timeout < 0 || c.HealthTimeout < 0 || c.MaxInFlight < 0 {
		return errors.New("timeout, health_timeout and max_in_flight cannot be negative")
	}
	return nil
}

type named struct {
	name     string
	endpoint endpoint
}

// nodes parses the endpoints and names those that have no name.
func (c *Config) nodes() ([]named, error) {
	if len(c.Endpoints) == 0 {
		return nil, hint.Wrap(errors.New("endpoints is empty"), `list the stats sockets of all nodes: endpoints: ["unix:///run/haproxy/admin.sock"]`)
	}
	var all []named
	for i, e := range c.Endpoints {
		ep, err := parseEndpoint(e.Address)
		if err != nil {
			return nil, fmt.Errorf("endpoint %d: %w", i+1, err)
		}
		name := e.Name
		if name == "" {
			name = fmt.Sprintf("lb%d", i+1)
		}
		if !isName(name) {
			return nil, fmt.Errorf("endpoint %d: %q is not a name for a node (letters, digits and . _ : -)", i+1, name)
		}
		for _, other := range all {
			switch {
			case other.name == name:
				return nil, fmt.Errorf("endpoint %d: there are two nodes named %s", i+1, name)
			case other.endpoint == ep:
				return nil, fmt.Errorf("endpoint %d: %s is listed twice", i+1, ep)
			}
		}
		all = append(all, named{name, ep})
	}
	return all, nil
}

// isName follows invalid_char in HAProxy's tools.c.
func isName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._:-", r)
	}) < 0
}

// Endpoint is a node: text such as "lb1=unix:///run/haproxy/admin.sock", or
// name and address.
type Endpoint struct {
	Name    string `yaml:"name,omitempty"`
	Address string `yaml:"address"`
}

// UnmarshalYAML accepts both forms.
func (e *Endpoint) UnmarshalYAML(decode func(any) error) error {
	var text string
	if decode(&text) == nil {
		*e = endpointOf(text)
		return nil
	}
	type plain Endpoint
	return decode((*plain)(e))
}

// endpointOf cuts off the name. A path may hold "=", a name cannot hold "/".
func endpointOf(text string) Endpoint {
	if name, address, ok := strings.Cut(text, "="); ok && !strings.Contains(name, "/") {
		return Endpoint{name, address}
	}
	return Endpoint{Address: text}
}

// JSONSchema describes both forms.
func (Endpoint) JSONSchema() *jsonschema.Schema {
	props := jsonschema.NewProperties()
	props.Set("name", &jsonschema.Schema{Type: "string"})
	props.Set("address", &jsonschema.Schema{Type: "string"})
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string"},
		{Type: "object", Properties: props, Required: []string{"address"}, AdditionalProperties: jsonschema.FalseSchema},
	}}
}

// Names is one name or a list of names.
type Names []string

// UnmarshalYAML accepts both forms.
func (n *Names) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*n = Names{one}
		return nil
	}
	return decode((*[]string)(n))
}

// JSONSchema describes both forms.
func (Names) JSONSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
}
