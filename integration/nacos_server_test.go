package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// nacosServer is the stand-in or an official server. Nobody has to log in.
type nacosServer struct {
	name     string // for people: which of the two, and its version
	official bool
	api      byte // '2' or '3'
	url      string
	grpc     int
	keep     time.Duration // how long it remembers what operators set on an instance that is gone
	join     func(ctx context.Context, service string, i nacostest.Instance) (*nacostest.Owner, error)
}

func standIn(t *testing.T, keep time.Duration) nacosServer {
	t.Helper()
	f := nacostest.StartFake(t, nacostest.Options{Keep: keep, PushDelay: 500 * time.Millisecond})
	u, err := url.Parse(f.Servers()[0])
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return nacosServer{name: "the stand-in of nacos 2.2.3", api: '2', url: f.Servers()[0], grpc: port + 1000, keep: keep, join: f.Join}
}

// officialServer is skipped loudly where it was not asked for.
func officialServer(t *testing.T, version string, keep time.Duration) nacosServer {
	t.Helper()
	r := nacostest.StartReal(t, version, nacostest.WithKeep(keep))
	return nacosServer{name: "the official nacos " + version, official: true, api: version[0], url: r.URL, grpc: r.GRPCPort, keep: 3 * keep, join: r.Join}
}

// set is an operator who knows nothing of consumers: one raw write.
func (n nacosServer) set(ctx context.Context, service string, i nacostest.Instance, enabled bool) error {
	i.Disabled = !enabled
	return nacostest.Write(ctx, n.url, int(n.api-'0'), service, i)
}

// listed is what consumers get, as sorted addresses.
func (n nacosServer) listed(ctx context.Context, service string) ([]string, error) {
	body, err := n.get(ctx, "/nacos/v1/ns/instance/list?"+url.Values{"serviceName": {"DEFAULT_GROUP@@" + service}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Hosts []struct {
			IP   string
			Port int
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var all []string
	for _, h := range answer.Hosts {
		all = append(all, net.JoinHostPort(h.IP, strconv.Itoa(h.Port)))
	}
	slices.Sort(all)
	return all, nil
}

func (n nacosServer) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, resp.Status, body)
	}
	return body, err
}
