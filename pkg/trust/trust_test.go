package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/trust"
)

func TestWhatIsWrongWithATLSBlockIsSaid(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		tls  trust.TLS
		want string
	}{
		"a certificate without its key":          {trust.TLS{Cert: empty}, "cert and key belong together"},
		"a trust that insecure would not use":    {trust.TLS{CA: empty, Insecure: true}, "insecure would not look at ca"},
		"a file that is not there":               {trust.TLS{CA: "/nowhere"}, "ca: open /nowhere"},
		"a file without a certificate":           {trust.TLS{CA: empty}, "holds no PEM certificate"},
		"a client certificate that is not one":   {trust.TLS{Cert: empty, Key: empty}, "tls: cert: "},
		"nothing is wrong with what is not said": {trust.TLS{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.tls.Validate()
			if err == nil {
				_, err = test.tls.Config()
			}
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
