package gate

import "time"

// clock reads the wall clock and the time that the machine was awake. Linux
// stops the monotonic clock in suspend, so the two tell a suspended machine
// from one that is merely busy.
type clock func() (wall time.Time, awake time.Duration)

func systemClock() clock {
	start := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0).UTC(), now.Sub(start)
	}
}

// jump is the difference between wall and awake time, from one reading to the
// next, that is not a clock being adjusted but a suspended machine or a clock
// that was set.
const jump = 5 * time.Second

// longestSleep bounds every sleep, so that a suspended machine finds out soon
// after it wakes. A timer alone would be late by the time of the suspend.
const longestSleep = 30 * time.Second
