package gate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"syscall"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// grace is what a gate gets on top of its own timeout before the loop cuts it.
const grace = 5 * time.Second

// local are the errors of connect(2) that say something about this machine and
// nothing about the other end.
var local = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
	syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES,
}

// unanswered tells why there is no answer. A connection that is refused, reset
// or times out, and a certificate that does not verify, are a look that says
// no: the other end does not answer as it should. A name that does not resolve
// and a shortage on this machine say nothing about the other end.
func unanswered(ctx context.Context, timeout time.Duration, err error) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Result{}, hint.Wrap(err, "give the address to connect to if the name is not in DNS yet")
	}
	for _, e := range local {
		if errors.Is(err, e) {
			return Result{}, err
		}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return no("no answer within %s", brief(timeout)), nil
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return no("%s", errno.Error()), nil
	}
	return no("%s", excerpt(err.Error(), 200)), nil
}

func no(format string, args ...any) Result { return Result{Detail: fmt.Sprintf(format, args...)} }

func yes(format string, args ...any) Result {
	return Result{Pass: true, Detail: fmt.Sprintf(format, args...)}
}

func undecided(format string, args ...any) Result {
	return Result{Undecided: true, Detail: fmt.Sprintf(format, args...)}
}

// validAddress refuses what is not host:port.
func validAddress(key, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return hint.Wrap(fmt.Errorf("%s: %q is not host:port", key, address), `like "10.0.0.13:8080" or "[2001:db8::1]:443"`)
	}
	return nil
}
