package nacostest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// StartRNacos starts r-nacos for a test, an independent implementation of the
// protocol, which ends with it. Owners, Set and Get work as of a 2.x. It is
// skipped loudly where the real servers were not asked for (FLIP_NACOS=real),
// and where its program is not in the cache: building that takes half an hour,
// so only FLIP_RNACOS=1 does.
func StartRNacos(tb testing.TB) *Real {
	tb.Helper()
	if os.Getenv("FLIP_NACOS") != "real" {
		tb.Skip("NOT TESTED ON R-NACOS: FLIP_NACOS=real runs it where its program is there")
	}
	script, err := scriptPath("scripts/servers/nacos/fetch-rnacos")
	if err != nil {
		tb.Fatal(err)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(tb.Context(), script)
	cmd.Stderr = &said
	path, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		tb.Skipf("NOT TESTED ON R-NACOS: %s", bytes.TrimSpace(said.Bytes()))
	}
	if err != nil {
		tb.Fatalf("%s: %v: %s", script, err, &said)
	}
	r := &Real{Version: "r-nacos", home: tb.TempDir()}
	if err := r.place(); err != nil {
		tb.Fatal(err)
	}
	ctx := context.WithoutCancel(tb.Context())
	if err := r.launchRNacos(ctx, strings.TrimSpace(string(path))); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Stop)
	return r
}

func (r *Real) launchRNacos(ctx context.Context, path string) error {
	cmd := exec.Command(path)
	cmd.Dir = r.home
	cmd.Env = []string{
		"RNACOS_SDK_HOST=127.0.0.1", "RNACOS_CONSOLE_HOST=127.0.0.1", "RNACOS_DATA_DIR=" + r.home,
		fmt.Sprintf("RNACOS_HTTP_PORT=%d", r.port), fmt.Sprintf("RNACOS_GRPC_PORT=%d", r.GRPCPort), fmt.Sprintf("RNACOS_HTTP_CONSOLE_PORT=%d", r.port-1000),
	}
	var err error
	if r.proc, err = startReal(ctx, cmd, &r.log); err != nil {
		return err
	}
	booting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = r.await(booting, func() error {
		answer, status, err := r.do(booting, http.MethodGet, "/health", nil, "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", status, answer)
		}
		return err
	})
	if err != nil {
		r.Kill()
	}
	return err
}
