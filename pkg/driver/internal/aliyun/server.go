package aliyun

import (
	"cmp"
	"encoding/json"
	"net"
	"strconv"
	"strings"
)

// Server is an entry of a server group: the tuple that tells it from others,
// and its weight.
type Server struct {
	ServerID    string `json:"ServerId"`
	ServerIP    string `json:"ServerIp"`
	Type        string `json:"-"`
	Port        Number `json:"Port"`
	Weight      Number `json:"Weight"`
	Description string `json:"Description"`
	Status      string `json:"Status"` // ALB and NLB: Adding, Available, Configuring, Removing
}

// byIP: entries of one network interface differ in their address.
func (s Server) byIP() bool {
	return s.Type != "" && !strings.EqualFold(s.Type, "ecs") && s.ServerIP != ""
}

// Key is what the API tells entries of one group apart by: i-a1:8080,
// eni-1/10.0.0.5:8080, 10.0.0.5:8080, and without a port in a default group.
func (s Server) Key() string {
	id := s.ServerID
	if s.byIP() && s.ServerIP != s.ServerID {
		id += "/" + s.ServerIP
	}
	if s.Port == 0 {
		return id
	}
	if strings.Contains(s.ServerID, ":") && id == s.ServerID {
		return net.JoinHostPort(id, strconv.Itoa(int(s.Port)))
	}
	return id + ":" + strconv.Itoa(int(s.Port))
}

// fits reports whether a health entry is about s. Entries name the address of
// interfaces only.
func (s Server) fits(id, ip string, port Number) bool {
	return s.ServerID == id && (s.Port == 0 || s.Port == port) && (!s.byIP() || ip == "" || ip == s.ServerIP)
}

// Tag is a label of a resource.
type Tag struct {
	Key   string
	Value string
}

// UnmarshalJSON accepts both spellings: {TagKey, TagValue} and {Key, Value}.
func (t *Tag) UnmarshalJSON(b []byte) error {
	var both struct {
		TagKey, TagValue, Key, Value Word
	}
	if err := json.Unmarshal(b, &both); err != nil {
		return err
	}
	t.Key, t.Value = string(cmp.Or(both.TagKey, both.Key)), string(cmp.Or(both.TagValue, both.Value))
	return nil
}

// Owner names the controller that a resource belongs to, empty when it is
// nobody's. ServiceManagedMode is Managed for what a cloud service keeps; the
// cloud controller of Kubernetes tags what it made.
func Owner(managed string, tags []Tag) string {
	for _, t := range tags {
		key := strings.ToLower(t.Key)
		if strings.HasPrefix(key, "ack.aliyun.com") || strings.HasPrefix(key, "ack.alibabacloud.com") || strings.HasPrefix(key, "kubernetes.") {
			return "a Kubernetes cluster (tag " + t.Key + ")"
		}
	}
	if strings.EqualFold(managed, "managed") {
		return "a service of Aliyun (ServiceManagedMode is Managed)"
	}
	return ""
}

// Check is what one listener or rule says about one server.
type Check struct {
	State  CheckState
	Detail string // the API's own word
}

// CheckState is what a health check found.
type CheckState int

// The states. Unchecked: nobody looks. Pending: looked at, not decided yet.
const (
	Unchecked CheckState = iota
	Pending
	Good
	Bad
)

// Worse joins what several listeners say: one that says no decides.
func (c Check) Worse(o Check) Check {
	rank := map[CheckState]int{Unchecked: 0, Good: 1, Pending: 2, Bad: 3}
	if rank[o.State] > rank[c.State] {
		return o
	}
	return c
}
