package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/httpdns"
)

// overHTTP asks an HTTPDNS service for clients of several networks. Nothing is
// kept, and the local DNS is not asked: its answer would not be the service's.
type overHTTP struct {
	base
	c       HTTPDNS
	cluster time.Duration // limit of one cluster
}

// Look asks for every client, each at the first cluster that helps.
func (v *overHTTP) Look(ctx context.Context, q Question) []Answer {
	clients := v.c.Clients
	if len(clients) == 0 {
		clients = []netip.Addr{{}}
	}
	var all []vantage
	for _, client := range clients {
		at := vantage{name: "this client"}
		if client.IsValid() {
			at.name, at.client = "client "+client.String(), client.String()
		}
		at.ask = func(ctx context.Context) (Answer, error) { return v.ask(ctx, q, client) }
		all = append(all, at)
	}
	return v.look(ctx, all)
}

func (v *overHTTP) ask(ctx context.Context, q Question, client netip.Addr) (Answer, error) {
	clusters, err := v.clusters(q.Type)
	if err != nil {
		return Answer{}, err
	}
	c, err := httpdns.New(httpdns.Options{
		Clusters: clusters, ClientIP: client, Plain: v.c.Format == "plain", NoCache: true, NoLocal: true,
		Timeout: v.cluster,
	})
	if err != nil {
		return Answer{}, err
	}
	defer c.Close()
	found, err := c.Lookup(ctx, q.Name)
	if err != nil {
		return Answer{}, whyLost(err)
	}
	got := found[q.Name]
	a := Answer{HasTTL: true, MinTTL: got.TTL, MaxTTL: got.TTL, FullTTL: true, Server: got.ServiceIP.String()}
	if client.IsValid() {
		a.Client = client.String()
	}
	for _, ip := range got.IPs {
		if ip.Is4() == (q.Type == "A") {
			a.Values = append(a.Values, ip.String())
		}
	}
	if len(a.Values) == 0 {
		return Answer{}, fmt.Errorf("the service answers with addresses of the other family only: %v", got.IPs)
	}
	a.sort()
	return a, nil
}

// clusters are those that answer with addresses of the type's family: the
// service gives addresses of the family that it is asked over.
func (v *overHTTP) clusters(kind string) ([]httpdns.Cluster, error) {
	network := map[string]string{"A": "tcp4", "AAAA": "tcp6"}[kind]
	if network == "" {
		return nil, errors.New("HTTPDNS answers with addresses only (A, AAAA)")
	}
	secure, err := v.c.TLS.Config()
	if err != nil {
		return nil, err
	}
	var fit []httpdns.Cluster
	for _, text := range v.c.Clusters {
		c := v.c.cluster(text)
		c.TLS, c.Network = secure, network
		if a, ok := c.Addr(); ok && a.Is4() != (kind == "A") {
			continue
		}
		fit = append(fit, c)
	}
	if len(fit) == 0 {
		return nil, fmt.Errorf("no cluster is reached over %s, and the service answers %s over that only", map[string]string{"tcp4": "IPv4", "tcp6": "IPv6"}[network], kind)
	}
	return fit, nil
}

// whyLost is the reason without the name, which the reader knows.
func whyLost(err error) error {
	lost, ok := errors.AsType[*httpdns.NameError](err)
	switch {
	case !ok:
		return err
	case len(lost.Why) == 1:
		return lost.Why[0]
	}
	return errors.New(strings.Join(texts(lost.Why, error.Error), "; "))
}
