package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// up runs the command until the test ends and returns what it printed, by the
// first word of the lines.
func up(t *testing.T, args ...string) map[string][]string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, writer, io.Discard)
		writer.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("aliyun: %v", err)
		}
	})
	said := map[string][]string{}
	all := make([]byte, 0, 4096)
	for !bytes.Contains(all, []byte("ready\n")) {
		part := make([]byte, 4096)
		n, err := reader.Read(part)
		if err != nil {
			t.Fatalf("aliyun ended after %q", all)
		}
		all = append(all, part[:n]...)
	}
	for line := range strings.Lines(string(all)) {
		words := strings.Fields(line)
		said[words[0]] = append(said[words[0]], strings.Join(words[1:], " "))
	}
	return said
}

// client is a real SDK client of the command.
func client(t *testing.T, said map[string][]string, secret string) *slb.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := sdk.NewConfig()
	cfg.Scheme, cfg.Transport = "HTTP", only{transport}
	c, err := slb.NewClientWithOptions("cn-hangzhou", cfg, credentials.NewAccessKeyCredential(said["key"][0], secret))
	if err != nil {
		t.Fatal(err)
	}
	c.Domain = strings.TrimPrefix(said["endpoint"][0], "http://")
	return c
}

// only hides that it is an *http.Transport, which the SDK would change.
type only struct{ http.RoundTripper }

func get(t *testing.T, addr string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := c.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}

func TestTheSmallEstateServesWithMembersOfItsOwn(t *testing.T) {
	said := up(t, "-lag", "1ms")
	if len(said["listener"]) != 3 || len(said["name-server"]) != 1 {
		t.Fatalf("said %v", said)
	}
	id, addr, _ := strings.Cut(said["listener"][1], " ")
	if id != "lsn-ws" && id != "lb-gw/http:80" {
		t.Fatalf("listener %q", id)
	}
	if got := get(t, addr); !strings.HasPrefix(got, "i-a") {
		t.Errorf("traffic at %q, want side a", got)
	}
	r := slb.CreateDescribeVServerGroupAttributeRequest()
	r.VServerGroupId = "rsp-web"
	answer, err := client(t, said, slbtest.DefaultKey.Secret).DescribeVServerGroupAttribute(r)
	if err != nil || len(answer.BackendServers.BackendServer) != 4 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestARealHAProxyFollowsTheAPI(t *testing.T) {
	dir := t.TempDir()
	at := [4]string{}
	addresses, stop, err := serveMembers()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	copy(at[:], addresses[:])
	front := haproxytest.Start(t, haproxytest.Config{Backends: []haproxytest.Backend{{
		Name: "be", NoCheck: true,
		Servers: []haproxytest.Member{{Name: "a", Address: at[0], Weight: 1}, {Name: "b", Address: at[2], Weight: 1}},
	}}})
	estate := slbtest.Estate{CLB: []slbtest.CLB{{
		ID: "lb-1", Listeners: []slbtest.CLBListener{{Port: 80, Protocol: "http", Group: "rsp-1"}},
		Groups: []slbtest.Group{{ID: "rsp-1", Members: []slbtest.Member{
			{ServerID: "i-a", Port: 80, Weight: 100, Address: at[0]}, {ServerID: "i-b", Port: 80, Address: at[2]},
		}}},
	}}}
	b, err := json.Marshal(estate)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "estate.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	said := up(t, "-estate", file, "-lag", "1ms", "-secret", "own", "-haproxy", front.Socket,
		"-name", "lb-1/http:80,rsp-1/i-a:80,be/a", "-name", "lb-1/http:80,rsp-1/i-b:80,be/b")
	for range 5 {
		if got := get(t, front.Front); got != "i-a1" {
			t.Fatalf("before: HAProxy sends to %q", got)
		}
	}
	set := func(servers string) {
		r := slb.CreateSetVServerGroupAttributeRequest()
		r.VServerGroupId, r.BackendServers = "rsp-1", servers
		if _, err := client(t, said, "own").SetVServerGroupAttribute(r); err != nil {
			t.Fatal(err)
		}
	}
	set(`[{"ServerId":"i-a","Port":80,"Weight":0},{"ServerId":"i-b","Port":80,"Weight":100}]`)
	until(t, "HAProxy sends to side b", func() bool { return get(t, front.Front) == "i-b1" })
	for range 5 {
		if got := get(t, front.Front); got != "i-b1" {
			t.Fatalf("after: HAProxy sends to %q", got)
		}
	}
	set(`[{"ServerId":"i-b","Port":80,"Weight":0}]`)
	until(t, "requests fail with all weights 0", func() bool { return strings.Contains(get(t, front.Front), "503") })
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for name, args := range map[string][]string{
		"an address that is not loopback": {"-addr", "0.0.0.0:0"},
		"three members":                   {"-members", ":1,:2,:3"},
		"a name without a socket":         {"-name", "l,m,be/s"},
		"a name of another form":          {"-haproxy", "x", "-name", "l,m"},
		"an argument":                     {"x"},
		"both estates":                    {"-estate", "x", "-members", ":1,:2,:3,:4"},
		"no such file":                    {"-estate", filepath.Join(t.TempDir(), "none")},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestThePrintedEstateCanBeRead(t *testing.T) {
	var b bytes.Buffer
	if err := run(t.Context(), []string{"-print-estate"}, &b, io.Discard); err != nil {
		t.Fatal(err)
	}
	if e, err := slbtest.ParseEstate(b.Bytes()); err != nil || len(e.ALBGroups) != 3 {
		t.Errorf("%+v, %v", e, err)
	}
}
