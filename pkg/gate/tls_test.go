package gate

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// pairFiles writes the server's own certificate and key; any pair will do for
// a server that asks for one and does not check it.
func pairFiles(t *testing.T, s *httptest.Server) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key = filepath.Join(t.TempDir(), "key.pem")
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return caFile(t, s), key
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
