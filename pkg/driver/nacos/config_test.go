package nacos_test

import (
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

func good() nacos.Config {
	return nacos.Config{Servers: nacos.Names{"http://10.0.0.5:8848"}, Service: nacos.Names{"users"}}
}

func TestConfigurationsThatAreWrongSaySo(t *testing.T) {
	tests := map[string]struct {
		edit         func(*nacos.Config)
		want, advice string
	}{
		"no server":              {func(c *nacos.Config) { c.Servers = nil }, "servers is empty", "list every node"},
		"no scheme":              {func(c *nacos.Config) { c.Servers = nacos.Names{"10.0.0.5:8848"} }, `"10.0.0.5:8848" is not a URL`, "http://host:8848"},
		"another scheme":         {func(c *nacos.Config) { c.Servers = nacos.Names{"grpc://h:1"} }, "is not a URL", ""},
		"a password in a URL":    {func(c *nacos.Config) { c.Servers = nacos.Names{"http://u:p@h:1"} }, "no place for a password", "set username and password"},
		"a query in a URL":       {func(c *nacos.Config) { c.Servers = nacos.Names{"http://h:1/nacos?a=b"} }, "more than a host and a path", ""},
		"one server twice":       {func(c *nacos.Config) { c.Servers = nacos.Names{"http://h", "http://h:80/nacos"} }, "h:80 is listed twice", ""},
		"a port that is none":    {func(c *nacos.Config) { c.Servers = nacos.Names{"http://h:99999"} }, "has no valid port", ""},
		"a gRPC port":            {func(c *nacos.Config) { c.GRPCPort = 70000 }, "grpc_port 70000 is not a port", ""},
		"no service":             {func(c *nacos.Config) { c.Service = nil }, "service is empty", ""},
		"a service without name": {func(c *nacos.Config) { c.Service = nacos.Names{"GROUP@@"} }, "is not a name of Nacos", ""},
		"a service with spaces":  {func(c *nacos.Config) { c.Service = nacos.Names{"a, b"} }, "is not a name of Nacos", ""},
		"one service twice":      {func(c *nacos.Config) { c.Service = nacos.Names{"a", "DEFAULT_GROUP@@a"} }, "DEFAULT_GROUP@@a is listed twice", ""},
		"one cluster twice":      {func(c *nacos.Config) { c.Cluster = nacos.Names{"hz", "hz"} }, "cluster hz is listed twice", ""},
		"an empty cluster":       {func(c *nacos.Config) { c.Cluster = nacos.Names{""} }, `cluster "" is not a name`, ""},
		"half a login":           {func(c *nacos.Config) { c.Username = "u" }, "belong together", ""},
		"a cache of nobody":      {func(c *nacos.Config) { c.ConsumerCache = "feign" }, `not "feign"`, "consumer_cache: 35s"},
		"a negative cache":       {func(c *nacos.Config) { c.ConsumerCache = "-1s" }, `not "-1s"`, ""},
		"a policy of nobody":     {func(c *nacos.Config) { c.OnReappear = "ignore" }, "on_reappear is reassert|fail", ""},
		"a negative time":        {func(c *nacos.Config) { c.Timeout = -1 }, "cannot be negative", ""},
		"half a certificate":     {func(c *nacos.Config) { c.TLS.Cert = "x" }, "tls: cert and key belong together", ""},
		"trust and no trust":     {func(c *nacos.Config) { c.TLS.CA, c.TLS.Insecure = "x", true }, "insecure would not look at ca", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := good()
			expect.Nil(t, c.Validate())
			test.edit(&c)
			expect.Error(t, c.Validate(), test.want, test.advice)
		})
	}
}

func TestLocksAreOnEveryServiceAtEveryServer(t *testing.T) {
	c := good()
	c.Servers = nacos.Names{"http://h", "https://i:8848/registry/"}
	c.Service = nacos.Names{"users", "LEGACY@@orders"}
	c.Namespace = "prod-id"
	expect.Same(t, "scopes", []string{
		"nacos://h:80/prod-id/DEFAULT_GROUP@@users", "nacos://h:80/prod-id/LEGACY@@orders",
		"nacos://i:8848/prod-id/DEFAULT_GROUP@@users", "nacos://i:8848/prod-id/LEGACY@@orders",
	}, open(t, c, driver.Env{}).Scopes())
}

func TestAnInstanceIsCalledByItsAddressAndItsServiceWhereThereAreSeveral(t *testing.T) {
	for want, services := range map[string]nacos.Names{
		a1:                           {"users"},
		"users/" + a1:                {"users", "orders"},
		"DEFAULT_GROUP@@users/" + a1: {"users", "LEGACY@@users"},
	} {
		l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Service = services })
		l.Register("orders", nacostest.Instance{Address: a1, Weight: 1})
		l.Register("LEGACY@@users", nacostest.Instance{Address: a1, Weight: 1})
		s, err := l.Read(t.Context())
		expect.Nil(t, err)
		expect.Same(t, "name", want, s.Objects[id(a1)].Name)
		found, err := l.Locate(nacos.KindInstance, want)
		expect.Nil(t, err)
		if _, ok := found[id(a1)]; !ok {
			t.Errorf("%s is not located: %v", want, found)
		}
	}
}

func TestATargetOfOneClusterLeavesTheOthersAlone(t *testing.T) {
	l := newLab(t, nacostest.Options{}, func(c *nacos.Config) { c.Cluster = nacos.Names{"hz"} })
	l.Register("users", nacostest.Instance{Address: a1, Weight: 3, Cluster: "hz"}, nacostest.Instance{Address: a2, Weight: 3, Cluster: "hz"})
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	object := "DEFAULT_GROUP@@users/hz/" + a1
	expect.Same(t, "objects", []string{object, "DEFAULT_GROUP@@users/hz/" + a2}, s.IDs())
	expect.Error(t, l.Apply(t.Context(), disable(a1)), "is no instance of this target", "")
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(object, nacos.Enabled, "true", "false")}))
	expect.Nil(t, l.Settle(t.Context(), []state.Change{set(object, nacos.Enabled, "true", "false")}))
}

func TestFactsOfAnInstance(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "object", state.Object{
		Kind: nacos.KindInstance, Name: a1,
		Attrs: map[string]state.Value{nacos.Enabled: "true", nacos.Weight: "10", nacos.Ephemeral: "true"},
		Info: map[string]string{
			"address": a1, "host": "10.1.0.11", "cluster": "DEFAULT", "service": "users", "group": "DEFAULT_GROUP",
			"healthy": "true", "metadata.version": "1",
		},
	}, s.Objects[id(a1)])
}

func TestPatternsChooseByFacts(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Register("users", nacostest.Instance{Address: "[fd00::5]:9090", Weight: 1, Cluster: "hz", Metadata: map[string]string{"version": "2", "path": "/a/b"}})
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	for pattern, want := range map[string][]string{
		"10.1.0.0/24":                   {a1, a2, b1},
		"10.1.0.16/28":                  {b1},
		"10.1.0.21/24":                  {a1, a2, b1},
		"fd00::/8":                      {"[fd00::5]:9090"},
		"cluster=hz":                    {"[fd00::5]:9090"},
		"cluster=DEFAULT,port=8080":     {a1, a2, b1},
		"metadata.version=1":            {a1},
		"metadata.version=*":            {a1, a2, b1, "[fd00::5]:9090"},
		"metadata.version=?":            {a1, "[fd00::5]:9090"},
		"metadata.path=/a/*":            {"[fd00::5]:9090"},
		"host=10.1.0.1*, service=users": {a1, a2},
		"host=10.1.0.0/28":              {a1, a2},
		"group=LEGACY":                  nil,
	} {
		fits, err := l.Match(pattern)
		expect.Nil(t, err)
		var got []string
		for _, o := range s.Objects {
			if fits(o) {
				got = append(got, o.Name)
			}
		}
		slices.Sort(got)
		expect.Same(t, pattern, want, got)
	}
	for _, name := range []string{a1, "10.1.0.*:8080", "users/" + a1, "*/" + a1} {
		if fits, err := l.Match(name); fits != nil || err != nil {
			t.Errorf("%s is a name, not a pattern of the driver's own: %v", name, err)
		}
	}
	for pattern, want := range map[string]string{"zone=hz": `"zone" is nothing that instances are chosen by`, "cluster=hz,x": "is not key=value", "host=[": "is not a pattern"} {
		_, err := l.Match(pattern)
		expect.Error(t, err, want, "")
	}
}

func TestHealthIsWhatNacosBelieves(t *testing.T) {
	l := newLab(t, nacostest.Options{}, nil)
	l.Unhealthy("users", a2)
	health, err := l.Health(t.Context(), []string{id(a1), id(a2), id("10.9.9.9:1")})
	expect.Nil(t, err)
	expect.Same(t, "health", map[string]driver.Health{
		id(a1): {State: driver.Up, Detail: "healthy"}, id(a2): {State: driver.Down, Detail: "unhealthy"}, id("10.9.9.9:1"): {State: driver.Down, Detail: "not registered"},
	}, health)
	_, err = l.Health(t.Context(), []string{"?"})
	expect.Error(t, err, "is no instance", "")
}

func TestANewInstanceIsLocatedInTheTargetsCluster(t *testing.T) {
	c := good()
	c.Cluster = nacos.Names{"hz", "sh"}
	d := open(t, c, driver.Env{})
	found, err := d.Locate(nacos.KindInstance, a1)
	expect.Nil(t, err)
	expect.Same(t, "located", map[string]state.Object{"DEFAULT_GROUP@@users/hz/" + a1: {
		Kind: nacos.KindInstance, Name: a1,
		Info: map[string]string{"address": a1, "host": "10.1.0.11", "cluster": "hz", "service": "users", "group": "DEFAULT_GROUP"},
	}}, found)
	for name, want := range map[string]string{"nobody": "is not ip:port", "orders/" + a1: "is not service/ip:port of this target"} {
		_, err := d.Locate(nacos.KindInstance, name)
		expect.Error(t, err, want, "")
	}
	_, err = d.Locate("server", a1)
	expect.Error(t, err, "has no kind", "")
}

func TestAWriteMayTakeEffectAsLongAsThePlanSays(t *testing.T) {
	for cfg, want := range map[*nacos.Config]time.Duration{{}: 5 * time.Second, {Timeout: time.Second}: time.Second, {MaxInFlight: time.Minute}: time.Minute} {
		cfg.Servers, cfg.Service = nacos.Names{"http://10.0.0.1:8848"}, nacos.Names{"users"}
		expect.Same(t, "max_in_flight", want, open(t, *cfg, driver.Env{}).MaxInFlight())
	}
}
