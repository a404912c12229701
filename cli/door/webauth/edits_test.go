package webauth

import (
	"crypto/tls"
	"net/http"
	"os"
	"strings"
	"testing"

	"directormesh/cli/door/webauth/webauthtest"
)

// TestEdits empties, breaks, deletes and mends the file. The last good one stays in use.
func TestEdits(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) { f.Configure(nil, alice) })
	c := g.client()
	good := func(user string) {
		t.Helper()
		g.Look()
		g.Look()
		has(t, g.ask(c, http.MethodGet), "must know who asks")
		has(t, g.ask(c, http.MethodGet, "user", user), "user:")
		has(t, g.ask(g.client(), http.MethodGet, "user", user), "user:")
		g.ahead.Add(int64(failureTime))
	}
	good("alice:secret")
	for _, text := range []string{
		"", "{}", "tls_server_config: [", "basic_auth_users: {}\n",
		webauthtest.Text(t, nil, nil),
		webauthtest.Text(t, []string{"client_auth_type: RequestClientCert"}, nil),
	} {
		g.files.Write("web.yml", text)
		good("alice:secret")
	}
	if err := os.Remove(g.files.Config()); err != nil {
		t.Fatal(err)
	}
	good("alice:secret")
	// Two of them lack the same.
	if n := strings.Count(g.log.String(), "the last good one stays in use"); n != 6 {
		t.Errorf("%d lines about 6 kinds of bad files:\n%s", n, g.log)
	}
	g.files.Configure(nil, map[string]string{"alice": "new", "bob": "bobs"})
	good("alice:new")
	has(t, g.ask(c, http.MethodGet, "user", "alice:secret"), "user or password is wrong")
	has(t, g.ask(c, http.MethodGet, "user", "carol:carols"), "user or password is wrong")
	g.files.Configure(nil, map[string]string{"carol": "carols"})
	const unknown = "a user with a role is not in the web configuration file"
	if strings.Contains(g.log.String(), unknown) {
		t.Errorf("a user is unknown:\n%s", g.log)
	}
	g.Look()
	if n := strings.Count(g.log.String(), unknown); n != 2 { // alice and bob
		t.Errorf("%d users are unknown", n)
	}
	has(t, g.ask(c, http.MethodGet, "user", "alice:new"), "user or password is wrong")
	g.SetRights(Rights{Readers: []string{"user:carol"}})
	has(t, g.ask(c, http.MethodGet, "user", "carol:carols"), "user:carol")
	has(t, g.ask(c, http.MethodPost, "user", "carol:carols"), "may only ask queries")
	g.SetRights(Rights{})
	has(t, g.ask(c, http.MethodGet, "user", "carol:carols"), "no role here")
}

// TestWithoutTLS checks that a request which came without TLS is not answered, whatever it says.
func TestWithoutTLS(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) { f.Configure(nil, alice) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:4711"
	r.SetBasicAuth("alice", "secret")
	if who, err := g.Admit(http.Header{}, r); err == nil {
		t.Errorf("%s is admitted without TLS", who)
	}
}

// TestStill asks whether requests may go on, after edits that matter to them and others. It takes
// no guess from anybody.
func TestStill(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) { f.Configure(alsoClients, alice) })
	request := func(user, password string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.RemoteAddr = testHost, "192.0.2.1:4711"
		r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		return r
	}
	r := request("alice", "secret")
	if g.Still(r, "user:alice") {
		t.Error("a password that was never right counts")
	}
	if who, err := g.Admit(http.Header{}, r); err != nil || who != "user:alice" {
		t.Fatalf("%s, %v", who, err)
	}
	for range 2 * maxFailures {
		if g.Still(request("alice", "guess"), "user:alice") {
			t.Error("a wrong password counts")
		}
	}
	for _, tt := range []struct {
		r    *http.Request
		who  string
		want bool
	}{
		{r, "user:alice", true}, {r, "user:bob", false}, {request("", ""), "user:alice", false},
	} {
		if g.Still(tt.r, tt.who) != tt.want {
			t.Errorf("%s: %v", tt.who, !tt.want)
		}
	}
	g.SetRights(Rights{Readers: []string{"user:alice"}})
	if g.Still(r, "user:alice") {
		t.Error("a reader may go on with what only admins may do")
	}
	g.SetRights(everybody)
	if _, err := g.Admit(http.Header{}, r); err != nil {
		t.Errorf("after all that: %v", err)
	}
	g.files.Configure(nil, map[string]string{"alice": "secret"}) // hashed anew
	g.Look()
	if g.Still(r, "user:alice") {
		t.Error("a hash that is gone counts")
	}
}
