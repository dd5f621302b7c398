// Command ab shows A/B releases of base services over SLB, ALB and Nacos with
// flip: two good ones, one each way, a bad one that goes back by itself, and
// for comparison one as the method is usually written down. It counts what
// clients would have felt.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/flip-cli/flip/integration/ab"
	"github.com/flip-cli/flip/integration/cli"
	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func main() {
	if code, ours := estate.Main(os.Args); ours {
		os.Exit(code)
	}
	asJSON := flag.Bool("json", false, "print the table as one line of JSON, the last")
	nacos := flag.String("nacos", "2.5.0", "the official Nacos to run, or stand-in")
	websockets := flag.Int("websockets", 200, "clients with a websocket")
	flag.Parse()
	if err := run(context.Background(), *asJSON, *nacos, *websockets, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "ab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, asJSON bool, nacos string, websockets int, out io.Writer) error {
	dir, err := os.MkdirTemp("", "flip-ab")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	say := func(format string, args ...any) { fmt.Fprintf(out, "\n== "+format+"\n", args...) }
	flip, err := cli.Build(ctx, dir, out, ab.Environment()...)
	if err != nil {
		return err
	}
	registry, stop, err := register(ctx, nacos, dir)
	if err != nil {
		return err
	}
	defer stop()
	e, err := ab.Start(ctx, dir, ab.Config{
		Registry: registry, Cache: 3 * time.Second, BadVersions: []string{"v4"},
		Timing: slbtest.Timing{Job: 500 * time.Millisecond, Lag: 200 * time.Millisecond, Overlap: 300 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	defer e.Stop()
	say("Up: 2+2 gateways behind SLB, 2+2 websocket servers behind ALB, 2+2 services in %s. SLB and ALB are the stand-in; HAProxy carries their traffic.", registry.Name)
	play := ab.Play{
		Estate: e, Flip: flip.Call, Say: say, Plan: "plans/ab-release.yaml", Websockets: websockets,
		Vars: []string{"cache=dubbo", "hold=2s", "drain=60s", "healthy=10s"},
	}
	rows, err := play.Run(ctx)
	if err != nil {
		return err
	}
	say("The same by hand, for comparison: both weights in one call, and the upgrade at once.")
	control, err := play.Literal(ctx)
	if err != nil {
		return err
	}
	return table(out, registry.Name, rows, control, asJSON)
}

func register(ctx context.Context, version, dir string) (ab.Registry, func(), error) {
	if version == "stand-in" {
		return ab.StandIn()
	}
	r, stop, err := ab.Official(ctx, dir+"/nacos", version)
	if err != nil {
		return r, nil, fmt.Errorf("%w\n  hint: -nacos stand-in goes without the official server", err)
	}
	return r, stop, nil
}

// table prints what clients felt. Anything but zero in a release is an error,
// and so is a control that lost nothing: then this show proves nothing.
func table(out io.Writer, registry string, rows []ab.Row, control ab.Row, asJSON bool) error {
	fmt.Fprintf(out, "\nNacos: %s\n", registry)
	var errs []error
	for _, r := range rows {
		fmt.Fprintln(out, r)
		if r.Failed > 0 || r.Dropped > 0 {
			errs = append(errs, fmt.Errorf("%s: %d requests failed, %d websockets were dropped\n%s", r.Name, r.Failed, r.Dropped, strings.Join(r.Examples, "\n")))
		}
	}
	fmt.Fprintf(out, "control: %s\n", control)
	if control.Failed == 0 || control.Dropped == 0 {
		errs = append(errs, errors.New("the control lost nothing: the harness cannot see a loss"))
	}
	if asJSON {
		line, err := json.Marshal(struct {
			Releases []ab.Row `json:"releases"`
			Control  ab.Row   `json:"control"`
		}{rows, control})
		if err != nil {
			return err
		}
		fmt.Fprintln(out, string(line))
	}
	return errors.Join(errs...)
}
