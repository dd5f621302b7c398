package nacos

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/flip-cli/flip/pkg/state"
)

// What servers answer. Reading is strict where a wrong guess would take
// traffic from the wrong instance: a list that is not there is an error, not
// an empty list.

// rawInstance is an instance in every answer: lists of 1.x to 3.x and pushes.
type rawInstance struct {
	IP        string            `json:"ip"`
	Port      int               `json:"port"`
	Weight    *float64          `json:"weight"`
	Healthy   *bool             `json:"healthy"`
	Enabled   *bool             `json:"enabled"`
	Ephemeral *bool             `json:"ephemeral"`
	Cluster   string            `json:"clusterName"`
	Metadata  map[string]string `json:"metadata"`
}

func (r rawInstance) instance() (instance, error) {
	i := instance{key: key{orElse(r.Cluster, defaultCluster), r.IP, r.Port}, weight: 1, metadata: r.Metadata}
	switch {
	case !addressable(i.key):
		return i, fmt.Errorf("the answer lists an instance at %q, port %d", r.IP, r.Port)
	case r.Enabled == nil || r.Ephemeral == nil || r.Healthy == nil:
		return i, fmt.Errorf("the answer does not say of %s whether it is enabled, healthy and ephemeral", i.address())
	}
	if r.Weight != nil {
		i.weight = *r.Weight
	}
	if math.IsNaN(i.weight) || i.weight < 0 || !state.Float(i.weight).Present() {
		return i, fmt.Errorf("the answer gives %s the weight %g", i.address(), i.weight)
	}
	i.enabled, i.ephemeral, i.healthy = *r.Enabled, *r.Ephemeral, *r.Healthy
	return i, nil
}

// addressable: the id of such an instance leads back to it.
func addressable(k key) bool {
	s := subject{service{"g", "s"}, k}
	back, ok := parseID(s.id())
	return ok && back == s
}

func instances(raw []rawInstance) ([]instance, error) {
	all := make([]instance, 0, len(raw))
	for _, r := range raw {
		i, err := r.instance()
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// parseResult reads {"code":0,"message":"success","data":...} of 2.x and 3.x.
func parseResult(body []byte) (json.RawMessage, error) {
	var r struct {
		Code    *int            `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Code == nil {
		return nil, fmt.Errorf("not an answer of this API: %s", reason(body))
	}
	if *r.Code != 0 && *r.Code != 200 {
		return nil, fmt.Errorf("code %d: %s", *r.Code, orElse(r.Message, "no reason given"))
	}
	return r.Data, nil
}

// messageOf is the message of an error in JSON, empty where there is none.
func messageOf(body []byte) string {
	var r struct {
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &r) != nil {
		return ""
	}
	var more string
	if json.Unmarshal(r.Data, &more) == nil && more != "" && more != r.Message {
		return r.Message + ": " + more
	}
	return r.Message
}

// parseCatalog reads a page of catalog/instances of 1.x and 2.x and how many
// there are in all.
func parseCatalog(body []byte) ([]instance, int, error) {
	var page struct {
		List  *[]rawInstance `json:"list"`
		Count *int           `json:"count"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, 0, fmt.Errorf("catalog: %w", err)
	}
	if page.List == nil || page.Count == nil {
		return nil, 0, errors.New("catalog: the answer holds no list of instances")
	}
	all, err := instances(*page.List)
	return all, *page.Count, err
}

// parseInstances reads the list that 3.x answers as data: a plain list, or
// a service with hosts.
func parseInstances(data json.RawMessage) ([]instance, error) {
	var list *[]rawInstance
	if err := json.Unmarshal(data, &list); err == nil && list != nil {
		return instances(*list)
	}
	return parseHosts(data)
}

// parseHosts reads what a consumer sees: {"hosts":[...]} of 1.x, 2.x and of
// pushes.
func parseHosts(body []byte) ([]instance, error) {
	var s struct {
		Hosts *[]rawInstance `json:"hosts"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("instances: %w", err)
	}
	if s.Hosts == nil {
		return nil, errors.New("instances: the answer holds no hosts")
	}
	return instances(*s.Hosts)
}

// detail is what a service itself says.
type detail struct {
	threshold float64
	clusters  []string
}

// parseService reads the detail of a service: clusters are a list in 1.x and
// 2.x and a map in 3.x.
func parseService(body []byte) (detail, error) {
	var s struct {
		Threshold *float64 `json:"protectThreshold"`
		Clusters  []struct {
			Name string `json:"name"`
		} `json:"clusters"`
		ClusterMap map[string]json.RawMessage `json:"clusterMap"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return detail{}, fmt.Errorf("service: %w", err)
	}
	if s.Threshold == nil {
		return detail{}, errors.New("service: the answer holds no protectThreshold")
	}
	d := detail{threshold: *s.Threshold}
	for _, c := range s.Clusters {
		d.clusters = append(d.clusters, c.Name)
	}
	for name := range s.ClusterMap {
		d.clusters = append(d.clusters, name)
	}
	return d, nil
}
