package nacostest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RealVersions are the versions of the official server that RealServer can
// fetch: one for each generation of which a build can be had. Nobody publishes
// a 1.x that can be fetched.
var RealVersions = []string{"2.5.0", "3.1.0"}

// ErrNotHere says that the real server cannot be had on this machine: no Java,
// no Maven, or no network and nothing in the cache.
var ErrNotHere = errors.New("the real Nacos server cannot be had here")

// Real is a process of the official server in standalone mode, without its
// console. Its addresses and its data stay the same over Restart. HTTP listens
// on loopback; so does gRPC on 3.x, while gRPC on 2.x and Raft on both listen
// everywhere and have no setting for it.
type Real struct {
	// URL is "http://127.0.0.1:port", without the context path /nacos.
	URL string
	// GRPCPort is the port of URL plus 1000, as clients expect.
	GRPCPort int
	// Version is the one that was asked for.
	Version string
	// Username and Password are an administrator's; empty without WithAuth.
	Username, Password string
	// Namespace is where Own, Persist, Set, Remove and Get work; public when
	// empty. A test may change it.
	Namespace string
	// Boot is how long the last start took.
	Boot time.Duration

	cfg  realConfig
	port int
	home string
	dist dist
	log  realLog
	proc *realProcess

	mu    sync.Mutex
	token string
}

// RealOption changes how a Real runs.
type RealOption func(*realConfig)

type realConfig struct {
	auth       bool
	properties []string
}

// WithAuth wants a login for every call, and makes the first user.
func WithAuth() RealOption { return func(c *realConfig) { c.auth = true } }

// WithProperty sets a line of application.properties.
func WithProperty(key, value string) RealOption {
	return func(c *realConfig) { c.properties = append(c.properties, key+"="+value) }
}

// WithKeep sets how long the server remembers what an operator set on an
// instance whose owner is gone, which is 60 s otherwise.
func WithKeep(d time.Duration) RealOption {
	ms := fmt.Sprint(d.Milliseconds())
	return func(c *realConfig) {
		c.properties = append(c.properties, "nacos.naming.clean.expired-metadata.expired-time="+ms,
			"nacos.naming.clean.expired-metadata.interval="+ms)
	}
}

// RunReal fetches the version if it is not in the cache, starts it with its
// home in dir and returns when it answers. It is killed when ctx ends; Stop
// must be called in any case. The error is ErrNotHere when there is no server
// to start.
func RunReal(ctx context.Context, dir, version string, options ...RealOption) (*Real, error) {
	d, err := fetchReal(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("run nacos %s: %w", version, err)
	}
	r := &Real{Version: version, home: dir, dist: d}
	for _, o := range options {
		o(&r.cfg)
	}
	for attempt := 1; ; attempt++ {
		err = r.first(ctx)
		if err == nil {
			return r, nil
		}
		r.Stop()
		if attempt == 3 || !r.log.contains("already in use") {
			return nil, fmt.Errorf("run nacos %s: %w", version, err)
		}
	}
}

// StartReal is RunReal for a test: the server ends with it, and its log is
// shown when the test fails. The official servers are asked for with
// FLIP_NACOS=real (make nacos), since a boot takes minutes on a busy machine;
// the same promises are tested on the stand-in anyway. Where they are asked
// for and cannot be had the test fails when CI=true.
func StartReal(tb testing.TB, version string, options ...RealOption) *Real {
	tb.Helper()
	if os.Getenv("FLIP_NACOS") != "real" {
		tb.Skip("NOT TESTED ON THE OFFICIAL SERVER, ONLY ON THE STAND-IN: make nacos runs it")
	}
	r, err := RunReal(context.WithoutCancel(tb.Context()), tb.TempDir(), version, options...)
	if errors.Is(err, ErrNotHere) && os.Getenv("CI") != "true" {
		tb.Skipf("NOT TESTED ON THE REAL SERVER, ONLY ON THE STAND-IN: %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		r.Stop()
		if tb.Failed() {
			tb.Logf("nacos %s said:\n%s", version, r.log.last(60))
		}
	})
	tb.Logf("official nacos %s at %s, gRPC %d, up after %.1f s", version, r.URL, r.GRPCPort, r.Boot.Seconds())
	return r
}

// Log returns what the server wrote to its standard streams since its start.
func (r *Real) Log() string { return r.log.String() }

// PID is the server's process, 0 when it does not run.
func (r *Real) PID() int {
	if r.proc == nil || r.proc.ended() {
		return 0
	}
	return r.proc.pid
}

// Stop asks the server to end and kills it when it does not. It may be called
// again.
func (r *Real) Stop() { r.halt() }

// Kill is a machine that is gone. Restart brings it back.
func (r *Real) Kill() {
	if r.proc == nil {
		return
	}
	r.proc.signalGroup(syscall.SIGKILL)
	<-r.proc.done
	if r.proc.archive != "" {
		_ = os.Remove(r.proc.archive) // half of one, of a server that failed to start
	}
}

// Restart ends the server if it runs and starts it again on the same ports.
// Instances of owners are gone until those are back.
func (r *Real) Restart(ctx context.Context) error {
	r.halt()
	if err := r.launch(ctx); err != nil {
		return fmt.Errorf("restart nacos %s: %w", r.Version, err)
	}
	return nil
}

func (r *Real) first(ctx context.Context) error {
	if err := r.place(); err != nil {
		return err
	}
	if err := r.writeConfig(); err != nil {
		return err
	}
	if err := r.launch(ctx); err != nil {
		return err
	}
	if !r.cfg.auth {
		return nil
	}
	return r.makeAdmin(ctx)
}

// makeAdmin gives the first user its password, which works once. Since 2.4.0
// there is none by default.
func (r *Real) makeAdmin(ctx context.Context) error {
	path := "/nacos/v1/auth/users/admin"
	if r.generation() >= 3 {
		path = "/nacos/v3/auth/user/admin"
	}
	const password = "only for a test"
	answer, status, err := r.do(ctx, http.MethodPost, path, url.Values{"password": {password}}, "")
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("make the first user: %s (status %d, %w)", answer, status, err)
	}
	r.Username, r.Password = "nacos", password
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return r.await(ctx, func() error {
		_, err := r.Login(ctx)
		return err
	})
}

// generation is 2 or 3.
func (r *Real) generation() int {
	if r.Version[0] == '3' {
		return 3
	}
	return 2
}

// ready is nil when the server serves. Both answers need no login.
func (r *Real) ready(ctx context.Context) error {
	path := "/nacos/v1/console/server/state"
	if r.generation() >= 3 {
		path = "/nacos/v3/admin/core/state/readiness"
	}
	answer, status, err := r.do(ctx, http.MethodGet, path, nil, "")
	switch {
	case err != nil:
		return err
	case status != http.StatusOK:
		return fmt.Errorf("%s: status %d: %s", path, status, strings.TrimSpace(answer))
	case !r.log.contains("started successfully"):
		return errors.New("it has not said yet that it has started")
	}
	return nil
}
