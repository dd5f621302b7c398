//go:build unix

package haproxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheOwnerOfASocketIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if got := ownerHint(path); !strings.HasPrefix(got, "the socket belongs to ") || !strings.Contains(got, "mode 640; run flip as that group or ") {
		t.Errorf("got %q", got)
	}
}
