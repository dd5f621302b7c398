package integration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// doors are the ways by which a secret comes into a run. Each gets a value of its own.
var doors = []string{"env", "file", "cmd", "shell", "lines", "cut", "output", "header", "body", "userinfo", "gatecmd", "driver"}

// valueOf is the secret that comes through a door. It holds what quoting and escaping change.
func valueOf(door string) string {
	if door == "lines" {
		return "-----BEGIN KEY-----\nMIIEvQIBADANBgkq" + door + "\nZm9vYmFyYmF6cXV4\n-----END KEY-----"
	}
	return "s3-" + door + `-"q' /+&=<é>\ x  y-` + strings.ToUpper(door) + "-9f8e7d"
}

// forms are how a value may look where it leaked.
func forms(v string) map[string]string {
	quoted, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	plain := &strings.Builder{}
	enc := json.NewEncoder(plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	all := map[string]string{
		"as it is": v, "in JSON": strings.Trim(string(quoted), `"`), "in JSON for people": strings.Trim(strings.TrimSpace(plain.String()), `"`),
		"in a query": url.QueryEscape(v), "in a path": url.PathEscape(v),
		"in base64": base64.StdEncoding.EncodeToString([]byte(v)), "in base64 of URLs": base64.RawURLEncoding.EncodeToString([]byte(v)),
		"with its spaces made one": strings.Join(strings.Fields(v), " "),
	}
	if lines := strings.Split(v, "\n"); len(lines) > 1 {
		for i, line := range lines[1 : len(lines)-1] {
			all[fmt.Sprintf("line %d of it", i+2)] = line
		}
	} else {
		all["its first half"], all["its second half"] = v[:len(v)/2], v[len(v)/2:]
	}
	return all
}

const secretPlan = `flip: 1
name: secrets
targets:
  web: {driver: guarded, token: "${env:FLIP_S_driver}", store: STORE}
groups:
  g: {web: [w1]}
gates:
  echo:
    http: {url: "http://${env:FLIP_S_userinfo}@ECHO/x?t=${env:FLIP_S_query}", headers: {X-Token: "${env:FLIP_S_header}"}, method: POST, body: "${env:FLIP_S_body}", status: 200}
    timeout: 150ms
    every: 50ms
  gone:
    http: {url: "http://${env:FLIP_S_userinfo}@127.0.0.1:1/x?t=${env:FLIP_S_query}"}
    timeout: 150ms
    every: 50ms
  cmd:
    command: {shell: "echo $T; echo $T >&2; exit 1", env: {T: "${env:FLIP_S_gatecmd}"}}
    timeout: 150ms
    every: 50ms
steps:
  - id: print
    run:
      shell: "DIR/tool"
      env: {A: "${env:FLIP_S_env}", B: "${file:DIR/file}", C: "${cmd:cat DIR/cmd}", D: "${env:FLIP_S_lines}", O: "${env:FLIP_S_output}", U: "${env:FLIP_S_cut}"}
    undo: {argv: [DIR/tool, "--password=${file:DIR/file}", "${env:FLIP_S_env}"]}
  - id: argv
    run: {argv: [DIR/tool, "${file:DIR/file}", "--token=${cmd:cat DIR/cmd}", "${{ steps.print.outputs.token }}"]}
    undo: none
  - id: shell
    run: {shell: "cat <<'END'\n${env:FLIP_S_shell}\nEND"}
    undo: none
  - id: move
    set: {target: web, members: [w1], weight: 7}
  - id: look
    GATE
`

// tool prints its arguments and environment in every way that a shell knows.
const tool = `#!/bin/sh
for a in "$@" "$A" "$B" "$C" "$O"; do
  printf '%s\n' "$a"
  printf '%s' "$a" | base64 -w0
  echo
done
printf '%s\n' "$D"
if [ -n "$U" ]; then
  # the end of the output is kept, from the middle of a secret on
  printf '%s' "$U"
  printf '%0CUTd\n' 0
fi
[ -z "$O" ] || printf 'token=%s\n' "$O" >> "$FLIP_OUTPUT"
`

// guarded is a driver that needs a credential and shows it off in its errors.
func guarded() driver.Factory {
	type config struct {
		Token secret.Ref `yaml:"token"`
		Store string     `yaml:"store"`
	}
	info := mem.Info()
	info.Name = "guarded"
	return driver.Define(info, func(ctx context.Context, c config, env driver.Env) (driver.Driver, error) {
		token, err := env.Secrets.Resolve(ctx, c.Token)
		if err != nil {
			return nil, err
		}
		env.Log.Debug("logged in", "token", token)
		return &loud{mem.New(mem.Options{File: c.Store}), token, env}, nil
	})
}

// loud refuses the first write with an error that holds its token.
type loud struct {
	*mem.Target
	token string
	env   driver.Env
}

func (l *loud) Apply(ctx context.Context, changes []state.Change) error {
	l.env.Log.Debug("apply", "authorization", "Bearer "+l.token)
	driver.Progress(ctx, "as "+l.token)
	return l.Target.Apply(ctx, changes)
}

// TestNoSecretIsEverWritten brings a secret in through every door, lets everything print, echo and fail with it, and looks
// for it in all that flip wrote and said.
func TestNoSecretIsEverWritten(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusInternalServerError)
		switch n := len(r.Header.Get("X-Token")) / 2; { // each look shows another thing, the excerpt ends in the middle of it
		case r.URL.Query().Get("t") == "":
		default:
			fmt.Fprintf(w, "%s%s %s %s %s", strings.Repeat("x", 80-n), r.Header.Get("X-Token"), r.Header.Get("Authorization"), b, r.URL)
		}
	}))
	t.Cleanup(echo.Close)
	short := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	t.Cleanup(short.Close)
	for name, c := range map[string]struct {
		gate, echo string
		code       int
	}{
		"a run that ends well":               {"wait: 1ms", echo.URL, 0},
		"a gate that shows the header":       {"gate: echo", echo.URL, 10},
		"a gate that shows the basic auth":   {"gate: echo", short.URL, 10},
		"a gate that cannot connect":         {"gate: gone", echo.URL, 10},
		"a gate whose command shows it":      {"gate: cmd", echo.URL, 10},
		"a command that fails with a secret": {`run: {argv: [DIR/tool, "${env:FLIP_S_env}", fail], env: {FAIL: "1"}}` + "\n    undo: none", echo.URL, 10},
	} {
		for _, flags := range []string{"", "-v", "-o json", "-o json -v"} {
			t.Run(name+" "+flags, func(t *testing.T) {
				h := secretHome(t, c.gate, strings.TrimPrefix(c.echo, "http://"))
				with := func(args ...string) answer {
					return h.with(func(app *flip.App) { app.Drivers = driver.NewRegistry(append(all.Drivers().All(), guarded())...) }, append(args, strings.Fields(flags)...)...)
				}
				var told []answer
				got := with("run", filepath.Join(h.dir, "p.yaml"))
				if told = append(told, got); got.code != c.code {
					t.Errorf("want exit %d, got %s", c.code, got)
				}
				for _, args := range [][]string{{"rollback"}, {"show"}, {"logs"}, {"status"}, {"list"}, {"plan", filepath.Join(h.dir, "p.yaml")}, {"get", filepath.Join(h.dir, "p.yaml")}} {
					told = append(told, with(args...))
				}
				h.holdsNoSecret(told)
				h.isPrivate()
			})
		}
	}
}

func secretHome(t *testing.T, step, echo string) *home {
	t.Helper()
	dir, outside := t.TempDir(), t.TempDir()
	h := newHome(t, dir)
	for _, door := range append(doors, "query") {
		h.env["FLIP_S_"+door] = valueOf(door)
		if err := os.WriteFile(filepath.Join(outside, door), []byte(valueOf(door)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.env["FLIP_S_userinfo"] = url.UserPassword("ann", "pw-"+valueOf("userinfo")).String()
	h.env["FLIP_S_query"] = url.QueryEscape(valueOf("query"))
	script := strings.ReplaceAll(tool, "CUT", fmt.Sprint(4<<10-1-len(valueOf("cut"))/2))
	if err := os.WriteFile(filepath.Join(outside, "tool"), []byte(script+"[ -z \"$FAIL\" ] || { printf '%s\\n' \"$1\"; exit 3; }\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("GATE", step).Replace(secretPlan)
	store := filepath.Join(outside, "web.json")
	text = strings.NewReplacer("DIR", outside, "ECHO", echo, "STORE", store).Replace(text)
	h.file("p.yaml", text)
	m := mem.New(mem.Options{File: store})
	if err := errors.Join(m.Set("w1", "present", "true"), m.Set("w1", "state", `"ready"`), m.Set("w1", "weight", "3")); err != nil {
		t.Fatal(err)
	}
	return h
}

// holdsNoSecret looks into everything that was said and every file of the state directory.
func (h *home) holdsNoSecret(told []answer) {
	h.Helper()
	places := map[string]string{}
	for i, s := range told {
		places[fmt.Sprintf("stdout of command %d", i)], places[fmt.Sprintf("stderr of command %d", i)] = s.out, s.err
	}
	err := filepath.WalkDir(filepath.Join(h.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		places[path] = string(b)
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	seen := false
	for place, text := range places {
		seen = seen || strings.Contains(text, "***")
		for _, door := range append(doors, "query") {
			for form, v := range forms(valueOf(door)) {
				if at := strings.Index(text, v); at >= 0 {
					h.Errorf("%s holds the secret of %s, %s: ...%s", place, door, form, text[max(0, at-60):min(len(text), at+len(v)+20)])
				}
			}
		}
		if basic := base64.StdEncoding.EncodeToString([]byte("ann:pw-" + valueOf("userinfo"))); strings.Contains(text, basic) {
			h.Errorf("%s holds the basic authentication", place)
		}
	}
	if !seen {
		h.Error("no secret was ever replaced: nothing was tested")
	}
}

// isPrivate wants every directory of the state 0700 and every file 0600.
func (h *home) isPrivate() {
	h.Helper()
	err := filepath.WalkDir(filepath.Join(h.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			h.Errorf("%s has mode %s, not %s", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
}

// TestOnlyRunExecutesWhatAPlanSays puts a canary into every place of a plan that can execute something.
func TestOnlyRunExecutesWhatAPlanSays(t *testing.T) {
	f, err := fourServers()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	h := newHome(t, t.TempDir())
	cage := t.TempDir()
	bird := func(name string) string { return "touch " + filepath.Join(cage, name) }
	plan := h.file("p.yaml", strings.Replace(lockPlan("canary", f, fmt.Sprintf(`  - {id: a, run: %q, undo: %q}
  - {id: b, run: {argv: ["true", "${cmd:%s}"], env: {X: "${cmd:%s}"}}, undo: none}
  - {id: c, gate: shell}
  - {id: d, gate: http}
  - {id: e, set: {target: web, members: [web3], weight: 10}}
  - {id: f, run: "exit 1", undo: none}
`, bird("run"), bird("undo"), bird("argv"), bird("env"))), "steps:", fmt.Sprintf(`gates:
  shell: {command: {shell: %q, env: {X: "${cmd:%s}"}}, timeout: 5s}
  http: {http: {url: "http://127.0.0.1:1/${cmd:%s}", headers: {X: "${cmd:%s}"}, body: "${cmd:%s}"}, timeout: 100ms, every: 50ms}
steps:`, bird("gate"), bird("gate-env"), bird("url"), bird("header"), bird("body")), 1))
	h.env["FLIP_VAR_unused"] = "${cmd:" + bird("variable") + "}"
	for _, args := range [][]string{{"lint", plan}, {"plan", plan}, {"plan", plan, "-o", "json", "-v"}, {"get", plan}} {
		h.wants([]int{0}, args...)
		if birds := names(t, cage); len(birds) > 0 {
			t.Fatalf("flip %s executed %v", strings.Join(args, " "), birds)
		}
	}
	h.flip("rehearse", plan)
	if birds := names(t, cage); len(birds) > 0 {
		t.Fatalf("flip rehearse executed %v", birds)
	}
	h.wants([]int{10}, "run", plan)
	got := strings.Join(names(t, cage), " ")
	for _, want := range []string{"run", "undo", "argv", "env", "gate", "gate-env", "url"} {
		if !strings.Contains(" "+got+" ", " "+want+" ") {
			t.Errorf("flip run did not execute %s (only %s): the canary is dead", want, got)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
