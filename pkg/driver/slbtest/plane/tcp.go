package plane

import (
	"context"
	"io"
	"net"
	"sync"
)

// serveTCP serves until close, and waits for what was being served.
func (f *front) serveTCP() {
	for {
		client, err := f.ln.Accept()
		if err != nil {
			break
		}
		f.serving.Go(func() { f.pipe(client.(*net.TCPConn)) })
	}
	f.serving.Wait()
}

// pipe joins a client and a member until one of them ends. A client whose
// member cannot be reached is reset.
func (f *front) pipe(client *net.TCPConn) {
	defer client.Close()
	to := f.pick("", "")
	if !to.ok {
		_ = client.SetLinger(0)
		return
	}
	member, err := f.dial(context.Background(), to.Member)
	if err != nil {
		f.failed(to.ID)
		_ = client.SetLinger(0)
		return
	}
	defer member.Close()
	var both sync.WaitGroup
	both.Go(func() { carry(member, client) })
	both.Go(func() { carry(client, member) })
	both.Wait()
	if member.cut.Load() {
		f.failed(to.ID)
	}
}

type halfCloser interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// carry copies until the end of one direction. An error ends both.
func carry(to, from halfCloser) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite() // the other side may be gone
}
