package slbtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"time"
)

// LoadEstate reads an estate from a JSON file. An unknown key is an error.
func LoadEstate(file string) (Estate, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Estate{}, fmt.Errorf("estate: %w", err)
	}
	e, err := ParseEstate(b)
	if err != nil {
		return Estate{}, fmt.Errorf("estate %s: %w", file, err)
	}
	return e, nil
}

// ParseEstate is LoadEstate for what is in a file. Durations are strings
// ("10s"); the actions and conditions of ALB rules have the API's names.
func ParseEstate(b []byte) (Estate, error) {
	var tree any
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return Estate{}, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Estate{}, errors.New("there is something after the estate")
	}
	if err := durations(tree); err != nil {
		return Estate{}, err
	}
	plain, err := json.Marshal(tree)
	if err != nil {
		return Estate{}, err
	}
	strict := json.NewDecoder(bytes.NewReader(plain))
	strict.DisallowUnknownFields()
	var e Estate
	if err := strict.Decode(&e); err != nil {
		return Estate{}, err
	}
	filled := clone(e)
	(&Server{}).fill(&filled)
	return e, filled.check()
}

// durations turns "10s" into what time.Duration is in JSON.
func durations(tree any) error {
	switch tree := tree.(type) {
	case []any:
		for _, item := range tree {
			if err := durations(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, v := range tree {
			text, ok := v.(string)
			if ok && slices.Contains([]string{"timeout", "idle_timeout", "request_timeout", "persistence", "slow_start"}, k) {
				d, err := time.ParseDuration(text)
				if err != nil {
					return fmt.Errorf("%s: %w", k, err)
				}
				tree[k] = int64(d)
			} else if err := durations(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// SmallEstate has one of each kind, with the members i-a1, i-a2, i-b1 and i-b2
// (side a at weight 100, side b parked) at four addresses, and the zone
// example.com whose www points to 192.0.2.10.
func SmallEstate(addresses [4]string) Estate {
	members := make([]Member, 4)
	for i, id := range []string{"i-a1", "i-a2", "i-b1", "i-b2"} {
		members[i] = Member{ServerID: id, Port: 8080, Address: addresses[i]}
		if i < 2 {
			members[i].Weight = 100
		}
		if _, port, err := net.SplitHostPort(addresses[i]); err == nil {
			members[i].Port, _ = strconv.Atoi(port) // what is no number cannot be dialled either
		}
	}
	side := func(id string, from int) Group {
		g := Group{ID: id, Name: id, Members: []Member{members[from], members[from+1]}}
		g.Members[0].Weight, g.Members[1].Weight = 100, 100
		return g
	}
	whole := func(id string) Group { return Group{ID: id, Name: id, Members: slices.Clone(members)} }
	return Estate{
		CLB: []CLB{{
			ID: "lb-gw", Name: "gateway", Groups: []Group{whole("rsp-web")},
			Listeners: []CLBListener{{Port: 80, Protocol: "http", Group: "rsp-web"}},
		}},
		ALB: []ALB{{ID: "alb-ws", Name: "websocket", Listeners: []ALBListener{{
			ID: "lsn-ws", Port: 80, Group: "sgp-ws",
			Rules: []ALBRule{{
				ID: "rule-ws", Name: "sides", Priority: 1,
				Conditions: []Condition{{Type: "Path", PathConfig: &Values{Values: []string{"/ab/*"}}}},
				Actions:    []Action{Forward(1, To("sgp-a", 100), To("sgp-b", 0))},
			}},
		}}}},
		ALBGroups: []Group{whole("sgp-ws"), side("sgp-a", 0), side("sgp-b", 2)},
		NLB:       []NLB{{ID: "nlb-tcp", Listeners: []NLBListener{{ID: "nlsn-tcp", Port: 80, Group: "nsg-tcp"}}}},
		NLBGroups: []Group{whole("nsg-tcp")},
		Zones: []Zone{{Name: "example.com", Records: []Record{
			{ID: "1001", RR: "www", Type: "A", Value: "192.0.2.10"},
			{ID: "1002", RR: "@", Type: "MX", Value: "mail.example.com", Priority: 10},
		}}},
	}
}
