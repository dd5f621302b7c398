package aliyun

import (
	"context"
	"math/rand/v2"
	"time"
)

// The pauses between tries: full jitter over a doubling range, so that many
// programs that were throttled together do not come back together.
const (
	shortestPause = time.Second
	longestPause  = 15 * time.Second
)

// pauseAfter is the pause after the n-th failed try.
func pauseAfter(n int) time.Duration {
	most := shortestPause
	for ; n > 0 && most < longestPause; n-- {
		most *= 2
	}
	return shortestPause + rand.N(min(most, longestPause)-shortestPause+1)
}

// Pause waits, unless ctx ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}
