// Package secret keeps credentials out of everything that flip writes. A plan
// holds references (${env:NAME}, ${file:PATH}, ${cmd:...}); they are resolved
// when a call needs them, and every value that was ever resolved is known to
// the Redactor, which all output passes through.
package secret

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/hint"
)

// Ref is text that may hold references. It is safe to print and to store:
// it is the reference, never the value.
type Ref string

var reference = regexp.MustCompile(`\$\{(env|file|cmd):([^}]+)\}`)

// IsRef reports whether s holds at least one reference.
func IsRef(s string) bool { return reference.MatchString(s) }

// Resolver turns references into values. The zero Resolver is not usable; use
// NewResolver.
type Resolver struct {
	// Getenv looks up an environment variable; os.LookupEnv by default.
	Getenv func(string) (string, bool)
	// Redactor learns every value that is resolved.
	Redactor *Redactor
}

// NewResolver resolves from the process environment, the file system and
// commands.
func NewResolver(r *Redactor) *Resolver {
	return &Resolver{Getenv: os.LookupEnv, Redactor: r}
}

// Resolve replaces every reference in ref. A missing variable, an unreadable
// file or a failing command is an error that names the reference only.
func (r *Resolver) Resolve(ctx context.Context, ref Ref) (string, error) {
	var failed error
	out := reference.ReplaceAllStringFunc(string(ref), func(m string) string {
		parts := reference.FindStringSubmatch(m)
		v, err := r.one(ctx, parts[1], parts[2])
		if err != nil && failed == nil {
			failed = fmt.Errorf("secret %s: %w", m, err)
		}
		r.Redactor.Add(v)
		return v
	})
	return out, failed
}

func (r *Resolver) one(ctx context.Context, kind, arg string) (string, error) {
	switch kind {
	case "env":
		v, ok := r.Getenv(arg)
		if !ok {
			return "", hint.Wrap(fmt.Errorf("environment variable %s is not set", arg), "export %s before running flip", arg)
		}
		return v, nil
	case "file":
		b, err := os.ReadFile(arg)
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	default:
		out, err := exec.CommandContext(ctx, "/bin/sh", "-c", arg).Output()
		if err != nil {
			return "", fmt.Errorf("command failed: %w", err)
		}
		return strings.TrimRight(string(out), "\r\n"), nil
	}
}

// Redactor replaces known secret values by ***. The zero value is ready and
// safe for concurrent use.
type Redactor struct {
	mu     sync.RWMutex
	values []string
}

// shortest is the length below which a value is not replaced: blanking every
// "a" of an output hides nothing and destroys the text.
const shortest = 4

// Add makes value a secret. Long values are replaced before their parts.
func (r *Redactor) Add(value string) {
	if r == nil || len(value) < shortest {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.values, value) {
		return
	}
	r.values = append(r.values, value)
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
}

// Text returns s with every known secret replaced.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.values {
		s = strings.ReplaceAll(s, v, "***")
	}
	return s
}

// Bytes returns b with every known secret replaced.
func (r *Redactor) Bytes(b []byte) []byte {
	if r == nil {
		return b
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, v := range r.values {
		if bytes.Contains(b, []byte(v)) {
			b = bytes.ReplaceAll(b, []byte(v), []byte("***"))
		}
	}
	return b
}
