package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	nacosgrpc "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/flip-cli/flip/pkg/hint"
)

// subscription is one gRPC connection that is subscribed as a consumer is. It
// speaks the SDK's protocol with the SDK's stubs and messages, and leaves out
// the SDK's client: that one writes files, opens a UDP port that stays, knows
// no deadlines, and ends the process over a bad certificate. A connection that
// only subscribes publishes nothing, so ending it disturbs nobody.
type subscription struct {
	node      *node
	namespace string
	conn      *grpc.ClientConn
	unary     nacosgrpc.RequestClient
	stream    grpc.BidiStreamingClient[nacosgrpc.Payload, nacosgrpc.Payload]
	token     func(context.Context) (string, error)
	forget    func(token string)
	cancel    context.CancelFunc
	reader    sync.WaitGroup

	mu    sync.Mutex
	views map[service]view
	err   error // of the connection, once it ended
}

// view is the last list that the server sent for a service.
type view struct {
	instances []instance
	stamp     uint64 // lastRefTime, milliseconds of the server's clock
}

// dial connects and makes the connection one that gets pushes.
func (t *Target) dial(ctx context.Context, n *node) (*subscription, error) {
	creds := insecure.NewCredentials()
	if t.client.tls != nil {
		creds = credentials.NewTLS(t.client.tls.Clone())
	}
	conn, err := grpc.NewClient("passthrough:///"+n.grpc, grpc.WithTransportCredentials(creds), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largest)))
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &subscription{
		node: n, namespace: t.cfg.namespace(), conn: conn, unary: nacosgrpc.NewRequestClient(conn), cancel: cancel, views: map[service]view{},
		token:  func(ctx context.Context) (string, error) { return t.client.token(ctx, n) },
		forget: t.client.auth.forget,
	}
	if err := s.setup(ctx, life); err != nil {
		s.close()
		return nil, fmt.Errorf("gRPC port %s: %w", n.grpc, err)
	}
	return s, nil
}

// setup does what the SDK does: check, open the stream, introduce itself.
func (s *subscription) setup(ctx, life context.Context) error {
	for {
		answer, err := s.request(ctx, "ServerCheckRequest", rpc_request.NewServerCheckRequest(), nil)
		if err != nil {
			return err
		}
		if answer.Code < 300 || answer.Code >= 400 {
			break
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil { // it is starting
			return errors.New("the server is not ready")
		}
	}
	stream, err := nacosgrpc.NewBiRequestStreamClient(s.conn).RequestBiStream(life)
	if err != nil {
		return err
	}
	s.stream = stream
	hello := rpc_request.NewConnectionSetupRequest()
	hello.ClientVersion = constant.CLIENT_VERSION
	hello.Tenant = s.namespace
	hello.Labels = map[string]string{constant.LABEL_SOURCE: constant.LABEL_SOURCE_SDK, constant.LABEL_MODULE: constant.LABEL_MODULE_NAMING}
	if err := s.send(hello.GetRequestType(), hello); err != nil {
		return err
	}
	s.reader.Go(s.read)
	return nil
}

// read takes pushes until the connection ends.
func (s *subscription) read() {
	for {
		p, err := s.stream.Recv()
		if err == nil {
			err = s.serve(p)
		}
		if err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			return
		}
	}
}

// serve answers one request of the server.
func (s *subscription) serve(p *nacosgrpc.Payload) error {
	id := struct {
		RequestID string `json:"requestId"`
	}{}
	_ = json.Unmarshal(p.GetBody().GetValue(), &id) // an answer without id is ignored
	reply := map[string]any{"resultCode": 200, "success": true, "requestId": id.RequestID}
	switch kind := p.GetMetadata().GetType(); kind {
	case constant.NOTIFY_SUBSCRIBE_REQUEST_NAME:
		var push struct {
			Info json.RawMessage `json:"serviceInfo"`
		}
		if err := json.Unmarshal(p.GetBody().GetValue(), &push); err != nil {
			return fmt.Errorf("a push that cannot be read: %w", err)
		}
		if err := s.keep(push.Info); err != nil {
			return fmt.Errorf("a push that cannot be read: %w", err)
		}
		return s.send("NotifySubscriberResponse", reply)
	case "ClientDetectionRequest":
		return s.send("ClientDetectionResponse", reply)
	case "ConnectResetRequest":
		return errors.New("the server wants its clients elsewhere")
	default: // as consumers do, who know no more
		return nil
	}
}

// keep stores a list unless a newer one is there: the answer to a subscribe
// may come after a push that overtook it.
func (s *subscription) keep(info json.RawMessage) error {
	var head struct {
		Name  string `json:"name"`
		Group string `json:"groupName"`
		Stamp uint64 `json:"lastRefTime"`
	}
	if err := json.Unmarshal(info, &head); err != nil {
		return err
	}
	all, err := parseHosts(info)
	if err != nil {
		return err
	}
	svc := serviceOf(head.Group, head.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.views[svc]; ok && old.stamp > head.Stamp {
		return nil
	}
	s.views[svc] = view{all, head.Stamp}
	return nil
}

// serviceOf: some servers repeat the group in the name.
func serviceOf(group, name string) service {
	if g, n, ok := cutLast(name, "@@"); ok {
		return service{g, n}
	}
	return service{orElse(group, defaultGroup), name}
}

// subscribe asks for a service's list and for pushes of it, once.
func (s *subscription) subscribe(ctx context.Context, svc service) error {
	s.mu.Lock()
	_, known := s.views[svc]
	s.mu.Unlock()
	if known {
		return nil
	}
	const (
		unregistered = 301 // the server has not seen the introduction yet
		forbidden    = 403
	)
	refused := false
	for {
		token, err := s.token(ctx)
		if err != nil {
			return err
		}
		req := rpc_request.NewSubscribeServiceRequest(s.namespace, svc.name, svc.group, "", true)
		headers := map[string]string{"app": "flip"}
		if token != "" {
			headers[constant.KEY_ACCESS_TOKEN] = token
		}
		answer, err := s.request(ctx, req.GetRequestType(), req, headers)
		switch {
		case err != nil:
			return err
		case answer.Code == unregistered:
			if err := pause(ctx, 50*time.Millisecond); err != nil {
				return errors.New("the server does not take the connection")
			}
			continue
		case answer.Code == forbidden && token != "" && !refused:
			refused = true
			s.forget(token)
			continue
		case !answer.Success:
			return fmt.Errorf("subscribe to %s: code %d: %s", svc, answer.Code, orElse(answer.Message, "no reason given"))
		}
		if err := s.keep(answer.Info); err != nil {
			return fmt.Errorf("subscribe to %s: %w", svc, err)
		}
		return nil
	}
}

// reply is what every answer holds.
type reply struct {
	Code    int             `json:"errorCode"`
	Success bool            `json:"success"`
	Message string          `json:"message"`
	Info    json.RawMessage `json:"serviceInfo"`
}

func (s *subscription) request(ctx context.Context, kind string, body any, headers map[string]string) (reply, error) {
	p, err := payload(kind, body, headers)
	if err != nil {
		return reply{}, err
	}
	p.Metadata.ClientIp = s.localIP()
	answer, err := s.unary.Request(ctx, p)
	if err != nil {
		return reply{}, err
	}
	var r reply
	if err := json.Unmarshal(answer.GetBody().GetValue(), &r); err != nil {
		return r, fmt.Errorf("%s: not an answer of Nacos: %w", kind, err)
	}
	return r, nil
}

// send is used by setup first and by read alone afterwards.
func (s *subscription) send(kind string, body any) error {
	p, err := payload(kind, body, nil)
	if err != nil {
		return err
	}
	p.Metadata.ClientIp = s.localIP()
	return s.stream.Send(p)
}

func payload(kind string, body any, headers map[string]string) (*nacosgrpc.Payload, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &nacosgrpc.Payload{Metadata: &nacosgrpc.Metadata{Type: kind, Headers: headers}, Body: &anypb.Any{Value: b}}, nil
}

// localIP is the address that the server's console shows for the subscriber.
func (s *subscription) localIP() string {
	conn, err := new(net.Dialer).DialContext(context.Background(), "udp", s.node.grpc) // sends nothing
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	return host
}

// look is the last list of a service, or why there is none.
func (s *subscription) look(svc service) ([]instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	v, ok := s.views[svc]
	if !ok {
		return nil, errors.New("not subscribed")
	}
	return v.instances, nil
}

// alive reports whether the connection still gets pushes.
func (s *subscription) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil
}

// close ends the connection and everything that it started.
func (s *subscription) close() {
	s.cancel()
	_ = s.conn.Close() // it is being thrown away
	s.reader.Wait()
}

// subscribed is a live subscription of a server to a service, made anew when
// the connection ended. What an older connection had shown counts no more.
func (t *Target) subscribed(ctx context.Context, n *node, svc service) (*subscription, error) {
	t.mu.Lock()
	s := t.subs[n]
	t.mu.Unlock()
	if s != nil && !s.alive() {
		t.log.WarnContext(ctx, "the subscription ended; subscribing again", "server", n.name, "err", s.err)
		t.drop(n, s)
		s = nil
	}
	if s == nil {
		fresh, err := t.dial(ctx, n)
		if err != nil {
			return nil, hint.Wrap(err, "consumers need this port too; `subscribe: false` asks over HTTP only, and says nothing about what is pushed")
		}
		t.mu.Lock()
		if s = t.subs[n]; s == nil {
			t.subs[n], s = fresh, fresh
		}
		t.mu.Unlock()
		if s != fresh {
			fresh.close()
		}
	}
	return s, s.subscribe(ctx, svc)
}

func (t *Target) drop(n *node, s *subscription) {
	t.mu.Lock()
	if t.subs[n] == s {
		delete(t.subs, n)
	}
	t.mu.Unlock()
	s.close()
}

// pushes reports whether subscribing makes sense: 1.x pushes over UDP to a
// port of the consumer, which flip does not open.
func (t *Target) pushes() bool { return t.cfg.subscribes() && t.client.known() != v1 }

// presubscribe subscribes before a write, so that the push is seen and not
// only an answer. Where it fails Settle tries again and says why: a way back
// must not depend on it.
func (t *Target) presubscribe(ctx context.Context, services []service) {
	if !t.pushes() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.timeout())
	defer cancel()
	var wg sync.WaitGroup
	for _, n := range t.client.nodes {
		wg.Go(func() {
			for _, svc := range services {
				if _, err := t.subscribed(ctx, n, svc); err != nil {
					t.log.WarnContext(ctx, "no subscription yet", "server", n.name, "err", err)
					return
				}
			}
		})
	}
	wg.Wait()
}
