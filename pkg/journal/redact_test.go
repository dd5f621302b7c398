package journal_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
)

func TestASecretIsBlankedHoweverItIsWritten(t *testing.T) {
	for name, tc := range map[string]struct{ secret, data, want string }{
		"as it is":                      {"hunter22", `{"a":"x hunter22 y"}`, `{"a":"x *** y"}`},
		"with escapes":                  {`pa"ss<w`, `{"a":"x pa\"ss\u003cw y"}`, `{"a":"x *** y"}`},
		"as a member's name":            {"token-1", `{"token-1":1}`, `{"***":1}`},
		"but not flip's own names":      {"target", `{"target":"web","b":"target"}`, `{"target":"web","b":"***"}`},
		"nor numbers, which stay JSON":  {"8080", `{"port":8080,"a":"8080"}`, `{"port":8080,"a":"***"}`},
		"and nothing else is rewritten": {"none-such", `{"a": [1.10, "\u00e9\/"]}`, `{"a": [1.10, "\u00e9\/"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			plain := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(tc.secret), []byte("***")) }
			l := newRun(t, newStore(t, journal.FileOptions{Redact: plain}))
			r := add(t, l, journal.Record{Type: journal.TypeDone, Key: "/a", Data: []byte(tc.data)})
			if diff := cmp.Diff(tc.want, string(r.Data)); diff != "" {
				t.Errorf("data (-want +got):\n%s", diff)
			}
			text, err := os.ReadFile(journalPath(l))
			if err != nil {
				t.Fatal(err)
			}
			mentions(t, "the journal", string(text), tc.want)
		})
	}
}
