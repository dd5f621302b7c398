package engine_test

import (
	"os"
	"testing"
)

func writeFile(path string) error { return os.WriteFile(path, nil, 0o600) }

// quickDir is in memory where the system has a place for that: thousands of
// runs would wait for the disk else.
func quickDir(t testing.TB) string {
	t.Helper()
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err != nil || !info.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "flip-test-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func writeText(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}
