package aliyun_test

import (
	"encoding/json"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
)

// ALB and NLB name who is not normal. Whoever has just got weight is Initial.
func TestHealthIsKnownByAbsence(t *testing.T) {
	of := func(status string) string {
		return `{"ServerGroupId":"sgp-1","HealthCheckEnabled":true,"NonNormalServers":[{"ServerId":"i-1","Port":80,"Status":"` + status + `","Reason":{"ReasonCode":"X"}}]}`
	}
	const nobody, off, foreign = `{"ServerGroupId":"sgp-1"}`, `{"ServerGroupId":"sgp-1","HeathCheckEnabled":"false"}`, `{"ServerGroupId":"sgp-2"}`
	one := aliyun.Server{ServerID: "i-1", Type: "Ecs", Port: 80, Weight: 100}
	parked, other := one, one
	parked.Weight, other.Port = 0, 81
	for name, test := range map[string]struct {
		said   []string
		server aliyun.Server
		want   aliyun.Check
	}{
		"nobody is named":                    {[]string{nobody}, one, aliyun.Check{State: aliyun.Good, Detail: "normal"}},
		"it just got weight":                 {[]string{of("Initial")}, one, aliyun.Check{State: aliyun.Pending, Detail: "Initial (X)"}},
		"its weight is not known there yet":  {[]string{of("Unused")}, one, aliyun.Check{State: aliyun.Pending, Detail: "Unused (X)"}},
		"a word that nobody knows":           {[]string{of("Dancing")}, one, aliyun.Check{State: aliyun.Pending, Detail: "Dancing (X)"}},
		"it fails":                           {[]string{of("Unhealthy")}, one, aliyun.Check{State: aliyun.Bad, Detail: "Unhealthy (X)"}},
		"it fails, in another case":          {[]string{of("UNHEALTHY")}, one, aliyun.Check{State: aliyun.Bad, Detail: "UNHEALTHY (X)"}},
		"it is not checked":                  {[]string{of("Unavailable")}, one, aliyun.Check{State: aliyun.Unchecked, Detail: "Unavailable (X)"}},
		"another port of it fails":           {[]string{of("Unhealthy")}, other, aliyun.Check{State: aliyun.Good, Detail: "normal"}},
		"without weight nothing is known":    {[]string{nobody}, parked, aliyun.Check{State: aliyun.Unchecked, Detail: "not checked at weight 0"}},
		"checks are off":                     {[]string{off}, one, aliyun.Check{State: aliyun.Unchecked, Detail: "health checks are off"}},
		"only another group is told of":      {[]string{foreign}, one, aliyun.Check{State: aliyun.Unchecked, Detail: "no listener checks it"}},
		"nobody tells anything":              {nil, one, aliyun.Check{State: aliyun.Unchecked, Detail: "no listener checks it"}},
		"one listener says no":               {[]string{nobody, of("Unhealthy"), nobody}, one, aliyun.Check{State: aliyun.Bad, Detail: "Unhealthy (X)"}},
		"one listener has not decided":       {[]string{nobody, of("Initial")}, one, aliyun.Check{State: aliyun.Pending, Detail: "Initial (X)"}},
		"one of two listeners does not look": {[]string{off, nobody}, one, aliyun.Check{State: aliyun.Good, Detail: "normal"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := make([]aliyun.GroupHealth, len(test.said))
			for i, text := range test.said {
				expect.Nil(t, json.Unmarshal([]byte(text), &said[i]))
			}
			expect.Same(t, "check", test.want, aliyun.CheckIn(said, "sgp-1", test.server))
		})
	}
}
