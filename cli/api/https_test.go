package api_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/webauth/webauthtest"
)

// TestCredentialsStayHome checks that a user and a certificate are shown over HTTPS only, and to
// nobody to whom an answer leads.
func TestCredentialsStayHome(t *testing.T) {
	pair := webauthtest.NewAuthority(t, "authority").Pair(t, "ops.example.org")
	for _, credentials := range []api.Credentials{
		{User: "alice", Password: "secret"}, {Certificate: &pair},
	} {
		for _, addr := range []string{"/run/director.sock", "127.0.0.1:9091", "http://127.0.0.1"} {
			if _, err := api.NewClientAs(addr, credentials); err == nil {
				t.Errorf("no error for %s", addr)
			}
		}
	}
	var asked atomic.Bool
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Store(true)
	}))
	defer other.Close()
	lures := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer lures.Close()
	roots := lures.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c, err := api.NewClientAs(lures.URL, api.Credentials{
		Roots: roots, User: "alice", Password: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(t.Context(), api.BackendUp{IP: httpapitest.IP("192.0.2.1")})
	var protocol *api.ProtocolError
	if !errors.As(err, &protocol) || asked.Load() {
		t.Errorf("error %v, the other was asked: %v", err, asked.Load())
	}
}
