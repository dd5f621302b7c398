package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/integration/ab"
	"github.com/flip-cli/flip/integration/estate"
)

// TestMain lets this program be flip, a backend and its deploy command too: a SIGKILL is real only when it hits a process.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "flip" { // a story runs it as the command
		os.Exit(cmd.Main())
	}
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(childMain(os.Args[2:]))
	}
	if code, ours := estate.Main(os.Args); ours {
		os.Exit(code)
	}
	// The cloud's SDK looks for keys in this process's environment, and elsewhere only if it finds none. A child that was
	// built with -race would sleep a second when it ends.
	for _, kv := range append(ab.Environment(), "GORACE=atexit_sleep_ms=0") {
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}
