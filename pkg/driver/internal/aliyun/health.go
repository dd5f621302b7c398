package aliyun

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
)

// NonNormal is a server that a listener does not count among the good ones.
type NonNormal struct {
	ServerID string `json:"ServerId"`
	ServerIP string `json:"ServerIp"`
	Port     Number `json:"Port"`
	Status   string `json:"Status"` // Initial, Unhealthy, Unused, Unavailable
	Reason   struct {
		ReasonCode string
	}
}

// GroupHealth is what one listener or rule says about one server group: health
// is known by absence.
type GroupHealth struct {
	Group     string      `json:"ServerGroupId"`
	Enabled   *Flag       `json:"HealthCheckEnabled"`
	EnabledNL *Flag       `json:"HeathCheckEnabled"` // as NLB spells it
	NonNormal []NonNormal `json:"NonNormalServers"`
}

type healthEntry struct{ ServerGroupInfos []GroupHealth }

// health reads what a listener says, and its rules where they are included.
func (c *Client) health(ctx context.Context, listener string, extra Params) ([]GroupHealth, error) {
	var all []GroupHealth
	err := pages(func(token string) (string, error) {
		var out struct {
			NextToken            string
			ListenerHealthStatus []healthEntry
			RuleHealthStatus     []healthEntry
		}
		p := Params{"ListenerId": listener, "NextToken": token}
		maps.Copy(p, extra)
		err := c.Do(ctx, Request{Action: "GetListenerHealthStatus", Resource: listener, Params: p}, &out)
		for _, e := range slices.Concat(out.ListenerHealthStatus, out.RuleHealthStatus) {
			all = append(all, e.ServerGroupInfos...)
		}
		return out.NextToken, err
	})
	return all, err
}

// CheckIn is what listeners say about a server of a group. A server without
// weight is not checked (ALB); one that has just got weight is Initial until
// its checks passed.
func CheckIn(all []GroupHealth, group string, s Server) Check {
	if s.Weight == 0 {
		return Check{Unchecked, "not checked at weight 0"}
	}
	check := Check{Unchecked, "no listener checks it"}
	for _, h := range all {
		if h.Group != group {
			continue
		}
		said := h.check(s)
		if check.State == Unchecked {
			check = said
		} else {
			check = check.Worse(said)
		}
	}
	return check
}

func (h GroupHealth) check(s Server) Check {
	if on := cmp.Or(h.Enabled, h.EnabledNL); on != nil && !bool(*on) {
		return Check{Unchecked, "health checks are off"}
	}
	for _, n := range h.NonNormal {
		if !s.fits(n.ServerID, n.ServerIP, n.Port) {
			continue
		}
		detail := n.Status
		if n.Reason.ReasonCode != "" {
			detail += " (" + n.Reason.ReasonCode + ")"
		}
		switch strings.ToLower(n.Status) {
		case "unhealthy":
			return Check{Bad, detail}
		case "unavailable":
			return Check{Unchecked, detail}
		}
		return Check{Pending, detail} // Initial; Unused, when its weight is not known there yet
	}
	return Check{Good, "normal"}
}
