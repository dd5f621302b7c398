// Command docs writes docs/drivers.md and docs/gates.md. What a driver or a
// gate accepts is read from its configuration type, what can be set from the
// driver's Info, and the words from the comments of the fields.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/gate"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	written, err := pages(root)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(written[name]), 0o644); err != nil {
			return err
		}
		fmt.Println(name)
	}
	return nil
}

// pages returns the generated files by their path below root.
func pages(root string) (map[string]string, error) {
	src := newSource(root)
	drivers, err := driversPage(src, all.Drivers().All())
	if err != nil {
		return nil, err
	}
	gates, err := gatesPage(src, gate.Kinds().All())
	if err != nil {
		return nil, err
	}
	return map[string]string{"docs/drivers.md": drivers, "docs/gates.md": gates}, nil
}
