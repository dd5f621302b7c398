package secret_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

func resolver(env map[string]string) *secret.Resolver {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	return r
}

func TestReferencesAreReplacedByTheirValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("from-file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		ref  secret.Ref
		want string
	}{
		"plain text stays":                 {"no secret", "no secret"},
		"a variable":                       {"${env:TOKEN}", "s3cret"},
		"a file without its last line end": {secret.Ref("${file:" + path + "}"), "from-file"},
		"a command's output":               {"${cmd:printf 'from cmd\n'}", "from cmd"},
		"a command with braces":            {"${cmd:echo a b | awk '{print $2}'}", "b"},
		"several in one text":              {"u:${env:USER}@${env:TOKEN}!", "u:me@s3cret!"},
		"an empty variable is a value":     {"<${env:EMPTY}>", "<>"},
		"other braces stay":                {"${{ vars.x }} ${HOME}", "${{ vars.x }} ${HOME}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := resolver(map[string]string{"TOKEN": "s3cret", "USER": "me", "EMPTY": ""})
			got, err := r.Resolve(t.Context(), test.ref)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestWhatOnlyLooksLikeAReferenceIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"${env:TOKEN}":               "",
		"plain":                      "",
		"${{ vars.x }} ${HOME}":      "",
		"${cmd:awk '{print $2}' /f}": "",
		"${vault:kv/token}":          "${vault:...} is no reference to a secret",
		"${env:}":                    "the reference ${env:...} has no end or names nothing",
		"${file:/run/token":          "the reference ${file:...} has no end or names nothing",
		"${env:A}${aws:b}":           "${aws:...} is no reference to a secret",
	} {
		t.Run(text, func(t *testing.T) {
			var r secret.Ref
			err := r.UnmarshalText([]byte(text))
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if want == "" && string(r) != text {
				t.Errorf("kept as %q", r)
			}
		})
	}
}

func TestAMissingSecretNamesTheReferenceOnly(t *testing.T) {
	r := resolver(map[string]string{"OTHER": "do-not-show"})
	for _, ref := range []secret.Ref{
		"${env:OTHER}${env:GONE}",
		"${env:OTHER}${file:/nonexistent/token}",
		"${env:OTHER}${cmd:echo do-not-show; exit 3}",
	} {
		got, err := r.Resolve(t.Context(), ref)
		if err == nil || got != "" {
			t.Errorf("%s: got %q, %v", ref, got, err)
			continue
		}
		if strings.Contains(strings.ReplaceAll(err.Error(), string(ref), ""), "${env:OTHER}") || !strings.HasPrefix(err.Error(), "secret ${") {
			t.Errorf("%s: the error blames another reference: %v", ref, err)
		}
	}
	_, err := r.Resolve(t.Context(), "${env:GONE}")
	if diff := cmp.Diff([]string{"export GONE before running flip"}, hint.Of(err)); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
	if _, err := r.Resolve(t.Context(), "${file:/nonexistent/token}"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestACommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// The child keeps the pipe open when only the shell is killed.
	if _, err := resolver(nil).Resolve(ctx, "${cmd:sleep 300; true}"); err == nil {
		t.Error("a command that was cut off gave a secret")
	}
}

func TestEveryResolvedValueIsRedacted(t *testing.T) {
	r := resolver(map[string]string{"TOKEN": `p"a ss/word`})
	if _, err := r.Resolve(t.Context(), "${env:TOKEN} ${cmd:echo from-command}"); err != nil {
		t.Fatal(err)
	}
	in := `plain p"a ss/word, json "p\"a ss/word", query ?t=p%22a+ss%2Fword, path /p%22a%20ss%2Fword, from-command`
	want := `plain ***, json "***", query ?t=***, path /***, ***`
	if diff := cmp.Diff(want, r.Redactor.Text(in)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestTheRedactorHidesWholeSecrets(t *testing.T) {
	tests := map[string]struct {
		secrets  []string
		in, want string
	}{
		"nothing is secret":                    {nil, "all of it", "all of it"},
		"every place":                          {[]string{"s3cret"}, "s3cret, s3cret", "***, ***"},
		"one secret in another":                {[]string{"word", "password1"}, "password1 word", "*** ***"},
		"one secret over the end of another":   {[]string{"abcdef", "defghi"}, "<abcdefghi>", "<***>"},
		"a secret over itself":                 {[]string{"abab"}, "<ababab>", "<***>"},
		"secrets side by side":                 {[]string{"aaaa", "bbbb"}, "aaaabbbb", "******"},
		"a secret that looks like a redaction": {[]string{"****", "token"}, "token", "***"},
		"too short to hide":                    {[]string{"abc"}, "abc", "abc"},
		"added twice":                          {[]string{"s3cret", "s3cret"}, "s3cret", "***"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var r secret.Redactor
			for _, s := range test.secrets {
				r.Add(s)
			}
			if got := r.Text(test.in); got != test.want {
				t.Errorf("text: got %q, want %q", got, test.want)
			}
			if got := string(r.Bytes([]byte(test.in))); got != test.want {
				t.Errorf("bytes: got %q, want %q", got, test.want)
			}
		})
	}
}

func TestNoRedactorChangesNothing(t *testing.T) {
	var r *secret.Redactor
	r.Add("s3cret")
	if got := r.Text("s3cret"); got != "s3cret" {
		t.Errorf("got %q", got)
	}
	if got := string(r.Bytes([]byte("s3cret"))); got != "s3cret" {
		t.Errorf("got %q", got)
	}
}

func TestTheRedactorIsSafeForManyWriters(t *testing.T) {
	var r secret.Redactor
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r.Add("s3cret")
			if got := r.Text("s3cret"); got != "***" {
				t.Errorf("got %q", got)
			}
		})
	}
	wg.Wait()
}

func TestIsRefKnowsReferences(t *testing.T) {
	for s, want := range map[string]bool{"${env:A}": true, "x${file:/a}y": true, "${cmd:a {b} c}": true, "${A}": false, "${env:}": false, "": false} {
		if got := secret.IsRef(s); got != want {
			t.Errorf("%q: got %t", s, got)
		}
	}
}

func TestACommandIsNotExecutedWhereThatIsRefused(t *testing.T) {
	r := secret.NewResolver(&secret.Redactor{})
	r.NoCommands = "do without"
	ran := filepath.Join(t.TempDir(), "ran")
	_, err := r.Resolve(t.Context(), secret.Ref("${cmd:touch "+ran+"}"))
	if err == nil || !strings.Contains(err.Error(), "a command would be executed") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("it was executed")
	}
}
