package slbtest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"
)

// serve answers one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c, err := s.admit(r)
	if err != nil {
		s.mu.Lock()
		id := s.nextID()
		s.mu.Unlock()
		answerError(w, r, id, err)
		return
	}
	s.mu.Lock()
	c.fault = s.due(c.Product, c.Action)
	s.mu.Unlock()
	if c.fault.Do != nil {
		c.fault.Do()
	}
	if !c.fault.Kind.runs() {
		s.instead(w, r, c)
		return
	}
	if c.fault.Kind == Slow {
		s.pause(r, c.fault.After)
	}
	body, err := s.do(c)
	switch c.fault.Kind {
	case DropAfter:
		panic(http.ErrAbortHandler)
	case SlowAnswer:
		s.pause(r, c.fault.After)
	}
	s.finish(w, r, c, body, err)
}

// do runs the action.
func (s *Server) do(c *call) (reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, c.Call)
	if err := s.throttle(c.key.Account, c.Product, c.Action); err != nil {
		return nil, err
	}
	body, err := s.actions[c.Product][c.Action].run(s, c)
	c.Applied = c.Applied || (c.Write && err == nil)
	return body, err
}

// runs says whether the action is done, sooner or later, before the answer.
func (k FaultKind) runs() bool {
	switch k {
	case NoFault, Slow, SlowAnswer, DropAfter, JobFails, Partial:
		return true
	}
	return false
}

// instead does what a fault does in place of the action.
func (s *Server) instead(w http.ResponseWriter, r *http.Request, c *call) {
	s.mu.Lock()
	s.calls = append(s.calls, c.Call)
	s.mu.Unlock()
	f := c.fault
	switch f.Kind {
	case Throttled:
		s.finish(w, r, c, nil, fail(errThrottled))
	case Unavailable:
		s.finish(w, r, c, nil, f.error(errUnavailable))
	case Refuse:
		s.finish(w, r, c, nil, f.error(errServiceConfig))
	case SoftRefuse:
		s.note(c, http.StatusOK, f.Code)
		answer(w, http.StatusOK, c.RequestID, reply{"Success": false, "Code": f.Code, "Message": f.Message, "HttpStatusCode": f.Status})
	case HTMLGateway:
		s.note(c, http.StatusBadGateway, "")
		page(w, http.StatusBadGateway)
	case Garbage:
		s.note(c, http.StatusOK, "")
		page(w, http.StatusOK)
	case DropBefore:
		panic(http.ErrAbortHandler)
	case LateApply:
		s.mu.Lock()
		s.later(f.After, func() {
			_, err := s.actions[c.Product][c.Action].run(s, c)
			c.Applied = c.Write && err == nil
		})
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	case ExpireKey:
		s.ExpireKey(c.key.ID)
		s.finish(w, r, c, nil, s.keyIsGood(s.keyOf(c.key.ID), c.key.Token, s.o.Now()))
	}
}

func (s *Server) keyOf(id string) Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[id]
}

// error is what the fault says, or e.
func (f Fault) error(e apiError) error {
	if f.Status != 0 {
		e.status = f.Status
	}
	if f.Code != "" {
		e.code = f.Code
	}
	if f.Message != "" {
		e.message = f.Message
	}
	return &e
}

// pause ends early with the client or the server.
func (s *Server) pause(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	case <-s.closed:
	}
}

// finish answers and puts the answer into the log.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, c *call, body reply, err error) {
	if err == nil {
		s.note(c, http.StatusOK, "")
		answer(w, http.StatusOK, c.RequestID, body)
		return
	}
	if e, ok := errors.AsType[*apiError](err); ok {
		s.note(c, e.status, e.code)
	}
	answerError(w, r, c.RequestID, err)
}

func (s *Server) note(c *call, status int, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Status, c.Code = status, code
}

func answer(w http.ResponseWriter, status int, id string, body reply) {
	whole := maps.Clone(body)
	if whole == nil {
		whole = reply{}
	}
	whole["RequestId"] = id
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(whole) // the client may be gone
}

// answerError writes {RequestId,HostId,Code,Message,Recommend}.
func answerError(w http.ResponseWriter, r *http.Request, id string, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{http.StatusInternalServerError, "InternalError", err.Error()}
	}
	answer(w, e.status, id, reply{
		"HostId": r.Host, "Code": e.code, "Message": e.message,
		"Recommend": "https://next.api.aliyun.com/troubleshoot?q=" + e.code,
	})
}

func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<html><head><title>Bad Gateway</title></head><body>Bad Gateway</body></html>\n") // the client may be gone
}
