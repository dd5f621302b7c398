package nacos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	nacosgrpc "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

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
