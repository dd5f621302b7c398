package nacostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	nacosgrpc "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/types/known/anypb"
)

// peer is one gRPC connection.
type peer struct {
	stream   nacosgrpc.BiRequestStream_RequestBiStreamServer // nil until it introduced itself
	services map[string]string                               // that it subscribed to, and as which application
	agent    string
	app      string
	pending  map[string]bool // a push of them is due
	send     chan *nacosgrpc.Payload
}

// newGRPC is the server of pushes. It knows which connection a call came on,
// as the real one does.
func (n *fakeNode) newGRPC() *grpc.Server {
	options := []grpc.ServerOption{grpc.StatsHandler(connections{n})}
	if n.fake.o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(n.fake.o.TLS)))
	}
	s := grpc.NewServer(options...)
	nacosgrpc.RegisterRequestServer(s, requests{node: n})
	nacosgrpc.RegisterBiRequestStreamServer(s, streams{node: n})
	return s
}

type connections struct{ node *fakeNode }

type connectionKey struct{}

func (c connections) TagConn(ctx context.Context, info *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, info.RemoteAddr.String())
}

func (c connections) HandleConn(ctx context.Context, s stats.ConnStats) {
	if _, ended := s.(*stats.ConnEnd); ended {
		c.node.fake.mu.Lock()
		delete(c.node.peers, connection(ctx))
		c.node.fake.removeOf(connection(ctx))
		c.node.fake.mu.Unlock()
	}
}

func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (connections) HandleRPC(context.Context, stats.RPCStats)                       {}

func connection(ctx context.Context) string {
	id, _ := ctx.Value(connectionKey{}).(string)
	return id
}

type requests struct {
	nacosgrpc.UnimplementedRequestServer
	node *fakeNode
}

// Request answers one call. The type of an answer is that of the request with
// Response in the place of Request.
func (r requests) Request(ctx context.Context, p *nacosgrpc.Payload) (*nacosgrpc.Payload, error) {
	f := r.node.fake
	f.mu.Lock()
	fault := f.due(r.node.index, "GRPC "+p.GetMetadata().GetType())
	f.mu.Unlock()
	if fault.Kind == Hang {
		select {
		case <-ctx.Done():
		case <-f.closed:
		}
		return nil, errors.New("hung")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch p.GetMetadata().GetType() {
	case "ServerCheckRequest":
		return pack("ServerCheckResponse", map[string]any{"resultCode": 200, "success": true, "connectionId": connection(ctx)}), nil
	case "HealthCheckRequest":
		return pack("HealthCheckResponse", map[string]any{"resultCode": 200, "success": true}), nil
	case "SubscribeServiceRequest":
		return r.subscribe(ctx, p), nil
	case "InstanceRequest":
		return r.instance(ctx, p), nil
	}
	return failure(302, "the stand-in takes no "+p.GetMetadata().GetType()), nil
}

func (r requests) subscribe(ctx context.Context, p *nacosgrpc.Payload) *nacosgrpc.Payload {
	f := r.node.fake
	peer := r.node.peers[connection(ctx)]
	if peer == nil {
		return failure(301, "Connection is unregistered.")
	}
	if !f.allowed("Bearer " + p.GetMetadata().GetHeaders()["accessToken"]) {
		return failure(403, "token invalid!")
	}
	var req struct {
		Namespace string `json:"namespace"`
		Service   string `json:"serviceName"`
		Group     string `json:"groupName"`
		Subscribe bool   `json:"subscribe"`
	}
	if err := json.Unmarshal(p.GetBody().GetValue(), &req); err != nil || req.Service == "" || req.Group == "" {
		return failure(500, "cannot read the request")
	}
	full := req.Group + "@@" + req.Service
	if req.Subscribe {
		peer.services[full] = peer.app
	} else {
		delete(peer.services, full)
	}
	s := f.services[full]
	if s == nil || orElse(req.Namespace, "public") != f.o.Namespace {
		s = &fakeService{group: req.Group, name: req.Service}
	}
	return pack("SubscribeServiceResponse", map[string]any{"resultCode": 200, "success": true, "serviceInfo": r.node.info(s)})
}

// instance is an owner that registers: its connection holds the registration.
func (r requests) instance(ctx context.Context, p *nacosgrpc.Payload) *nacosgrpc.Payload {
	f := r.node.fake
	if r.node.peers[connection(ctx)] == nil {
		return failure(301, "Connection is unregistered.")
	}
	if !f.allowed("Bearer " + p.GetMetadata().GetHeaders()["accessToken"]) {
		return failure(403, "token invalid!")
	}
	var req struct {
		Type      string `json:"type"`
		Namespace string `json:"namespace"`
		Service   string `json:"serviceName"`
		Group     string `json:"groupName"`
		Instance  struct {
			IP       string            `json:"ip"`
			Port     int               `json:"port"`
			Weight   float64           `json:"weight"`
			Healthy  bool              `json:"healthy"`
			Enabled  bool              `json:"enabled"`
			Cluster  string            `json:"clusterName"`
			Metadata map[string]string `json:"metadata"`
		} `json:"instance"`
	}
	err := json.Unmarshal(p.GetBody().GetValue(), &req)
	if err != nil || req.Type != "registerInstance" || req.Service == "" || req.Group == "" || orElse(req.Namespace, "public") != f.o.Namespace {
		return failure(500, "the stand-in cannot take this registration")
	}
	i := req.Instance
	f.register(f.service(req.Group+"@@"+req.Service), Instance{
		Address: net.JoinHostPort(i.IP, strconv.Itoa(i.Port)), Cluster: i.Cluster, Weight: i.Weight,
		Disabled: !i.Enabled, Unhealthy: !i.Healthy, Metadata: i.Metadata,
	}, connection(ctx), false)
	return pack("InstanceResponse", map[string]any{"resultCode": 200, "success": true, "type": req.Type})
}

type streams struct {
	nacosgrpc.UnimplementedBiRequestStreamServer
	node *fakeNode
}

// RequestBiStream carries the pushes of one connection and its answers.
func (s streams) RequestBiStream(stream nacosgrpc.BiRequestStream_RequestBiStreamServer) error {
	p, err := stream.Recv()
	if err != nil {
		return err
	}
	if p.GetMetadata().GetType() != "ConnectionSetupRequest" {
		return fmt.Errorf("the stand-in wants ConnectionSetupRequest first, not %s", p.GetMetadata().GetType())
	}
	me := &peer{stream: stream, services: map[string]string{}, pending: map[string]bool{}, send: make(chan *nacosgrpc.Payload, 100)}
	var setup struct {
		Version string            `json:"clientVersion"`
		Labels  map[string]string `json:"labels"`
	}
	_ = json.Unmarshal(p.GetBody().GetValue(), &setup) // one without a version is taken too
	me.agent, me.app = setup.Version, orElse(setup.Labels["AppName"], "-")
	f := s.node.fake
	f.mu.Lock()
	s.node.peers[connection(stream.Context())] = me
	f.mu.Unlock()
	gone := make(chan error, 1)
	go func() {
		for {
			if _, err := stream.Recv(); err != nil {
				gone <- err
				return
			}
		}
	}()
	for {
		select {
		case err := <-gone:
			return err
		case <-f.closed:
			return nil
		case p := <-me.send:
			if err := stream.Send(p); err != nil {
				return err
			}
		}
	}
}

// Detect asks every subscriber whether it is alive, as servers do.
func (f *Fake) Detect() { f.broadcast("ClientDetectionRequest") }

// Reset sends every subscriber away.
func (f *Fake) Reset() { f.broadcast("ConnectResetRequest") }

func (f *Fake) broadcast(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		for _, p := range n.peers {
			p.send <- pack(kind, map[string]any{"requestId": "1", "module": "internal"})
		}
	}
}

// Subscribers counts the connections that are subscribed to a service.
func (f *Fake) Subscribers(service string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.service(service)
	count := 0
	for _, n := range f.nodes {
		for _, p := range n.peers {
			if _, ok := p.services[s.group+"@@"+s.name]; ok {
				count++
			}
		}
	}
	return count
}

func (f *Fake) changedAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.services {
		f.changed(s)
	}
}

// changed pushes a service to its subscribers after the delay; changes until
// then go with it.
func (f *Fake) changed(s *fakeService) {
	full := s.group + "@@" + s.name
	for _, n := range f.nodes {
		for _, p := range n.peers {
			if _, ok := p.services[full]; !ok || p.pending[full] {
				continue
			}
			p.pending[full] = true
			time.AfterFunc(f.o.PushDelay, func() { n.pushTo(p, s, full) })
		}
	}
}

func (n *fakeNode) pushTo(p *peer, s *fakeService, full string) {
	f := n.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(p.pending, full)
	info := n.info(s)
	switch f.muted(n.index) {
	case MutePush:
		return
	case EmptyPush:
		info["hosts"] = []any{}
	}
	p.send <- pack("NotifySubscriberRequest", map[string]any{
		"requestId": fmt.Sprint(f.stamp), "namespace": f.o.Namespace,
		"serviceName": s.name, "groupName": s.group, "module": "naming", "serviceInfo": info,
	})
}

func failure(code int, text string) *nacosgrpc.Payload {
	return pack("ErrorResponse", map[string]any{"resultCode": 500, "errorCode": code, "success": false, "message": text})
}

func pack(kind string, body any) *nacosgrpc.Payload {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of texts and numbers always encode
	}
	return &nacosgrpc.Payload{Metadata: &nacosgrpc.Metadata{Type: kind}, Body: &anypb.Any{Value: b}}
}
