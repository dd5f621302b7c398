package aliyun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
)

// ALBRule is a forwarding rule, with its actions as the API wrote them.
type ALBRule struct {
	ID       string
	Listener string
	Status   string // Provisioning, Configuring, Available
	Owner    string
	Actions  []any
}

// Rules reads rules by id; what does not exist is not in the map.
func (c ALB) Rules(ctx context.Context, ids ...string) (map[string]ALBRule, error) {
	found := map[string]ALBRule{}
	for part := range slices.Chunk(ids, 20) {
		err := pages(func(token string) (string, error) {
			var out struct {
				NextToken string
				Rules     []struct {
					RuleID             string `json:"RuleId"`
					ListenerID         string `json:"ListenerId"`
					RuleStatus         string
					ServiceManagedMode string
					RuleActions        json.RawMessage
					Tags               []Tag
				}
			}
			p := Params{"MaxResults": "100", "NextToken": token}.List("RuleIds", part)
			if err := c.Do(ctx, Request{Action: "ListRules", Resource: strings.Join(part, ","), Params: p}, &out); err != nil {
				return "", err
			}
			for _, r := range out.Rules {
				tree, err := Tree(r.RuleActions)
				actions, ok := tree.([]any)
				if err != nil || !ok {
					return "", fmt.Errorf("the actions of rule %s are no list", r.RuleID)
				}
				found[r.RuleID] = ALBRule{r.RuleID, r.ListenerID, r.RuleStatus, Owner(r.ServiceManagedMode, r.Tags), actions}
			}
			return out.NextToken, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ErrNoForward: the rule has not exactly one action that forwards.
var ErrNoForward = errors.New("the rule has not exactly one action that forwards to server groups")

// forward finds the action that forwards.
func (r ALBRule) forward() (map[string]any, error) {
	var found map[string]any
	for _, a := range r.Actions {
		action, ok := a.(map[string]any)
		if !ok || !strings.EqualFold(fmt.Sprint(action["Type"]), "ForwardGroup") {
			continue
		}
		if found != nil {
			return nil, ErrNoForward
		}
		found, _ = action["ForwardGroupConfig"].(map[string]any)
	}
	if found == nil {
		return nil, ErrNoForward
	}
	return found, nil
}

// Weights are the server groups that the rule forwards to. A single group
// without a weight has all of the traffic.
func (r ALBRule) Weights() (map[string]int, error) {
	config, err := r.forward()
	if err != nil {
		return nil, err
	}
	tuples, _ := config["ServerGroupTuples"].([]any)
	weights := map[string]int{}
	for _, t := range tuples {
		tuple, _ := t.(map[string]any)
		id := fmt.Sprint(tuple["ServerGroupId"])
		if tuple["ServerGroupId"] == nil || id == "" {
			return nil, errors.New("the rule forwards to a server group without an id")
		}
		var n Number
		switch w := tuple["Weight"].(type) {
		case nil:
			n = 100
		default:
			if err := n.UnmarshalJSON([]byte(fmt.Sprint(w))); err != nil {
				return nil, fmt.Errorf("the weight of %s: %w", id, err)
			}
		}
		weights[id] = int(n)
	}
	return weights, nil
}

// with returns the parameters of all actions, with other weights in the one
// that forwards. A rule is replaced as a whole, so nothing may be left out.
func (r ALBRule) with(weights map[string]int) (Params, error) {
	config, err := r.forward()
	if err != nil {
		return nil, err
	}
	p := Params{}
	for i, a := range r.Actions {
		action, _ := a.(map[string]any)
		kind := fmt.Sprint(action["Type"])
		own, ok := action[kind+"Config"].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the rule has an action %s that cannot be sent back: it shows no %sConfig", kind, kind)
		}
		at := "RuleActions." + strconv.Itoa(i+1)
		p.Flatten(at+".Type", action["Type"])
		p.Flatten(at+".Order", action["Order"])
		if fmt.Sprintf("%p", own) == fmt.Sprintf("%p", config) {
			own = forwardTo(config, weights)
		}
		p.Flatten(at+"."+kind+"Config", own)
	}
	return p, nil
}

func forwardTo(config map[string]any, weights map[string]int) map[string]any {
	next := map[string]any{}
	maps.Copy(next, config)
	if sticky, ok := config["ServerGroupStickySession"].(map[string]any); ok && fmt.Sprint(sticky["Timeout"]) == "0" {
		next["ServerGroupStickySession"] = map[string]any{"Enabled": sticky["Enabled"]} // 0 is shown, but is outside 1..86400
	}
	var tuples []any
	known, _ := config["ServerGroupTuples"].([]any)
	seen := map[string]bool{}
	for _, t := range known {
		tuple, _ := t.(map[string]any)
		id := fmt.Sprint(tuple["ServerGroupId"])
		seen[id] = true
		if w, keep := weights[id]; keep {
			kept := maps.Clone(tuple) // with fields that nobody here knows
			kept["Weight"] = w
			tuples = append(tuples, kept)
		}
	}
	for _, id := range sorted(weights) {
		if !seen[id] {
			tuples = append(tuples, map[string]any{"ServerGroupId": id, "Weight": weights[id]})
		}
	}
	next["ServerGroupTuples"] = tuples
	return next
}

// SetRule begins to give a rule other weights. The rule is the one that was
// just read; all of its actions are sent back.
func (c ALB) SetRule(ctx context.Context, r ALBRule, weights map[string]int, token string) (job string, err error) {
	p, err := r.with(weights)
	if err != nil {
		return "", driver.Permanent(fmt.Errorf("rule %s: %w", r.ID, err))
	}
	p["RuleId"], p["ClientToken"] = r.ID, token
	return c.job(ctx, Request{Action: "UpdateRuleAttribute", Resource: r.ID, Params: p, Write: true})
}
