package nacostest

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// tuple reads the parameters of a write. Whatever is left out is its default.
func (x *exchange) tuple() (cluster, address string, o overlay, ok bool) {
	cluster = orElse(x.params.Get("clusterName"), orElse(x.params.Get("cluster"), "DEFAULT"))
	address = net.JoinHostPort(x.params.Get("ip"), x.params.Get("port"))
	o = overlay{enabled: orElse(x.params.Get("enabled"), "true") == "true", weight: 1, metadata: map[string]string{}}
	if text := x.params.Get("weight"); text != "" {
		var err error
		if o.weight, err = strconv.ParseFloat(text, 64); err != nil || o.weight < 0 || o.weight > 10000 {
			x.fail(http.StatusBadRequest, 21002, "instance format invalid: The weights range from 0 to 10000")
			return "", "", o, false
		}
	}
	if text := x.params.Get("metadata"); text != "" {
		if err := json.Unmarshal([]byte(text), &o.metadata); err != nil {
			x.fail(http.StatusBadRequest, 21003, "metadata format incorrect:"+text)
			return "", "", o, false
		}
	}
	return cluster, address, o, true
}

// put writes an overlay, "ok" for whatever address; in 1.x it registers.
func (x *exchange) put() {
	s := x.find()
	cluster, address, o, ok := x.tuple()
	switch {
	case !ok:
	case s == nil:
		x.fail(http.StatusBadRequest, 21008, "service not found, namespace: "+x.params.Get("namespaceId")+", service: "+x.params.Get("serviceName"))
	case x.node.fake.family() == 1:
		x.post()
	default:
		x.node.fake.update(s, cluster, address, o)
		x.ok()
	}
}

// patch is a merge of a live instance in 1.x. In 2.x it begins from the
// overlay or from defaults, which is never what is wanted: refused here.
func (x *exchange) patch() {
	s := x.find()
	cluster, address, o, ok := x.tuple()
	switch {
	case !ok:
	case x.node.fake.family() != 1:
		x.fail(http.StatusNotImplemented, 501, "the stand-in has no PATCH of 2.x: it resets weight and enabled")
	case s == nil || !slices.ContainsFunc(s.published, func(p published) bool { return p.Address == address && p.Cluster == cluster }):
		x.fail(http.StatusBadRequest, 0, "instance not found")
	default:
		x.node.fake.update(s, cluster, address, o)
		x.ok()
	}
}

func (x *exchange) post() {
	cluster, address, o, ok := x.tuple()
	if !ok {
		return
	}
	i := Instance{Address: address, Cluster: cluster, Weight: o.weight, Disabled: !o.enabled, Metadata: o.metadata, Persistent: x.params.Get("ephemeral") == "false"}
	f := x.node.fake
	name := x.params.Get("serviceName")
	if !strings.Contains(name, "@@") {
		name = orElse(x.params.Get("groupName"), "DEFAULT_GROUP") + "@@" + name
	}
	s := f.service(name)
	if f.family() > 1 && i.Persistent && s.ephemeral && len(s.published) > 0 {
		x.fail(http.StatusBadRequest, 21002, "Current service "+name+" is ephemeral service, can't register persistent instance.")
		return
	}
	if i.Persistent {
		s.ephemeral = false
	}
	f.register(s, i, "", false)
	x.ok()
}

// remove is a no-op that answers "ok" for an ephemeral instance of 2.x and
// 3.x: its owner's connection holds it.
func (x *exchange) remove() {
	s := x.find()
	cluster, address, _, ok := x.tuple()
	if !ok {
		return
	}
	if s != nil && (x.params.Get("ephemeral") == "false" || x.node.fake.family() == 1) {
		x.node.fake.remove(s, cluster, address)
	}
	x.ok()
}
