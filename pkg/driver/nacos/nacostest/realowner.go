package nacostest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	nacosgrpc "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Owner is an application that registered one ephemeral instance over gRPC and
// keeps its connection: what the SDKs do, without their goroutines.
type Owner struct {
	conn *grpc.ClientConn
	end  context.CancelFunc
	wg   sync.WaitGroup
}

// Own registers i as an ephemeral instance of the service ("name" or
// "GROUP@@name") and keeps it registered until the test ends or Leave.
func (r *Real) Own(tb testing.TB, service string, i Instance) *Owner {
	tb.Helper()
	o, err := r.Join(context.WithoutCancel(tb.Context()), service, i)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(o.Leave)
	return o
}

// Join is Own for whoever leaves by himself: Leave must be called.
func (r *Real) Join(ctx context.Context, service string, i Instance) (*Owner, error) {
	token, err := r.Login(ctx)
	if err != nil {
		return nil, err
	}
	o, err := newOwner(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(r.GRPCPort)), token, orElse(r.Namespace, "public"), service, i)
	if err != nil {
		return nil, fmt.Errorf("register %s at nacos %s: %w", i.Address, r.Version, err)
	}
	return o, nil
}

// Join registers i over gRPC at the first node, as an application does. The
// registration ends with Leave.
func (f *Fake) Join(ctx context.Context, service string, i Instance) (*Owner, error) {
	o, err := newOwner(ctx, f.nodes[0].grpc, "", f.o.Namespace, service, i)
	if err != nil {
		return nil, fmt.Errorf("register %s at the stand-in: %w", i.Address, err)
	}
	return o, nil
}

// Leave closes the connection: the instance is gone, without a word of the
// owner. It may be called again.
func (o *Owner) Leave() {
	o.end()
	_ = o.conn.Close()
	o.wg.Wait()
}

func newOwner(ctx context.Context, address, token, namespace, service string, i Instance) (*Owner, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	o := &Owner{conn: conn, end: end}
	if err := o.register(ctx, token, namespace, service, i); err != nil {
		o.Leave()
		return nil, err
	}
	return o, nil
}

// register does what a client does: a check, the stream of the server's own
// requests, the registration. The server sets the connection up behind the
// stream without an answer on 2.x, so the registration is tried until it is.
func (o *Owner) register(ctx context.Context, token, namespace, service string, i Instance) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := o.ask(ctx, "ServerCheckRequest", map[string]any{"module": "internal"}, token); err != nil {
		return err
	}
	if err := o.stream(); err != nil {
		return err
	}
	group, name := splitService(service)
	host, portText, err := net.SplitHostPort(i.Address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return err
	}
	body := map[string]any{
		"module": "naming", "type": "registerInstance", "namespace": namespace, "serviceName": name, "groupName": group,
		"instance": map[string]any{
			"ip": host, "port": port, "weight": i.Weight, "healthy": !i.Unhealthy, "enabled": !i.Disabled, "ephemeral": true,
			"clusterName": orElse(i.Cluster, "DEFAULT"), "serviceName": name, "metadata": orEmpty(i.Metadata),
		},
	}
	for {
		_, err := o.ask(ctx, "InstanceRequest", body, token)
		if err == nil {
			o.live()
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stream answers what the server asks, which else takes the client for dead.
func (o *Owner) stream() error {
	ctx, cancel := context.WithCancel(context.Background())
	end := o.end
	o.end = func() { cancel(); end() }
	s, err := nacosgrpc.NewBiRequestStreamClient(o.conn).RequestBiStream(ctx)
	if err != nil {
		return err
	}
	if err := s.Send(payload("ConnectionSetupRequest", map[string]any{
		"clientVersion": "Nacos-Go-Client:v2.3.5", "tenant": "public",
		"labels": map[string]string{"source": "sdk", "module": "naming"}, "module": "internal",
	}, "")); err != nil {
		return err
	}
	o.wg.Go(func() {
		for {
			p, err := s.Recv()
			if err != nil {
				return
			}
			var asked struct {
				ID string `json:"requestId"`
			}
			_ = json.Unmarshal(p.GetBody().GetValue(), &asked)
			kind := p.GetMetadata().GetType()
			answer := kind[:max(0, len(kind)-len("Request"))] + "Response"
			if s.Send(payload(answer, map[string]any{"requestId": asked.ID, "resultCode": 200, "success": true}, "")) != nil {
				return
			}
		}
	})
	return nil
}

// live says every 5 s, as the SDKs do, that the client is there. Of one that is
// silent for 20 s the server asks whether it is, and a busy machine may be too
// slow to answer.
func (o *Owner) live() {
	ctx, cancel := context.WithCancel(context.Background())
	end := o.end
	o.end = func() { cancel(); end() }
	o.wg.Go(func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, _ = o.ask(ctx, "HealthCheckRequest", map[string]any{"module": "internal"}, "")
			}
		}
	})
}

func (o *Owner) ask(ctx context.Context, kind string, body map[string]any, token string) (*nacosgrpc.Payload, error) {
	p, err := nacosgrpc.NewRequestClient(o.conn).Request(ctx, payload(kind, body, token))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	var answer struct {
		Success bool   `json:"success"`
		Code    int    `json:"resultCode"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(p.GetBody().GetValue(), &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if !answer.Success && answer.Code != http.StatusOK {
		return nil, fmt.Errorf("%s: %s (%s)", kind, answer.Message, p.GetMetadata().GetType())
	}
	return p, nil
}

// payload is pack with what the real server wants to know of a client.
func payload(kind string, body map[string]any, token string) *nacosgrpc.Payload {
	p := pack(kind, body)
	p.Metadata.ClientIp = "127.0.0.1"
	p.Metadata.Headers = map[string]string{"app": "flip", "accessToken": token}
	return p
}
