package integration

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// example is a plan of the repository, where it is run, and what it says will be.
type example struct {
	plan   string
	estate estate.Config
	load   func(*traffic.Config)
	vars   func(*site) []string
	after  func(*site, picture) picture
	// versions are what the servers run afterwards.
	versions map[string]string
}

func release(vars ...string) func(*site) []string {
	return func(s *site) []string { return s.release(append([]string{"version=v2"}, vars...)...) }
}

var examples = []example{
	{
		plan: "quickstart", vars: release(),
		after:    func(_ *site, p picture) picture { return p.with(greenCarries("lb1")...) },
		versions: map[string]string{"web1": "v1", "web2": "v1", "web3": "v2", "web4": "v2"},
	},
	{
		plan:   "canary",
		load:   func(c *traffic.Config) { c.Sticky = true },
		estate: estate.Config{Backend: haproxytest.Backend{Cookie: true}},
		vars:   func(s *site) []string { return release("goodbye="+s.Polite, "quiet=500ms")(s) },
		after: func(_ *site, p picture) picture {
			return p.with(greenCarries("lb1")...).with("lb1/be_web/web1", "state", "maint", "lb1/be_web/web2", "state", "maint")
		},
		versions: map[string]string{"web1": "v1", "web2": "v1", "web3": "v2", "web4": "v2"},
	},
	{
		plan: "rolling-restart",
		load: func(c *traffic.Config) { c.Sticky = true },
		estate: estate.Config{
			Backend: haproxytest.Backend{Cookie: true},
			Servers: []estate.Server{
				{Name: "web1", Version: "v1", Weight: 10},
				{Name: "web2", Version: "v1", Weight: 10},
				{Name: "web3", Version: "v1", Weight: 10},
				{Name: "web4", Version: "v1", Weight: 10},
			},
		},
		vars: func(s *site) []string {
			return []string{"socket=" + s.Socket(), "deploy=" + s.Deploy, "version=v2", "quiet=500ms", "drain=10s"}
		},
		after:    func(_ *site, p picture) picture { return p },
		versions: map[string]string{"web1": "v2", "web2": "v2", "web3": "v2", "web4": "v2"},
	},
	{
		plan: "blue-green-map",
		load: func(c *traffic.Config) { c.Host = "shop.test" },
		estate: estate.Config{
			Servers: []estate.Server{
				{Name: "b1", Backend: "be_blue", Version: "v1", Weight: 10},
				{Name: "b2", Backend: "be_blue", Version: "v1", Weight: 10},
				{Name: "g1", Backend: "be_green", Version: "v2", Weight: 10},
				{Name: "g2", Backend: "be_green", Version: "v2", Weight: 10},
			},
			HAProxy: haproxytest.Config{Map: &haproxytest.Map{Entries: []string{"shop.test be_blue", "other.test be_blue"}}},
		},
		vars: func(s *site) []string {
			return []string{"host=shop.test", "socket=" + s.Socket(), "map=" + s.Nodes[0].MapFile, "watch=500ms", "drain=5s"}
		},
		after: func(_ *site, p picture) picture { return p.with("lb1/map shop.test", "value", "be_green") },
	},
	{
		plan: "dynamic-servers",
		estate: estate.Config{
			Servers: []estate.Server{{Name: "web1", Version: "v1", Weight: 100}, {Name: "web9", Backend: "be_spare", Version: "v2", Weight: 1}},
			// The backend keeps few idle connections, and not for long: HAProxy 2.6 deletes no server that has one.
			Backend: haproxytest.Backend{Options: []string{"default-server pool-purge-delay 1s"}},
		},
		vars: func(s *site) []string {
			return []string{"old=web1", "new=web2", "address=" + s.Addr("web9"), "socket=" + s.Socket(), "hold=300ms", "drain=5s"}
		},
		after: func(s *site, p picture) picture {
			next := p.with("lb1/be_web/web2", "address", s.Addr("web9"), "lb1/be_web/web2", "weight", "100",
				"lb1/be_web/web2", "state", "ready", "lb1/be_web/web2", "health", "enabled")
			delete(next, "lb1/be_web/web1")
			return next
		},
	},
	{
		plan: "two-nodes", estate: estate.Config{Nodes: 2},
		vars: func(s *site) []string {
			return []string{"version=v2", "lb1=unix://" + s.Nodes[0].Socket, "lb2=tcp://" + s.Nodes[1].TCPSocket, "deploy=" + s.Deploy, "hold=300ms", "drain=5s"}
		},
		after:    func(_ *site, p picture) picture { return p.with(greenCarries("lb1")...).with(greenCarries("lb2")...) },
		versions: map[string]string{"web1": "v1", "web2": "v1", "web3": "v2", "web4": "v2"},
	},
}

// greenCarries is what a node shows once green carries everything.
func greenCarries(node string) []string {
	var words []string
	for server, weight := range map[string]string{"web1": "0", "web2": "0", "web3": "100", "web4": "100"} {
		words = append(words, node+"/be_web/"+server, "weight", weight)
	}
	return words
}

// TestEveryPlanDoesWhatItSaysAndGoesBack runs the plans of the repository on a real HAProxy under load.
func TestEveryPlanDoesWhatItSaysAndGoesBack(t *testing.T) {
	t.Parallel()
	for _, x := range examples {
		t.Run(x.plan, func(t *testing.T) {
			t.Parallel()
			s := set(t, x.estate)
			before := s.picture()
			s.begin(x.load)
			s.phase("run")
			s.want(0, s.run(x.plan, x.vars(s)...)...)
			s.shows(x.after(s, before), "after the run")
			for server, version := range x.versions {
				if got := s.Version(server); got != version {
					t.Errorf("%s runs %s, want %s", server, got, version)
				}
			}
			s.phase("rollback")
			s.want(0, "rollback", "--yes")
			s.phase("after")
			s.shows(before, "after the rollback")
			for server := range x.versions {
				if got := s.Version(server); got != "v1" {
					t.Errorf("%s runs %s after the rollback, want v1", server, got)
				}
			}
			s.lostNothing()
		})
	}
}

func TestEveryPlanOfTheRepositoryIsRunByATest(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "plans", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if !slices.ContainsFunc(examples, func(x example) bool { return x.plan == name }) && !slices.Contains(slices.Concat(nacosPlans, dnsPlans, abPlans), name) {
			t.Errorf("no test runs %s", file)
		}
	}
}
