package traffic

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Drain ends every open websocket with a close frame and returns how many there were.
func (a *App) Drain() int {
	a.mu.Lock()
	open := make([]*websocket.Conn, 0, len(a.sockets))
	for c := range a.sockets {
		open = append(open, c)
	}
	a.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range open {
		wg.Go(func() { _ = c.Close(websocket.StatusGoingAway, "draining") })
	}
	wg.Wait()
	return len(open)
}

func (a *App) echo(w http.ResponseWriter, r *http.Request) {
	if time.Now().Before(a.warm) {
		http.Error(w, "warming", http.StatusInternalServerError)
		return
	}
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	a.mu.Lock()
	a.sockets[c] = struct{}{}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.sockets, c)
		a.mu.Unlock()
		_ = c.CloseNow()
	}()
	for {
		kind, msg, err := c.Read(context.Background()) // ends with the connection
		if err != nil {
			return
		}
		if err := c.Write(context.Background(), kind, msg); err != nil {
			return
		}
	}
}
