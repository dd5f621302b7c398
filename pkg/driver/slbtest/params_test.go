package slbtest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParametersAreDecodedAsAWholeOrNotAtAll(t *testing.T) {
	five := 5
	tests := []struct {
		name string
		flat map[string]string
		want serversRequest
		code string
	}{
		{
			name: "a list of structs",
			flat: map[string]string{
				"ServerGroupId": "sgp-1", "DryRun": "true", "Servers.1.ServerType": "Ecs", "Servers.1.ServerId": "i-a", "Servers.1.Port": "80",
				"Servers.2.ServerType": "Ip", "Servers.2.ServerId": "10.0.0.1", "Servers.2.Port": "81", "Servers.2.Weight": "5",
			},
			want: serversRequest{ServerGroupId: "sgp-1", DryRun: true, Servers: []serverEntry{
				{ServerType: "Ecs", ServerId: "i-a", Port: 80}, {ServerType: "Ip", ServerId: "10.0.0.1", Port: 81, Weight: &five},
			}},
		},
		{name: "a gap in a list", code: "InvalidParameter", flat: map[string]string{
			"ServerGroupId": "sgp-1", "Servers.1.ServerType": "Ecs", "Servers.1.ServerId": "i-a", "Servers.1.Port": "80", "Servers.3.ServerId": "i-b",
		}},
		{name: "a list that does not begin with 1", code: "InvalidParameter", flat: map[string]string{"ServerGroupId": "sgp-1", "Servers.0.ServerId": "i-a"}},
		{name: "a missing field in a list", code: "MissingParameter", flat: map[string]string{"ServerGroupId": "sgp-1", "Servers.1.ServerId": "i-a"}},
		{name: "no list", code: "MissingParameter", flat: map[string]string{"ServerGroupId": "sgp-1"}},
		{name: "a number that is none", code: "InvalidParameter", flat: map[string]string{
			"ServerGroupId": "sgp-1", "Servers.1.ServerType": "Ecs", "Servers.1.ServerId": "i-a", "Servers.1.Port": "080",
		}},
		{name: "a bool that is none", code: "InvalidParameter", flat: map[string]string{
			"ServerGroupId": "sgp-1", "Servers.1.ServerType": "Ecs", "Servers.1.ServerId": "i-a", "Servers.1.Port": "80", "DryRun": "True",
		}},
		{name: "something inside a scalar", code: "InvalidParameter", flat: map[string]string{
			"ServerGroupId": "sgp-1", "ServerGroupId.x": "1", "Servers.1.ServerType": "Ecs", "Servers.1.ServerId": "i-a", "Servers.1.Port": "80",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got serversRequest
			err := decodeParams(tt.flat, &got)
			if tt.code != "" {
				if e, ok := err.(*apiError); !ok || e.code != tt.code { //nolint:errorlint // never wrapped here
					t.Errorf("error %v, want %s", err, tt.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEstateThatContradictsItselfIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":             `{"clbs": []}`,
		"something after it":         `{} {}`,
		"a weight over 100":          `{"alb_groups": [{"id": "g", "members": [{"server_id": "i", "address": "127.0.0.1:1", "weight": 101}]}]}`,
		"a member without address":   `{"alb_groups": [{"id": "g", "members": [{"server_id": "i", "weight": 1}]}]}`,
		"one id twice":               `{"alb_groups": [{"id": "g"}, {"id": "g"}]}`,
		"an unknown group":           `{"nlb": [{"id": "n", "listeners": [{"id": "l", "port": 80, "group": "g"}]}]}`,
		"an unknown protocol":        `{"clb": [{"id": "lb", "listeners": [{"port": 80, "protocol": "quic"}]}]}`,
		"a rule without a forward":   `{"alb_groups": [{"id": "g"}], "alb": [{"id": "a", "listeners": [{"id": "l", "group": "g", "rules": [{"id": "r"}]}]}]}`,
		"a TTL under the plan's":     `{"zones": [{"name": "example.com", "records": [{"rr": "www", "type": "A", "value": "192.0.2.1", "ttl": 60}]}]}`,
		"a record of an odd address": `{"zones": [{"name": "example.com", "records": [{"rr": "www", "type": "A", "value": "www"}]}]}`,
		"a duration that is none":    `{"alb_groups": [{"id": "g", "drain": {"timeout": "10"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseEstate([]byte(text)); err == nil {
				t.Error("no error")
			}
		})
	}
	e, err := ParseEstate([]byte(`{"clb": [{"id": "lb", "default": [{"server_id": "i", "address": "127.0.0.1:1", "weight": 100}],
		"listeners": [{"port": 81, "protocol": "tcp", "drain": {"on": true, "timeout": "10s"}}]}]}`))
	if err != nil || e.CLB[0].Listeners[0].Drain.Timeout != 10*time.Second {
		t.Errorf("a good one: %+v, %v", e, err)
	}
}
