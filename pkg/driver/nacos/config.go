package nacos

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// Config is a target's block in a plan.
type Config struct {
	Servers         Names         `yaml:"servers" jsonschema_description:"every node of the Nacos cluster: http://host:8848 or https://...; each is asked whether consumers see a change; a path in the URL is the context path"`
	ContextPath     string        `yaml:"context_path,omitempty" jsonschema_description:"where the API begins on servers whose URL has no path; default /nacos"`
	GRPCPort        int           `yaml:"grpc_port,omitempty" jsonschema_description:"the gRPC port of every server; default is the port of its URL plus 1000"`
	Namespace       string        `yaml:"namespace,omitempty" jsonschema_description:"the namespace's id, which is not the name that the console shows; default public"`
	Group           string        `yaml:"group,omitempty" jsonschema_description:"the services' group; default DEFAULT_GROUP"`
	Service         Names         `yaml:"service" jsonschema_description:"the service, or a list of services, whose instances are the target's members; GROUP@@name for one of another group"`
	Cluster         Names         `yaml:"cluster,omitempty" jsonschema_description:"the cluster, or clusters, whose instances are meant; default all of them"`
	Username        secret.Ref    `yaml:"username,omitempty" jsonschema_description:"who logs in; it needs read and write on the namespace"`
	Password        secret.Ref    `yaml:"password,omitempty" jsonschema_description:"the password of username"`
	TLS             TLS           `yaml:"tls,omitempty" jsonschema_description:"how TLS is spoken to https servers, and to their gRPC port where grpc is true"`
	ConsumerCache   Cache         `yaml:"consumer_cache,omitempty" jsonschema_description:"how long consumers use a list that they have: ribbon (30s), spring-lb (35s), dubbo (3s), none, or a duration; default spring-lb, the longest of them"`
	OnReappear      string        `yaml:"on_reappear,omitempty" jsonschema:"enum=reassert,enum=fail" jsonschema_description:"what happens when an instance that flip took out comes back enabled before a step enables it: reassert (default) takes it out again at once, fail ends the step"`
	HoldAbsent      bool          `yaml:"hold_absent,omitempty" jsonschema_description:"true writes a disable again every second while its instance is gone, so that the instance is disabled the moment it registers, however late; when flip ends and it still is gone, it is enabled again in advance. Nacos 2.x and 3.x; default false"`
	EmptyClusters   bool          `yaml:"empty_clusters,omitempty" jsonschema_description:"true lets flip leave a cluster of a service without a healthy enabled instance as long as another cluster has one, where no consumer asks for one cluster only; default false"`
	Timeout         time.Duration `yaml:"timeout,omitempty" jsonschema_description:"how long one answer may take, all servers together; default 5s"`
	SettleTimeout   time.Duration `yaml:"settle_timeout,omitempty" jsonschema_description:"how long Nacos may take to show a change on every server and to push it to a subscriber, before consumer_cache runs; default 30s"`
	RegisterTimeout time.Duration `yaml:"register_timeout,omitempty" jsonschema_description:"how long flip waits for an instance that is gone to register again, before it changes or restores it: a restarted process may be healthy before it has registered; default 30s"`
	MaxInFlight     time.Duration `yaml:"max_in_flight,omitempty" jsonschema_description:"how long a write that was sent before a crash may still take effect; default is timeout"`
	Subscribe       *bool         `yaml:"subscribe,omitempty" jsonschema_description:"true (default) subscribes over gRPC as consumers do and waits for the push; false asks over HTTP only. Nacos 1.x has no gRPC and is always asked over HTTP"`
}

// TLS says how to reach https servers.
type TLS struct {
	trust.TLS `yaml:",inline"`
	GRPC      bool `yaml:"grpc,omitempty" jsonschema_description:"the gRPC port speaks TLS too"`
}

const (
	defaultGroup     = "DEFAULT_GROUP"
	defaultCluster   = "DEFAULT"
	defaultNamespace = "public"

	reassert = "reassert"
	fail     = "fail"
)

func (c Config) timeout() time.Duration         { return orElse(c.Timeout, 5*time.Second) }
func (c Config) settleTimeout() time.Duration   { return orElse(c.SettleTimeout, 30*time.Second) }
func (c Config) registerTimeout() time.Duration { return orElse(c.RegisterTimeout, 30*time.Second) }
func (c Config) namespace() string              { return orElse(c.Namespace, defaultNamespace) }
func (c Config) subscribes() bool               { return c.Subscribe == nil || *c.Subscribe }
func (c Config) cache() time.Duration {
	d, _ := c.ConsumerCache.duration() // Validate saw it
	return d
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Validate reports the first thing that is wrong.
func (c *Config) Validate() error {
	if _, err := c.nodes(); err != nil {
		return err
	}
	if _, err := c.services(); err != nil {
		return err
	}
	for i, name := range c.Cluster {
		if name == "" || strings.ContainsAny(name, "/, ") {
			return fmt.Errorf("cluster %q is not a name of Nacos", name)
		}
		if slices.Contains(c.Cluster[:i], name) {
			return fmt.Errorf("cluster %s is listed twice", name)
		}
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("username and password belong together; one of them is missing")
	}
	if _, err := c.ConsumerCache.duration(); err != nil {
		return err
	}
	if c.OnReappear != "" && c.OnReappear != reassert && c.OnReappear != fail {
		return fmt.Errorf("on_reappear is reassert|fail, not %q", c.OnReappear)
	}
	if c.Timeout < 0 || c.SettleTimeout < 0 || c.RegisterTimeout < 0 || c.MaxInFlight < 0 {
		return errors.New("timeout, settle_timeout, register_timeout and max_in_flight cannot be negative")
	}
	return c.TLS.Validate()
}

// services parses GROUP@@name and refuses what is there twice.
func (c *Config) services() ([]service, error) {
	if len(c.Service) == 0 {
		return nil, errors.New("service is empty: name the service whose instances are the members")
	}
	var all []service
	for _, text := range c.Service {
		s := service{group: orElse(c.Group, defaultGroup), name: text}
		if group, name, ok := strings.Cut(text, "@@"); ok {
			s = service{group: group, name: name}
		}
		if s.group == "" || s.name == "" || strings.Contains(s.name, "@@") || strings.ContainsAny(text, " \t\n,") {
			return nil, fmt.Errorf("service %q is not a name of Nacos: name, or GROUP@@name", text)
		}
		if slices.Contains(all, s) {
			return nil, fmt.Errorf("service %s is listed twice", text)
		}
		all = append(all, s)
	}
	return all, nil
}

// nodes parses the servers.
func (c *Config) nodes() ([]*node, error) {
	if len(c.Servers) == 0 {
		return nil, hint.Wrap(errors.New("servers is empty"), `list every node of the cluster: servers: ["http://10.0.0.5:8848"]`)
	}
	if c.GRPCPort < 0 || c.GRPCPort > 65535 {
		return nil, fmt.Errorf("grpc_port %d is not a port", c.GRPCPort)
	}
	var all []*node
	for i, text := range c.Servers {
		u, err := url.Parse(text)
		switch {
		case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
			return nil, hint.Wrap(fmt.Errorf("server %d: %q is not a URL", i+1, text), "write http://host:8848 or https://host:8848")
		case u.User != nil:
			return nil, hint.Wrap(fmt.Errorf("server %d: a URL is no place for a password", i+1), "set username and password of the target")
		case u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("server %d: %q has more than a host and a path", i+1, text)
		}
		n, err := newNode(u, c.ContextPath, c.GRPCPort)
		if err != nil {
			return nil, fmt.Errorf("server %d: %w", i+1, err)
		}
		if slices.ContainsFunc(all, func(o *node) bool { return o.name == n.name }) {
			return nil, fmt.Errorf("server %d: %s is listed twice", i+1, n.name)
		}
		all = append(all, n)
	}
	return all, nil
}

// Cache is how long consumers use a list that they have: the name of a
// client, or a duration.
type Cache string

// caches are the defaults of clients: Ribbon's ServerListRefreshInterval,
// spring.cloud.loadbalancer.cache.ttl, dubbo's consumer-update-wait-time.
var caches = map[Cache]time.Duration{
	"ribbon": 30 * time.Second, "spring-lb": 35 * time.Second, "dubbo": 3 * time.Second, "none": 0, "": 35 * time.Second,
}

func (c Cache) duration() (time.Duration, error) {
	if d, ok := caches[c]; ok {
		return d, nil
	}
	d, err := time.ParseDuration(string(c))
	if err != nil || d < 0 {
		return 0, hint.Wrap(fmt.Errorf("consumer_cache is ribbon|spring-lb|dubbo|none or a duration, not %q", string(c)), `for example consumer_cache: 35s`)
	}
	return d, nil
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
