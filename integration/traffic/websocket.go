package traffic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

const echoTimeout = 5 * time.Second

// websocket keeps one websocket open, opens the next when it ends, and tells an end by close frame from a cut.
func (l *Load) websocket() {
	transport := &http.Transport{ // a transport never repeats a request on a new connection, and here every one is new
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{Timeout: l.cfg.DialTimeout}).DialContext,
	}
	defer transport.CloseIdleConnections()
	cookie := l.cfg.Cookie
	for !l.stopping.Load() {
		conn, server := l.upgrade(transport, &cookie)
		if conn == nil {
			l.pause(afterDial)
			continue
		}
		l.converse(conn, server)
	}
}

// upgrade opens a websocket; a refusal is counted as a failed request, and conn is nil then.
func (l *Load) upgrade(transport *http.Transport, cookie *string) (conn *websocket.Conn, server string) {
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Timeout)
	defer cancel()
	header := http.Header{}
	if *cookie != "" {
		header.Set("Cookie", *cookie)
	}
	out := outcome{class: Websocket, start: time.Now()}
	conn, resp, err := websocket.Dial(ctx, "ws://"+l.cfg.Addr+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header, Host: l.cfg.Host,
	})
	out.end = time.Now()
	if resp != nil {
		out.server, out.version = resp.Header.Get("X-Srv"), resp.Header.Get("X-Version")
	}
	if given := cookieOf(resp); l.cfg.Sticky && given != "" {
		*cookie = given
	}
	if err != nil {
		out.kind, out.detail = upgradeKind(resp, err), err.Error()
	}
	l.counts.add(out)
	if err != nil {
		return nil, ""
	}
	l.counts.socket(socketOpened)
	return conn, out.server
}

// cookieOf is the "NAME=VALUE" that an answer sets, "" without one.
func cookieOf(resp *http.Response) string {
	if resp == nil || len(resp.Cookies()) == 0 {
		return ""
	}
	c := resp.Cookies()[0]
	return c.Name + "=" + c.Value
}

func upgradeKind(resp *http.Response, err error) string {
	var op *net.OpError
	switch {
	case resp != nil:
		return fmt.Sprintf("status %d", resp.StatusCode)
	case errors.As(err, &op) && op.Op == "dial":
		return KindDial
	default:
		return kindOf(err, KindReset)
	}
}

// converse sends a message every Ping and wants it back, until the socket ends or the load stops.
func (l *Load) converse(conn *websocket.Conn, server string) {
	defer func() { _ = conn.CloseNow() }()
	ping := []byte("ping")
	for !l.stopping.Load() {
		if err := echo(conn, ping); err != nil {
			if websocket.CloseStatus(err) >= 0 {
				l.counts.socket(socketClosed)
			} else {
				l.counts.cut(server, err, time.Now())
			}
			return
		}
		l.counts.socket(socketEchoed)
		l.pause(l.cfg.Ping)
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil && websocket.CloseStatus(err) < 0 {
		l.counts.cut(server, err, time.Now())
		return
	}
	l.counts.socket(socketStopped)
}

// echo prefers what the read says: a write into a socket that the server has closed fails, while its close frame may
// still be there to be read.
func echo(conn *websocket.Conn, msg []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), echoTimeout)
	defer cancel()
	writeErr := conn.Write(ctx, websocket.MessageText, msg)
	_, back, err := conn.Read(ctx)
	switch {
	case err != nil:
		return errors.Join(err, writeErr)
	case !bytes.Equal(back, msg):
		return fmt.Errorf("sent %q, got %q back", msg, back)
	default:
		return writeErr
	}
}
