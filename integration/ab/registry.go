package ab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// StandIn runs the stand-in of Nacos 2.2.3 until stop. It pushes as late as
// real servers do.
func StandIn() (r Registry, stop func(), err error) {
	f, stop, err := nacostest.RunFake(nacostest.Options{PushDelay: 500 * time.Millisecond})
	if err != nil {
		return Registry{}, nil, err
	}
	return Registry{Name: "the stand-in of Nacos 2.2.3", URL: f.Servers()[0], Join: f.Join, Set: operator(f.Servers()[0], false)}, stop, nil
}

// Official runs an official server with its home in dir until stop.
func Official(ctx context.Context, dir, version string) (r Registry, stop func(), err error) {
	real, err := nacostest.RunReal(ctx, dir, version)
	if err != nil {
		return Registry{}, nil, err
	}
	return OfficialOf(real), real.Stop, nil
}

// OfficialOf is an official server that runs.
func OfficialOf(r *nacostest.Real) Registry {
	return Registry{Name: "the official Nacos " + r.Version, URL: r.URL, Join: r.Join, Set: operator(r.URL, r.Version[0] >= '3')}
}

// operator writes as people do who know nothing of consumers.
func operator(server string, v3 bool) func(context.Context, string, nacostest.Instance, bool) error {
	path, prefix := "/nacos/v1/ns/instance", "DEFAULT_GROUP@@"
	if v3 {
		path, prefix = "/nacos/v3/admin/ns/instance", ""
	}
	return func(ctx context.Context, service string, i nacostest.Instance, enabled bool) error {
		host, port, err := net.SplitHostPort(i.Address)
		if err != nil {
			return err
		}
		metadata, err := json.Marshal(i.Metadata)
		if err != nil {
			return err
		}
		form := url.Values{
			"serviceName": {prefix + service}, "groupName": {"DEFAULT_GROUP"}, "clusterName": {"DEFAULT"}, "ip": {host}, "port": {port},
			"ephemeral": {"true"}, "weight": {fmt.Sprint(i.Weight)}, "enabled": {strconv.FormatBool(enabled)}, "metadata": {string(metadata)},
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, server+path+"?"+form.Encode(), nil)
		if err != nil {
			return err
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
			return fmt.Errorf("PUT %s: %s: %s", path, resp.Status, body)
		}
		return nil
	}
}
