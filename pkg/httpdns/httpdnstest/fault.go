package httpdnstest

import (
	"io"
	"net/http"
	"time"
)

// Fault is one way to answer badly. The zero value is none.
type Fault struct {
	Status int           // another status than 200, with an empty body
	Body   string        // another body, with status 200
	Empty  bool          // status 200 without a body
	Hang   bool          // no answer until the client leaves
	Cut    bool          // the connection ends without an answer
	Delay  time.Duration // before the answer, which is right
	Always bool          // for all requests from now on
}

// Spoil answers the coming requests badly, one fault each, after the faults
// that are still to come.
func (s *Service) Spoil(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Mend takes back all faults that are still to come.
func (s *Service) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// spoil reports whether the fault took the place of the answer.
func (s *Service) spoil(w http.ResponseWriter, r *http.Request, f Fault) bool {
	if f.Delay > 0 {
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		case <-s.leave:
		}
	}
	switch {
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-s.leave:
		}
		return true
	case f.Cut:
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		if f.Status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(f.Status)
		return true
	case f.Body != "":
		_, _ = io.WriteString(w, f.Body)
		return true
	}
	return f.Empty
}

// Close lets go of the requests that hang.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.leave:
	default:
		close(s.leave)
	}
}
