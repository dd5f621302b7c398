// Command aliyun runs the stand-in for Aliyun's SLB, ALB, NLB and DNS APIs in
// the foreground, on loopback, with traffic behind it. `-h` says how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

const usage = `aliyun runs a stand-in for the Aliyun APIs that flip speaks (SLB, ALB, NLB,
Alidns; RPC v1) until it gets SIGINT or SIGTERM. It listens on loopback only and
was built from documentation: it is not the cloud.

  go run ./scripts/servers/aliyun                       a small estate with four members of its own
  go run ./scripts/servers/aliyun -estate estate.json   your own; -print-estate shows the form
  go run ./scripts/servers/aliyun -members :8081,:8082,:8083,:8084
                                                        the small estate in front of your servers

It prints one "name value" a line: the endpoint, the key, the name servers, and
where each listener takes traffic. With -haproxy the weights also go to a real
HAProxy; -name LISTENER,MEMBER,BACKEND/SERVER, once for each server, says where:

  -haproxy /run/haproxy/admin.sock -name lb-gw/http:80,rsp-web/i-a1:8080,be_web/web1

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "aliyun:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	options slbtest.Options
	key     slbtest.Key
	estate  string
	members string
	tls     bool
	ca      string
	haproxy string
	names   names
	print   bool
}

// names collects -name.
type names map[string]map[string]string

func (n names) String() string { return "" }

// Set implements flag.Value.
func (n names) Set(text string) error {
	parts := strings.Split(text, ",")
	if len(parts) != 3 || !strings.Contains(parts[2], "/") {
		return fmt.Errorf("%q is not LISTENER,MEMBER,BACKEND/SERVER", text)
	}
	if n[parts[0]] == nil {
		n[parts[0]] = map[string]string{}
	}
	n[parts[0]][parts[1]] = parts[2]
	return nil
}

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{names: names{}}
	flags := flag.NewFlagSet("aliyun", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&s.options.Addr, "addr", "127.0.0.1:0", "loopback `address` of plain HTTP")
	flags.StringVar(&s.options.TLSAddr, "tls-addr", "127.0.0.1:0", "loopback `address` of HTTPS")
	flags.BoolVar(&s.tls, "tls", false, "refuse plain HTTP, as the cloud can")
	flags.StringVar(&s.ca, "ca", "", "write the certificate to trust to this `file`")
	flags.StringVar(&s.key.ID, "key", slbtest.DefaultKey.ID, "access key `id`")
	flags.StringVar(&s.key.Secret, "secret", slbtest.DefaultKey.Secret, "access key `secret`")
	flags.StringVar(&s.key.Token, "token", "", "security `token`: makes it an STS key")
	flags.StringVar(&s.options.Region, "region", "cn-hangzhou", "the only `region`")
	flags.StringVar(&s.estate, "estate", "", "JSON `file` with what there is; default a small estate")
	flags.StringVar(&s.members, "members", "", "four `addresses` with commas between, of i-a1, i-a2, i-b1 and i-b2 of the small estate")
	flags.BoolVar(&s.print, "print-estate", false, "print the small estate as JSON and end")
	flags.StringVar(&s.haproxy, "haproxy", "", "runtime `socket` of a HAProxy to steer")
	flags.Var(s.names, "name", "`LISTENER,MEMBER,BACKEND/SERVER`: a server of that HAProxy; may be repeated")
	flags.IntVar(&s.options.NameServers, "name-servers", 1, "`number` of name servers for the zones")
	t := &s.options.Timing
	flags.DurationVar(&t.Job, "job", 2*time.Second, "how long an ALB or NLB job runs")
	flags.DurationVar(&t.Lag, "lag", 200*time.Millisecond, "how much later traffic follows")
	flags.DurationVar(&t.Overlap, "overlap", 0, "for how long a CLB is busy after a write")
	flags.DurationVar(&t.Probe, "probe", time.Second, "pause between health checks")
	flags.DurationVar(&t.DNS, "dns-lag", time.Second, "how much later name servers follow")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected %q", flags.Arg(0))
	}
	if s.estate != "" && s.members != "" {
		return s, errors.New("-members is for the small estate: give it or -estate")
	}
	if (s.haproxy == "") != (len(s.names) == 0) {
		return s, errors.New("-haproxy and -name belong together")
	}
	return s, nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if s.print {
		return printEstate(stdout)
	}
	stop, err := s.fill()
	if err != nil {
		return err
	}
	defer stop()
	proxy := plane.NewProxy(plane.ProxyOptions{})
	s.options.Keys, s.options.PlainHTTP, s.options.Planes = []slbtest.Key{s.key}, !s.tls, []plane.Plane{proxy}
	if s.haproxy != "" {
		s.options.Planes = append(s.options.Planes, plane.NewHAProxy(s.haproxy, s.names))
	}
	server, err := slbtest.New(s.options)
	if err != nil {
		return err
	}
	if err := s.announce(server, proxy, stdout); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ctx.Done()
	return server.Close()
}
