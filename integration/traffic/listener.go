package traffic

import (
	"fmt"
	"net"
	"sync"
)

// trackingListener knows its open connections, hijacked ones too, so that it can reset them.
type trackingListener struct {
	net.Listener
	mu   sync.Mutex
	dead bool
	open map[*trackedConn]struct{}
}

type trackedConn struct {
	net.Conn
	from *trackingListener
}

func (l *trackingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, from: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		abort(conn)
		return nil, net.ErrClosed
	}
	l.open[tracked] = struct{}{}
	return tracked, nil
}

func (c *trackedConn) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// reset closes the listener and resets every connection.
func (l *trackingListener) reset() {
	_ = l.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	for c := range l.open {
		abort(c.Conn)
	}
	clear(l.open)
}

// abort closes with a RST instead of a FIN (socket(7), SO_LINGER with time 0).
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// FreeAddr returns a loopback address that nothing listens on now, for a backend that must be configured before it runs.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
