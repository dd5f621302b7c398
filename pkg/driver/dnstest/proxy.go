package dnstest

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands before a server's TCP port and makes what networks make: lost
// requests, lost answers, silence, refused connections.
type Proxy struct {
	addr     string
	upstream string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	fault    Fault
	updates  int
	between  func()
	work     sync.WaitGroup
}

// Fault is what happens to updates; other messages pass.
type Fault int

// The faults of a proxy.
const (
	// Pass does nothing.
	Pass Fault = iota
	// LoseAnswer passes updates on and drops their answers.
	LoseAnswer
	// LoseRequest drops updates.
	LoseRequest
	// Silent answers nothing at all, to no message, and keeps connections open.
	Silent
)

// NewProxy starts a proxy before a server. It ends with the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{addr: l.Addr().String(), upstream: s.Addr(), listener: l, conns: map[net.Conn]bool{}}
	p.work.Go(func() { p.serve(l) })
	t.Cleanup(func() {
		p.Refuse()
		p.work.Wait()
	})
	return p
}

// Addr is where the proxy listens; it stays refused after Refuse.
func (p *Proxy) Addr() string { return p.addr }

// Set makes a fault happen from now on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// BeforeUpdate is called once, before the next update is passed on: what
// another operator does between a client's reading and its writing.
func (p *Proxy) BeforeUpdate(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.between = f
}

// Updates is how many updates came.
func (p *Proxy) Updates() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.updates
}

// Refuse closes the port and all connections.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close() // twice is fine
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.conns[c] = true
		p.mu.Unlock()
		p.work.Go(func() {
			p.session(c)
			_ = c.Close()
			p.mu.Lock()
			delete(p.conns, c)
			p.mu.Unlock()
		})
	}
}

// session passes messages, one after the other.
func (p *Proxy) session(c net.Conn) {
	for {
		request, err := readMessage(c)
		if err != nil {
			return
		}
		switch fault := p.arrived(request); fault {
		case Silent, LoseRequest:
			_, _ = io.Copy(io.Discard, c) // until the other end gives up
			return
		case Pass, LoseAnswer:
			answer, err := p.ask(request)
			if err != nil {
				return
			}
			if fault == LoseAnswer {
				_, _ = io.Copy(io.Discard, c)
				return
			}
			if writeMessage(c, answer) != nil {
				return
			}
		}
	}
}

const opcodeUpdate = 5

// arrived counts a message and says what happens to it.
func (p *Proxy) arrived(request []byte) Fault {
	update := len(request) > 2 && request[2]>>3&0xf == opcodeUpdate
	p.mu.Lock()
	fault, between := p.fault, p.between
	if update {
		p.updates++
		p.between = nil
	}
	p.mu.Unlock()
	if update && between != nil {
		between()
	}
	if !update && fault != Silent {
		return Pass
	}
	return fault
}

func (p *Proxy) ask(request []byte) ([]byte, error) {
	c, err := net.DialTimeout("tcp", p.upstream, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if err := writeMessage(c, request); err != nil {
		return nil, err
	}
	return readMessage(c)
}

// Messages over TCP have their length before them (RFC 1035, 4.2.2).
func readMessage(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeMessage(w io.Writer, b []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}
