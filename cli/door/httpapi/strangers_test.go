package httpapi_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/webauth/webauthtest"
)

// farPipes are pipes from another host.
type farPipes struct{ pipes }

func (farPipes) Addr() net.Addr { return &net.TCPAddr{} }

// someGate admits nobody.
type someGate struct{ config *tls.Config }

func (g someGate) TLS() *tls.Config                 { return g.config }
func (g someGate) MayChange(string) bool            { return false }
func (g someGate) Still(*http.Request, string) bool { return false }
func (g someGate) Edited() <-chan struct{}          { return nil }
func (g someGate) Admit(http.Header, *http.Request) (string, error) {
	return "", io.ErrUnexpectedEOF
}

// TestStrangersTimeOut connects and goes silent, before and after the handshake and in the middle
// of a header: each connection ends after ten seconds.
func TestStrangersTimeOut(t *testing.T) {
	pair := webauthtest.NewAuthority(t, "authority").Pair(t, httpapitest.Host)
	for _, tt := range []struct {
		name      string
		handshake bool
		sends     string
	}{
		{"nothing", false, ""},
		{"half a record", false, "\x16\x03"},
		{"a handshake only", true, ""},
		{"half a header", true, "GET / HTTP/1.1\r\nHost: "},
	} {
		synctest.Test(t, func(t *testing.T) {
			server, err := httpapi.New(httpapi.Config{
				Director: httpapitest.Sample(), Log: zerolog.Nop(),
				Gate: someGate{&tls.Config{Certificates: []tls.Certificate{pair}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			l := farPipes{make(pipes)}
			served := make(chan error)
			go func() { served <- server.Serve(l) }()
			there, here := net.Pipe()
			l.pipes <- there
			began := time.Now()
			if tt.handshake {
				here = tls.Client(here, &tls.Config{InsecureSkipVerify: true})
			}
			if tt.sends != "" || tt.handshake {
				if _, err := io.WriteString(here, tt.sends); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
			_, err = io.Copy(io.Discard, here)
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%s: the connection ended after %v: %v", tt.name, took, err)
			}
			here.Close()
			server.Close()
			<-served
		})
	}
}
