package ui_test

import (
	"math"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/ui"
)

func TestDurationsReadAsPeopleSayThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                  "0s",
		3 * time.Microsecond:               "1ms",
		840 * time.Millisecond:             "840ms",
		999900 * time.Microsecond:          "1s",
		24100 * time.Millisecond:           "24.1s",
		8 * time.Second:                    "8s",
		59960 * time.Millisecond:           "1m",
		260 * time.Second:                  "4m 20s",
		32 * time.Minute:                   "32m",
		time.Hour - time.Millisecond:       "1h",
		2 * time.Hour:                      "2h",
		65 * time.Minute:                   "1h 5m",
		24*time.Hour - time.Second:         "1d",
		76 * time.Hour:                     "3d 4h",
		-90 * time.Second:                  "-1m 30s",
		time.Duration(math.MinInt64):       "-0s",
		24*time.Hour + 30*time.Minute:      "1d",
		time.Minute + 500*time.Millisecond: "1m 1s",
	} {
		if got := ui.Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", int64(d), got, want)
		}
	}
	for s, want := range map[float64]string{24.1: "24.1s", math.Inf(1): "0s", math.NaN(): "0s", 1e300: "0s"} {
		if got := ui.Seconds(s); got != want {
			t.Errorf("Seconds(%v) = %q, want %q", s, got, want)
		}
	}
}

func TestCountsHaveSeparators(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 8120: "8,120", 1234567: "1,234,567", -8120: "-8,120", -812: "-812"} {
		if got := ui.Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestAShareThatIsNotNothingIsNotZeroPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 0.041: "4.1 %", 0.25: "25 %", 1: "100 %", 0.0004: "0.04 %", 0.000002: "< 0.001 %"} {
		if got := ui.Percent(share); got != want {
			t.Errorf("Percent(%v) = %q, want %q", share, got, want)
		}
	}
}

func TestAgoHasOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 3 * time.Minute: "3m ago", 90 * time.Minute: "1h ago", 47 * time.Hour: "47h ago",
		72 * time.Hour: "2026-02-26", -5 * time.Minute: "in 5m", 20 * time.Second: "20s ago",
	} {
		if got := ui.Ago(start, start.Add(-d)); got != want {
			t.Errorf("Ago(%v) = %q, want %q", d, got, want)
		}
	}
	if got := ui.Ago(start, time.Time{}); got != "-" {
		t.Errorf("Ago of no time = %q", got)
	}
}
