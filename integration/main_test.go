package integration

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/integration/traffic"
)

// TestMain lets this program be a backend too: a SIGKILL is real only when it hits a process.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "flip" { // a story runs it as the command
		os.Exit(cmd.Main())
	}
	if len(os.Args) > 1 && os.Args[1] == traffic.Arg {
		os.Exit(traffic.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
