package nacostest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
)

// FaultKind is a way in which a request goes wrong.
type FaultKind int

// The kinds of faults.
const (
	None FaultKind = iota
	// Hang takes the request and never answers.
	Hang
	// Status answers Code with Text, and does nothing.
	Status
	// LoseAnswer does what was asked and breaks the connection.
	LoseAnswer
	// MutePush pushes nothing. Lists stay right.
	MutePush
	// EmptyPush pushes an empty list, as a server that has just started.
	EmptyPush
	// Garbage answers 200 with Text.
	Garbage
)

// RaftFailure is what a write gets when there is no Raft leader.
var RaftFailure = Fault{Kind: Status, On: " /v", Method: "PUT", Code: http.StatusInternalServerError, Text: "caused: do metadata operation failed;"}

// Fault happens to requests of a node.
type Fault struct {
	Kind   FaultKind
	Node   int    // index; -1 is all
	Method string // of the requests that it happens to; empty is all
	On     string // part of their method, path and parameters; empty is all
	Times  int    // how often; 0 is always
	Code   int
	Text   string

	left int
}

// Fail adds a fault.
func (f *Fake) Fail(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fault.left = fault.Times
	f.faults = append(f.faults, &fault)
}

// Heal ends all faults.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// due is the fault of a request.
func (f *Fake) due(node int, request string) Fault {
	for _, fault := range f.faults {
		method, _, _ := strings.Cut(request, " ")
		if fault.Kind == MutePush || fault.Kind == EmptyPush || (fault.Node >= 0 && fault.Node != node) ||
			(fault.Method != "" && fault.Method != method) || !strings.Contains(request, fault.On) {
			continue
		}
		if fault.Times > 0 {
			if fault.left == 0 {
				continue
			}
			fault.left--
		}
		return *fault
	}
	return Fault{}
}

// muted is the fault of pushes.
func (f *Fake) muted(node int) FaultKind {
	for _, fault := range f.faults {
		if (fault.Kind == MutePush || fault.Kind == EmptyPush) && (fault.Node < 0 || fault.Node == node) {
			return fault.Kind
		}
	}
	return None
}

// before answers in the place of the server.
func (f Fault) before(w http.ResponseWriter, r *http.Request, closed chan struct{}) bool {
	switch f.Kind {
	case Hang:
		select {
		case <-r.Context().Done():
		case <-closed:
		}
		hangUp(w)
	case Status:
		w.WriteHeader(f.Code)
		_, _ = io.WriteString(w, f.Text) // the client is gone
	case Garbage:
		_, _ = io.WriteString(w, f.Text) // the client is gone
	default:
		return false
	}
	return true
}

// hangUp breaks the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if broken, ok := w.(*recorder); ok {
		broken.broken = true
		return
	}
	panic(http.ErrAbortHandler)
}

// discard swallows an answer.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// recorder is an answer that never crosses a network.
type recorder struct {
	*httptest.ResponseRecorder
	broken bool
}

// Transport reaches the nodes without any network.
func (f *Fake) Transport() http.RoundTripper { return transport{f} }

type transport struct{ fake *Fake }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, n := range t.fake.nodes {
		if n.host == r.URL.Host {
			return n.roundTrip(r)
		}
	}
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("no such host")}
}

func (n *fakeNode) roundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	n.fake.mu.Lock()
	down := n.down
	n.fake.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	w := &recorder{ResponseRecorder: httptest.NewRecorder()}
	n.serveHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.broken {
		return nil, io.ErrUnexpectedEOF
	}
	return w.Result(), nil
}
