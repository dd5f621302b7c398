package haproxytest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

func (f *Fake) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if !f.enter(conn) {
			_ = conn.Close()
			return
		}
		f.serving.Go(func() {
			defer f.leave(conn)
			f.serve(conn)
		})
	}
}

func (f *Fake) enter(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return false
	}
	f.conns[conn] = true
	return true
}

func (f *Fake) leave(conn net.Conn) {
	_ = conn.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
}

// serve takes one line, as HAProxy does outside of prompt mode.
func (f *Fake) serve(conn net.Conn) {
	line, err := bufio.NewReaderSize(conn, 64<<10).ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimSuffix(line, "\n")
	f.interfere(line)
	fault, bad := f.fault(line)
	if !bad {
		_, _ = conn.Write(f.run(line))
		return
	}
	switch fault.Kind {
	case CloseWithoutReply:
	case Hang:
		_, _ = io.Copy(io.Discard, conn)
	case Garbage:
		_, _ = io.WriteString(conn, "HTTP/1.0 400 Bad request\r\nConnection: close\r\n\r\n<html>no</html>\n")
	case LoseReply:
		f.run(line)
	case CutReply:
		reply := f.run(line)
		_, _ = conn.Write(reply[:len(reply)/2])
	case LateApply:
		f.applyLate(line, fault.After)
	case Slow:
		select {
		case <-time.After(fault.After):
			_, _ = conn.Write(f.run(line))
		case <-f.closing:
		}
	}
}

func (f *Fake) fault(line string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.faults {
		if !strings.Contains(line, fault.Match) {
			continue
		}
		if fault.Skip > 0 {
			fault.Skip--
			continue
		}
		if fault.Times == 1 {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		fault.Times--
		return *fault, true
	}
	return Fault{}, false
}
