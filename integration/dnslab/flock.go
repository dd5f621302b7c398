package dnslab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Choice is how a client picks one address of several.
type Choice int

// The choices.
const (
	// Random spreads clients over all addresses.
	Random Choice = iota
	// First takes what the answer begins with.
	First
)

// tries is how often a question is sent.
const tries = 3

// patience is how long an answer may take. A busy machine answers late, and a
// service that was stopped refuses at once.
const patience = 5 * time.Second

// Flock are clients of a DNS service who find it under a name that it answers
// itself: each looks the name up at the address it has, picks an address of
// the answer, and stays there for the answer's TTL, or until it needs the name
// again, half as long after it. A question that is lost is sent again, as every
// resolver does; an answer that does not come at all is a failure.
type Flock struct {
	name   string
	port   int
	choice Choice
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu            sync.Mutex
	on            map[string]int // clients by the address they use
	lookups, lost int
	first         string // the first look-up that failed
}

// Gather starts n clients that use the service at address.
func Gather(ctx context.Context, name, address string, port, n int, choice Choice) *Flock {
	ctx, cancel := context.WithCancel(ctx)
	f := &Flock{name: name, port: port, choice: choice, cancel: cancel, on: map[string]int{address: n}}
	for range n {
		f.all.Go(func() { f.one(ctx, address) })
	}
	return f
}

// Scatter ends all clients.
func (f *Flock) Scatter() {
	f.cancel()
	f.all.Wait()
}

// On is how many clients use an address.
func (f *Flock) On(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on[address]
}

// Lookups is how many look-ups were made and how many got no answer.
func (f *Flock) Lookups() (made, lost int, first string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookups, f.lost, f.first
}

// one is the life of a client. They do not all begin at the same moment.
func (f *Flock) one(ctx context.Context, at string) {
	if !sleep(ctx, rand.N(time.Second)) {
		return
	}
	for {
		addrs, ttl, err := f.ask(at)
		if !f.note(err) {
			ttl = 100 * time.Millisecond // it tries again
		} else {
			next := addrs[0]
			if f.choice == Random {
				next = addrs[rand.N(len(addrs))]
			}
			f.move(at, next)
			at = next
		}
		if !sleep(ctx, ttl+rand.N(ttl/2+1)) {
			return
		}
	}
}

func (f *Flock) ask(at string) (addrs []string, ttl time.Duration, err error) {
	m := new(dns.Msg)
	m.SetQuestion(f.name+".", dns.TypeA)
	var in *dns.Msg
	for range tries {
		c := dns.Client{Timeout: patience}
		if in, _, err = c.Exchange(m, net.JoinHostPort(at, strconv.Itoa(f.port))); err == nil {
			break
		}
	}
	if err != nil {
		return nil, 0, err
	}
	for _, rr := range in.Answer {
		if a, ok := rr.(*dns.A); ok {
			addrs = append(addrs, a.A.String())
			ttl = time.Duration(a.Hdr.Ttl) * time.Second
		}
	}
	if len(addrs) == 0 {
		return nil, 0, errors.New("no address: " + dns.RcodeToString[in.Rcode])
	}
	return addrs, ttl, nil
}

func (f *Flock) note(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups++
	if err == nil {
		return true
	}
	f.lost++
	if f.first == "" {
		f.first = fmt.Sprint(err)
	}
	return false
}

func (f *Flock) move(from, to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.on[from]--
	f.on[to]++
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
