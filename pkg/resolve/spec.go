package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// ParseSpec reads a view that is written as one word, as on a command line:
// system, dns:ADDRESS[:PORT], doh:URL, doh+json:URL or
// httpdns:ADDRESS[@CLIENT[+CLIENT...]]. known is false for any other word.
func ParseSpec(word string) (c Config, known bool, err error) {
	kind, rest, _ := strings.Cut(word, ":")
	switch {
	case word == "system":
		c.System = true
	case kind == "dns":
		c.DNS = []string{rest}
	case kind == "doh":
		c.DoH = secret.Ref(rest)
	case kind == "doh+json":
		c.DoH, c.Format = secret.Ref(rest), "json"
	case kind == "httpdns":
		cluster, clients, _ := strings.Cut(rest, "@")
		c.HTTPDNS = &HTTPDNS{Clusters: []string{cluster}}
		c.HTTPDNS.Clients, err = parseClients(clients)
	default:
		return c, false, nil
	}
	if err == nil && rest == "" && !c.System {
		err = hint.Wrap(fmt.Errorf("%s: nothing is named after the colon", word), "%s", Specs)
	}
	if err == nil {
		err = c.Validate()
	}
	return c, true, err
}

// Specs says how a view is written as one word.
const Specs = "system, dns:ADDRESS[:PORT], doh:URL, doh+json:URL, httpdns:ADDRESS[@CLIENT]"

func parseClients(text string) ([]netip.Addr, error) {
	var all []netip.Addr
	for part := range strings.SplitSeq(text, "+") {
		if part == "" {
			continue
		}
		a, err := netip.ParseAddr(part)
		if err != nil {
			return nil, hint.Wrap(fmt.Errorf("%q is not the address of a client", part), "like httpdns:203.0.113.1@1.1.1.1")
		}
		all = append(all, a)
	}
	return all, nil
}

// ForClients returns c asking on behalf of clients. Only HTTPDNS, and with one
// client DNS and DoH (as a client subnet), can.
func (c Config) ForClients(clients []netip.Addr) Config {
	switch {
	case len(clients) == 0:
	case c.HTTPDNS != nil:
		own := *c.HTTPDNS
		own.Clients = slices.Clone(clients)
		c.HTTPDNS = &own
	case (len(c.DNS) > 0 || c.DoH != "") && len(clients) == 1:
		c.Subnet = clients[0].String()
	}
	return c
}
