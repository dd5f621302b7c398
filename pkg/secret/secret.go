// Package secret keeps credentials out of everything that flip writes. A plan
// holds references (${env:NAME}, ${file:PATH}, ${cmd:...}); they are resolved
// when a call needs them, and every value that was ever resolved is known to
// the Redactor, which all output passes through.
package secret

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Ref is text that may hold references. It is safe to print and to store:
// it is the reference, never the value.
type Ref string

var reference = regexp.MustCompile(`\$\{(env|file|cmd):((?:[^{}]|\{[^{}]*\})+)\}`)

// opened is what begins like a reference: ${word:
var opened = regexp.MustCompile(`\$\{([a-z][a-z0-9_-]*):`)

// UnmarshalText takes what a plan says. It refuses what looks like a reference
// and is none: it would be sent as the password that it is not.
func (r *Ref) UnmarshalText(text []byte) error {
	rest := reference.ReplaceAllString(string(text), "")
	if m := opened.FindStringSubmatch(rest); m != nil {
		if slices.Contains([]string{"env", "file", "cmd"}, m[1]) {
			return hint.Wrap(fmt.Errorf("the reference ${%s:...} has no end or names nothing", m[1]), "write ${%s:...} with its }", m[1])
		}
		return hint.Wrap(fmt.Errorf("${%s:...} is no reference to a secret", m[1]), "write ${env:NAME}, ${file:/path} or ${cmd:command}")
	}
	*r = Ref(text)
	return nil
}

// IsRef reports whether s holds at least one reference.
func IsRef(s string) bool { return reference.MatchString(s) }

// Resolver turns references into values. The zero Resolver is not usable; use
// NewResolver.
type Resolver struct {
	// Getenv looks up an environment variable; os.LookupEnv by default.
	Getenv func(string) (string, bool)
	// Redactor learns every value that is resolved.
	Redactor *Redactor
	// NoCommands, when it is not empty, refuses ${cmd:...} with this hint.
	NoCommands string
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
	if failed != nil {
		return "", failed
	}
	return out, nil
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
		if r.NoCommands != "" {
			return "", hint.Wrap(errors.New("a command would be executed"), "%s", r.NoCommands)
		}
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", arg)
		cmd.WaitDelay = time.Second // a child of the shell may hold the pipe
		out, err := cmd.Output()
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

// fragment is how much of a secret is replaced where a text was cut inside it:
// at its ends, and before the dots that stand for what was left out.
const fragment = 6

// Add makes value a secret, also as it looks inside JSON, in a URL, in base64
// and with its white space made one. Of a value with several lines each line is
// a secret too: output is looked at line by line.
func (r *Redactor) Add(value string) {
	if r == nil || len(value) < shortest {
		return
	}
	forms := formsOf(value)
	if lines := strings.Split(value, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= fragment {
				forms = append(forms, formsOf(line)...)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, form := range forms {
		if !slices.Contains(r.values, form) {
			r.values = append(r.values, form)
		}
	}
}

func formsOf(value string) []string {
	goQuoted := strconv.Quote(value) // by slog and %q; JSON that keeps < and > is the same, but for what cannot be printed
	forms := []string{value, url.QueryEscape(value), url.PathEscape(value), goQuoted[1 : len(goQuoted)-1]}
	if one := strings.Join(strings.Fields(value), " "); len(one) >= shortest {
		forms = append(forms, one)
	}
	if quoted, err := json.Marshal(value); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	// What follows a value, such as the newline of echo, changes the last group of three only.
	for _, v := range []string{value, value[:len(value)/3*3]} {
		if len(v) >= fragment {
			forms = append(forms, base64.RawStdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v)))
		}
	}
	return forms
}

// Text returns s with every known secret replaced.
func (r *Redactor) Text(s string) string {
	spans := r.find(s)
	if len(spans) == 0 {
		return s
	}
	var out strings.Builder
	from := 0
	for _, sp := range spans {
		out.WriteString(s[from:sp.from])
		out.WriteString("***")
		from = sp.to
	}
	out.WriteString(s[from:])
	return out.String()
}

// Bytes returns b with every known secret replaced.
func (r *Redactor) Bytes(b []byte) []byte {
	s := string(b)
	if clean := r.Text(s); clean != s {
		return []byte(clean)
	}
	return b
}

// cut returns the fragments of v that s begins or ends with.
func cut(s, v string) []span {
	var found []span
	for n := min(len(v)-1, len(s)); n >= fragment; n-- {
		if strings.HasPrefix(s, v[len(v)-n:]) {
			found = append(found, span{0, n})
			break
		}
	}
	for end := range ends(s) {
		for n := min(len(v)-1, end); n >= fragment; n-- {
			if strings.HasSuffix(s[:end], v[:n]) {
				found = append(found, span{end - n, end})
				break
			}
		}
	}
	return found
}

// ends are the places in s where something may have been left out.
func ends(s string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for from := 0; ; {
			i := strings.Index(s[from:], "...")
			if i < 0 {
				yield(len(s))
				return
			}
			if !yield(from + i) {
				return
			}
			from += i + 3
		}
	}
}

type span struct{ from, to int }

// find returns where s holds secrets, in order. Secrets that overlap are one
// span: replacing one after the other would leave the rest of the second.
func (r *Redactor) find(s string) []span {
	if r == nil {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []span
	for _, v := range r.values {
		for at := 0; ; at++ {
			i := strings.Index(s[at:], v)
			if i < 0 {
				break
			}
			at += i
			found = append(found, span{at, at + len(v)})
		}
		found = append(found, cut(s, v)...)
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var merged []span
	for _, sp := range found {
		if n := len(merged); n > 0 && sp.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, sp.to)
			continue
		}
		merged = append(merged, sp)
	}
	return merged
}
