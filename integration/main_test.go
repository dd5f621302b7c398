package integration

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/integration/estate"
)

// TestMain lets this program be a backend and its deploy command too: a SIGKILL is real only when it hits a process.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "flip" { // a story runs it as the command
		os.Exit(cmd.Main())
	}
	if code, ours := estate.Main(os.Args); ours {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
