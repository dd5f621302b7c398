// Command demo shows flip at work on a real HAProxy: a release under load, a
// bad release that goes back by itself, and a rollback by hand. It counts what
// users would have felt.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/flip-cli/flip/integration/cli"
	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

func main() {
	if code, ours := estate.Main(os.Args); ours {
		os.Exit(code)
	}
	asJSON := flag.Bool("json", false, "print the last table as one line of JSON")
	flag.Parse()
	if err := run(context.Background(), *asJSON, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, asJSON bool, out io.Writer) error {
	dir, err := os.MkdirTemp("", "flip-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := demo{out: out}
	if d.flip, err = cli.Build(ctx, dir, out); err != nil {
		return err
	}
	d.estate, err = estate.Start(ctx, dir, estate.Config{
		Servers: []estate.Server{
			{Name: "web1", Version: "v1", Weight: 100},
			{Name: "web2", Version: "v1", Weight: 100},
			{Name: "web3", Version: "v1"},
			{Name: "web4", Version: "v1"},
		},
		HAProxy:     haproxytest.Config{CheckInterval: 200 * time.Millisecond},
		BadVersions: map[string]float64{"v3": 0.2},
	})
	if err != nil {
		return err
	}
	defer d.estate.Stop()
	return d.play(ctx, asJSON)
}

// demo is the stage: an estate under load.
type demo struct {
	flip   cli.Flip
	estate *estate.Estate
	out    io.Writer
	load   *traffic.Load
}

func (d *demo) play(ctx context.Context, asJSON bool) error {
	d.say("HAProxy with web1, web2 (blue, v1, live) and web3, web4 (green, idle) is up at %s; clients begin.", d.estate.Front())
	cfg := traffic.Usual(d.estate.Front())
	cfg.Websockets, cfg.SlowFor = 6, 300*time.Millisecond
	d.load = traffic.Start(ctx, cfg)
	stop := func() traffic.Result { return d.load.Stop() }
	defer func() { stop() }()

	release := []string{"plans/quickstart.yaml", "--var", "socket=" + d.estate.Socket(), "--var", "deploy=" + d.estate.Deploy, "--var", "hold=1500ms", "--var", "drain=2s"}
	d.say("1. What would a release of v2 do? Nothing is changed yet.")
	if err := d.flip.Call(ctx, 0, append([]string{"plan", "--var", "version=v2"}, release...)...); err != nil {
		return err
	}
	d.say("2. The release of v2, under load.")
	d.load.Phase("release v2")
	if err := d.flip.Call(ctx, 0, append([]string{"run", "--yes", "--var", "version=v2"}, release...)...); err != nil {
		return err
	}
	good, err := d.newest(ctx)
	if err != nil {
		return err
	}
	d.say("3. v3 is bad: a fifth of its answers fail. The gate sees it and flip goes back by itself.")
	d.load.Phase("bad v3")
	if err := d.flip.Call(ctx, 10, append([]string{"run", "--yes", "--var", "version=v3"}, release...)...); err != nil {
		return err
	}
	d.say("4. Somebody wants v1 back: flip rollback of the first release.")
	d.load.Phase("rollback to v1")
	if err := d.flip.Call(ctx, 0, "rollback", "--yes", good); err != nil {
		return err
	}
	d.say("5. What happened here:")
	if err := d.flip.Call(ctx, 0, "list"); err != nil {
		return err
	}
	result := stop()
	stop = func() traffic.Result { return result }
	return d.table(result, asJSON)
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "\n== "+format+"\n", args...)
}

// newest is the id of the newest run.
func (d *demo) newest(ctx context.Context) (string, error) {
	out, err := d.flip.Command(ctx, "list", "-o", "json").Output()
	if err != nil {
		return "", err
	}
	var rows []struct {
		Run string `json:"run"`
	}
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) == 0 {
		return "", fmt.Errorf("flip list: %w: %s", err, out)
	}
	return rows[0].Run, nil
}

// row is one phase of the last table.
type row struct {
	Name     string  `json:"name"`
	Requests int64   `json:"requests"`
	Failed   int64   `json:"failed"`
	Cut      int64   `json:"websockets_cut"`
	Seconds  float64 `json:"seconds"`
}
