package nacos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	nacosgrpc "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"github.com/nacos-group/nacos-sdk-go/v2/common/constant"
	"github.com/nacos-group/nacos-sdk-go/v2/common/remote/rpc/rpc_request"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
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
	hello.Labels = map[string]string{constant.LABEL_SOURCE: constant.LABEL_SOURCE_SDK, constant.LABEL_MODULE: constant.LABEL_MODULE_NAMING, "AppName": subscriberApp}
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
		headers := map[string]string{"app": subscriberApp}
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
