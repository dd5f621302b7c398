package integration

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/cmd"
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
	goleak.VerifyTestMain(m)
}
