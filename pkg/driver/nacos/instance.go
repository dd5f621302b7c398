package nacos

import (
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/state"
)

// service is a service of the target's namespace.
type service struct{ group, name string }

// String is how Nacos writes it: DEFAULT_GROUP@@user-service.
func (s service) String() string { return s.group + "@@" + s.name }

// key is what the server tells instances of one service apart by.
type key struct {
	cluster string
	ip      string
	port    int
}

func (k key) address() string { return net.JoinHostPort(k.ip, strconv.Itoa(k.port)) }

// instance is the whole tuple: whatever a write leaves out, the server resets.
type instance struct {
	key
	weight    float64
	enabled   bool
	healthy   bool
	ephemeral bool
	metadata  map[string]string
	// copies is how often the server lists it: 2 are two registrations of one
	// address, of which consumers may see both.
	copies int
}

// subject is where an object is.
type subject struct {
	service service
	key
}

// id is GROUP@@service/CLUSTER/ip:port.
func (s subject) id() string {
	return s.service.String() + "/" + s.cluster + "/" + s.address()
}

// parseID takes an id apart. Neither addresses nor clusters hold a slash.
func parseID(id string) (subject, bool) {
	rest, address, ok := cutLast(id, "/")
	if !ok {
		return subject{}, false
	}
	svc, cluster, ok := cutLast(rest, "/")
	if !ok {
		return subject{}, false
	}
	group, name, ok := strings.Cut(svc, "@@")
	if !ok || group == "" || name == "" || cluster == "" {
		return subject{}, false
	}
	ip, port, ok := parseAddress(address)
	s := subject{service{group, name}, key{cluster, ip, port}}
	return s, ok && s.id() == id
}

func parseAddress(text string) (ip string, port int, ok bool) {
	ip, digits, err := net.SplitHostPort(text)
	if err != nil || ip == "" {
		return "", 0, false
	}
	port, err = strconv.Atoi(digits)
	return ip, port, err == nil && port >= 0 && port <= 65535
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// attrs are what a plan can set. Metadata is there for a persistent instance
// only: undoing its removal needs it.
func (i instance) attrs() map[string]state.Value {
	attrs := map[string]state.Value{
		Enabled: state.Bool(i.enabled), Weight: state.Float(i.weight), Ephemeral: state.Bool(i.ephemeral),
	}
	if !i.ephemeral {
		attrs[Registered] = state.Bool(true)
		attrs[Metadata] = state.Text(metadataText(i.metadata))
	}
	return attrs
}

func (i instance) info(s service) map[string]string {
	info := map[string]string{
		"address": i.address(), "host": i.ip, "cluster": i.cluster, "service": s.name, "group": s.group,
		"healthy": strconv.FormatBool(i.healthy),
	}
	if i.copies > 1 {
		info["copies"] = strconv.Itoa(i.copies)
	}
	for k, v := range i.metadata {
		info["metadata."+k] = v
	}
	return info
}

// metadataText is metadata as the API takes it; equal maps are equal texts.
func metadataText(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	b, err := json.Marshal(m) // sorted by key
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return string(b)
}

func parseMetadata(text string) (map[string]string, error) {
	m := map[string]string{}
	err := json.Unmarshal([]byte(text), &m)
	return m, err
}

// merge makes one instance of several registrations of one address: it serves
// when one of them does.
func merge(all []instance) map[key]instance {
	merged := make(map[key]instance, len(all))
	for _, i := range all {
		i.copies = 1
		if other, twice := merged[i.key]; twice {
			first := other
			if i.enabled && !other.enabled {
				first = i
			}
			first.enabled = i.enabled || other.enabled
			first.healthy = i.healthy || other.healthy
			first.copies = other.copies + 1
			i = first
		}
		merged[i.key] = i
	}
	return merged
}

// addresses lists up to ten, for people.
func addresses(all map[key]instance) string {
	var names []string
	for k := range all {
		names = append(names, k.address())
	}
	return listing(names)
}

func listing(texts []string) string {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	const most = 10
	if len(texts) > most {
		return strings.Join(texts[:most], ", ") + " and " + strconv.Itoa(len(texts)-most) + " more"
	}
	if len(texts) == 0 {
		return "none"
	}
	return strings.Join(texts, ", ")
}
