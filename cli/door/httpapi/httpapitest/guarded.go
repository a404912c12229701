package httpapitest

import (
	"crypto/rand"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/webauth"
	"directormesh/cli/door/webauth/webauthtest"
)

// Host is in the certificate of a Guarded director, beside 127.0.0.1. It takes changes for both.
const Host = "director1.example.org"

// Guarded is a director that is served over HTTPS to user:reader and user:admin, whose passwords
// are their names, and to whoever has a certificate for reader.example.org or admin.example.org.
type Guarded struct {
	Addr  string // host:port
	Files *webauthtest.Files
	Gate  *webauth.Gate
}

// ServeHTTPS serves a director over HTTPS on the loopback until the test ends.
func ServeHTTPS(t testing.TB, d httpapi.Director, log zerolog.Logger) *Guarded {
	t.Helper()
	g := &Guarded{Files: webauthtest.NewFiles(t, t.TempDir(), Host, "127.0.0.1")}
	g.Files.Configure([]string{
		"client_ca_file: ca.crt", "client_auth_type: VerifyClientCertIfGiven",
	}, map[string]string{"reader": "reader", "admin": "admin", "guest": "guest"})
	var err error
	g.Gate, err = webauth.New(webauth.Config{
		Path: g.Files.Config(), ReadFile: os.ReadFile, Log: log, Now: time.Now,
		Random: rand.Reader, AtOnce: 1,
		Rights: webauth.Rights{
			Readers: []string{"user:reader", "cert:reader.example.org"},
			Admins:  []string{"user:admin", "cert:admin.example.org"},
			Hosts:   []string{Host, "127.0.0.1"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.Addr = l.Addr().String()
	serveOn(t, httpapi.Config{Director: d, Log: log, Gate: g.Gate}, l)
	return g
}

// Client returns a client with this certificate, nil for none, until the test ends.
func (g *Guarded) Client(t testing.TB, pair *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: g.Files.Authority.Pool(), ServerName: Host}
	if pair != nil {
		config.Certificates = []tls.Certificate{*pair}
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
