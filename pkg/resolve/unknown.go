package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// noRoute are the errors of a machine that cannot send there at all.
var noRoute = []error{syscall.ENETUNREACH, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL}

// unknown is the answer of a vantage that saw nothing.
func unknown(ctx context.Context, limit time.Duration, err error) Answer {
	a := Answer{Unknown: reason(ctx, limit, err)}
	for _, e := range noRoute {
		a.NoRoute = a.NoRoute || errors.Is(err, e)
	}
	return a
}

// reason is a short text for why nothing was seen.
func reason(ctx context.Context, limit time.Duration, err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	e, isNet := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil:
		return "not asked to the end"
	case isNet && e.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return short(err.Error(), 160)
}

// short makes foreign text one line of at most limit runes.
func short(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "..."
	}
	return s
}
