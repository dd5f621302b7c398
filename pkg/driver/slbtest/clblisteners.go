package slbtest

import (
	"net/http"
	"slices"
)

type describeListenersRequest struct {
	LoadBalancerId []string
	ListenerPort   *int
	NextToken      string
	MaxResults     int
}

// describeListeners lists the listeners of several load balancers (the fields
// are those of the SDK's ListenerInDescribeLoadBalancerListeners).
func (s *Server) describeListeners(_ *call, r describeListenersRequest) (reply, error) {
	var found []reply
	for _, id := range r.LoadBalancerId {
		if !slices.ContainsFunc(s.estate.CLB, func(lb CLB) bool { return lb.ID == id }) {
			return nil, refuse(http.StatusNotFound, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId %q does not exist.", id)
		}
	}
	for _, lb := range s.estate.CLB {
		if len(r.LoadBalancerId) > 0 && !slices.Contains(r.LoadBalancerId, lb.ID) {
			continue
		}
		for _, l := range lb.Listeners {
			if r.ListenerPort == nil || *r.ListenerPort == l.Port {
				found = append(found, listedReply(lb, l))
			}
		}
	}
	page, body, err := paged(s, "slb.DescribeLoadBalancerListeners", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Listeners"] = list(page, func(l reply) reply { return l })
	return body, nil
}

func listedReply(lb CLB, l CLBListener) reply {
	own := reply{"HealthCheck": onOff(!l.Check.Off), "HealthCheckURI": l.Check.Path}
	body := reply{
		"LoadBalancerId": lb.ID, "ListenerPort": l.Port, "ListenerProtocol": l.Protocol, "Status": l.Status, "Scheduler": l.Scheduler,
		"VServerGroupId": l.Group, "BackendServerPort": l.BackendPort, "ServiceManagedMode": managedMode(lb.Managed),
	}
	switch l.Protocol {
	case "http":
		own["ListenerForward"] = onOff(l.Forward)
		body["HTTPListenerConfig"] = own
	case "https":
		body["HTTPSListenerConfig"] = own
	case "tcp":
		own["MasterSlaveServerGroupId"] = l.MasterSlave
		own["ConnectionDrain"], own["ConnectionDrainTimeout"] = onOff(l.Drain.On), l.Drain.seconds()
		own["PersistenceTimeout"] = seconds(l.Persistence)
		body["TCPListenerConfig"] = own
	case "udp":
		own["MasterSlaveServerGroupId"] = l.MasterSlave
		body["UDPListenerConfig"] = own
	}
	return body
}
