package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
)

// errJob: nobody could be asked what became of a job.
var errJob = errors.New("what became of the job is unknown")

// Await waits until a job of ALB or NLB has succeeded, at most limit long.
func Await(ctx context.Context, id string, limit time.Duration, look func(context.Context, string) (aliyun.Job, error)) error {
	if id == "" {
		return nil // it was not worth a job: nothing had to be changed
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	failures := 0
	for n := 0; ; n++ {
		job, err := look(ctx, id)
		switch {
		case err != nil && ctx.Err() != nil:
			return driver.Uncertain(fmt.Errorf("job %s: %w: %w", id, errJob, err))
		case err != nil:
			if failures++; failures > 3 || aliyun.ClassOf(err) == aliyun.Auth {
				return driver.Uncertain(fmt.Errorf("job %s: %w: %w", id, errJob, err))
			}
		case job.Failed:
			return fmt.Errorf("job %s failed: %s: %s", id, job.Code, job.Message)
		case job.Done:
			return nil
		default:
			driver.Progress(ctx, fmt.Sprintf("job %s is %s", id, job.Status))
		}
		if err := aliyun.Pause(ctx, between(n)); err != nil {
			return driver.Uncertain(fmt.Errorf("job %s: %w: %w", id, errJob, err))
		}
	}
}

func join(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// The pauses between two looks: short at first, since most changes take less
// than a second, then as the vendor's own controller has them.
const (
	firstLook = 100 * time.Millisecond
	lastLook  = 2 * time.Second
)

// between is the pause after the n-th look, from 0.
func between(n int) time.Duration { return min(firstLook<<min(n, 10), lastLook) }
