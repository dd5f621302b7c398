// Package trust is the tls block of a plan: whom a target, a gate or a view
// trusts, and how it proves who it is.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/flip-cli/flip/pkg/hint"
)

// TLS says how TLS is spoken. The zero value trusts what the machine trusts
// and checks the name that was asked for.
type TLS struct {
	CA         string `yaml:"ca,omitempty" jsonschema_description:"file with the only authorities that are trusted, PEM"`
	Insecure   bool   `yaml:"insecure,omitempty" jsonschema_description:"accept any certificate"`
	ServerName string `yaml:"server_name,omitempty" jsonschema_description:"name to ask for and to check, instead of the host's"`
	Cert       string `yaml:"cert,omitempty" jsonschema_description:"file with the client certificate, PEM"`
	Key        string `yaml:"key,omitempty" jsonschema_description:"file with its key, PEM"`
}

// Validate finds what decoding does not see.
func (t TLS) Validate() error {
	switch {
	case (t.Cert == "") != (t.Key == ""):
		return errors.New("tls: cert and key belong together; one of them is missing")
	case t.Insecure && t.CA != "":
		return hint.Wrap(errors.New("tls: insecure would not look at ca"), "drop one of them")
	}
	return nil
}

// Config reads the files anew each time: certificates are renewed while a run
// waits for days. What is wrong with a file is found here, before a connection.
func (t TLS) Config() (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.Insecure, //nolint:gosec // only where the plan asks for it
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: %s holds no PEM certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
