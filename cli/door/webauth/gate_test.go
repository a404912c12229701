package webauth

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/cli/door/webauth/webauthtest"
	"directormesh/cli/logtest"
)

// guarded is a server that answers whom its gate admits with the name.
type guarded struct {
	*Gate
	t     *testing.T
	files *webauthtest.Files
	addr  string
	log   *logtest.Buffer
	ahead atomic.Int64 // how much later than now it is for the gate, in ns
}

const testHost = "director1.example.org"

func serve(t *testing.T, rights Rights, configure func(*webauthtest.Files)) *guarded {
	t.Helper()
	g := &guarded{
		t: t, log: new(logtest.Buffer), files: webauthtest.NewFiles(t, t.TempDir(), testHost),
	}
	configure(g.files)
	var err error
	g.Gate, err = New(Config{
		Path: g.files.Config(), ReadFile: os.ReadFile, Rights: rights, Log: zerolog.New(g.log),
		Registerer: prometheus.NewRegistry(), Random: bytes.NewReader(make([]byte, 32)), AtOnce: 1,
		Now: func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who, err := g.Admit(w.Header(), r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusTeapot)
				return
			}
			_, _ = io.WriteString(w, who)
		}),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(tls.NewListener(l, g.TLS()))
	}()
	t.Cleanup(func() { server.Close(); <-ended })
	return g
}

// client returns a client with a certificate for these names; none without names.
func (g *guarded) client(names ...string) *http.Client {
	g.t.Helper()
	config := &tls.Config{RootCAs: g.files.Authority.Pool(), ServerName: testHost}
	if len(names) > 0 {
		config.Certificates = []tls.Certificate{g.files.Authority.Pair(g.t, names...)}
	}
	transport := &http.Transport{TLSClientConfig: config}
	g.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask makes a request and returns the answer. Headers are pairs of a name and a value, one named
// user has NAME:PASSWORD.
func (g *guarded) ask(c *http.Client, method string, headers ...string) string {
	g.t.Helper()
	url := "https://" + g.addr + "/v1/x"
	request, err := http.NewRequestWithContext(g.t.Context(), method, url, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	request.Host = testHost
	for i := 0; i < len(headers); i += 2 {
		switch headers[i] {
		case "user":
			user, password, _ := strings.Cut(headers[i+1], ":")
			request.SetBasicAuth(user, password)
		case "host":
			request.Host = headers[i+1]
		default:
			request.Header.Add(headers[i], headers[i+1])
		}
	}
	response, err := c.Do(request)
	if err != nil {
		return "no connection"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

// has fails unless an answer has this part.
func has(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("answer %q, want %q in it", got, want)
	}
}

var everybody = Rights{
	Readers: []string{"user:bob", "cert:scrape.example.org"},
	Admins:  []string{"user:alice", "cert:ops@example.org"},
	Hosts:   []string{testHost},
}

var alsoClients = []string{
	"client_ca_file: ca.crt", "client_auth_type: VerifyClientCertIfGiven",
}

var alice = map[string]string{"alice": "secret", "bob": "bobs", "carol": "carols"}

// TestAdmit asks as all kinds of clients.
func TestAdmit(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) { f.Configure(alsoClients, alice) })
	const get, post = http.MethodGet, http.MethodPost
	nobody, scrape := g.client(), g.client("other.example.org", "Scrape.example.org")
	ops, guest := g.client("ops@example.org"), g.client("guest.example.org")
	const needUser, wrong = "must know who asks: give a user", "user or password is wrong"
	for _, tt := range []struct {
		name    string
		client  *http.Client
		method  string
		headers []string
		want    string
	}{
		{"nobody", nobody, get, nil, needUser},
		{"reader", nobody, get, []string{"user", "bob:bobs"}, "user:bob"},
		{"reader who writes", nobody, post, []string{"user", "bob:bobs"}, "may only ask queries"},
		{"reader who deletes", nobody, "DELETE", []string{"user", "bob:bobs"}, "may only ask"},
		{"reader with another method", nobody, "GETX", []string{"user", "bob:bobs"}, "only ask"},
		{"admin", nobody, post, []string{"user", "alice:secret"}, "user:alice"},
		{"no role", nobody, get, []string{"user", "carol:carols"}, "user:carol has no role here"},
		{"wrong password", nobody, get, []string{"user", "alice:bobs"}, wrong},
		{"unknown user", nobody, get, []string{"user", "mallory:secret"}, wrong},
		{"no password", nobody, get, []string{"user", "alice:"}, "many"},
		{"token", nobody, get, []string{"Authorization", "Bearer x"}, "scheme Basic"},
		{"twice", nobody, get, []string{"user", "alice:secret", "Authorization", "Basic eDp5"},
			"scheme Basic"},
		{"empty", nobody, get, []string{"Authorization", ""}, "scheme Basic"},
		{"certificate", scrape, get, nil, "cert:scrape.example.org"},
		{"certificate that writes", scrape, post, nil, "cert:scrape.example.org may only ask"},
		{"certificate of an admin", ops, post, nil, "cert:ops@example.org"},
		{"certificate without a role", guest, get, nil, "cert:guest.example.org has no role"},
		{"certificate and token", ops, get, []string{"Authorization", "Bearer x"}, "Basic"},
		{"both", ops, post, []string{"user", "bob:bobs"}, "user:bob may only ask"},
		{"foreign host", ops, post, []string{"host", "evil.example.org"}, "not in http-hosts"},
		{"no host", ops, post, []string{"host", "127.0.0.1"}, "not in http-hosts"},
		{"query of a foreign host", ops, get, []string{"host", "x"}, "cert:ops@example.org"},
		{"own page", ops, post, []string{"Sec-Fetch-Site", "same-origin", "Origin",
			"https://" + testHost}, "cert:ops@example.org"},
		{"foreign page", ops, post, []string{"Sec-Fetch-Site", "cross-site"}, "another site"},
		{"page of a sister", ops, post, []string{"Sec-Fetch-Site", "same-site"}, "another site"},
		{"foreign origin", ops, post, []string{"Origin", "https://evil.example.org"}, "another"},
		{"page without TLS", ops, post, []string{"Origin", "http://" + testHost}, "another site"},
		{"page without an origin", ops, post, []string{"Origin", "null"}, "another site"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Wrong passwords count for a minute.
			g.ahead.Add(int64(failureTime))
			if tt.name == "no password" {
				for i := range maxFailures {
					has(t, g.ask(nobody, get, "user", fmt.Sprint("alice:", i)), wrong)
				}
			}
			has(t, g.ask(tt.client, tt.method, tt.headers...), tt.want)
		})
	}
	for _, sent := range []string{"mallory", "secret"} {
		if strings.Contains(g.log.String(), sent) {
			t.Errorf("the log has what a stranger sent:\n%s", g.log)
		}
	}
}

// TestWrongPasswordBesideCertificate checks that a wrong password of one user is not forgiven for
// the certificate of another, and that it counts.
func TestWrongPasswordBesideCertificate(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) { f.Configure(alsoClients, alice) })
	ops := g.client("ops@example.org")
	for i := range maxFailures {
		answer := g.ask(ops, http.MethodGet, "user", fmt.Sprint("bob:", i))
		if answer != "user or password is wrong" {
			t.Errorf("answer %q", answer)
		}
	}
	has(t, g.ask(ops, http.MethodGet, "user", "bob:bobs"), "too many wrong passwords")
	has(t, g.ask(ops, http.MethodGet), "cert:ops@example.org")
}

// TestCertificates asks with certificates that must not count.
func TestCertificates(t *testing.T) {
	rights := Rights{Admins: []string{"cert:ops.example.org"}, Hosts: []string{testHost}}
	g := serve(t, rights, func(f *webauthtest.Files) { f.Configure(verifyClients, nil) })
	ops := g.client("ops.example.org")
	has(t, g.ask(ops, http.MethodPost), "cert:ops.example.org")
	has(t, g.ask(ops, http.MethodGet, "user", "alice:secret"), "no passwords here")
	has(t, g.ask(g.client(), http.MethodGet), "no connection")
	foreign := g.client()
	foreign.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{
		webauthtest.NewAuthority(t, "authority of the test").Pair(t, "ops.example.org"),
	}
	has(t, g.ask(foreign, http.MethodGet), "no connection")
	late := g.client()
	pair, err := tls.X509KeyPair(g.files.Authority.Issue(t, time.Minute, "ops.example.org"))
	if err != nil {
		t.Fatal(err)
	}
	late.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	has(t, g.ask(late, http.MethodGet), "no connection")

	g.ahead.Store(int64(3 * time.Hour)) // the connection is old, and so is the certificate
	has(t, g.ask(ops, http.MethodGet), "your certificate is not one that counts")
	g.ahead.Store(0)
	has(t, g.ask(ops, http.MethodGet), "cert:ops.example.org")
	g.files.Configure(append([]string{"client_allowed_sans: [scrape.example.org]"},
		verifyClients...), nil)
	g.Look()
	has(t, g.ask(ops, http.MethodGet), "your certificate is not one that counts")
	has(t, g.ask(g.client("ops.example.org"), http.MethodGet), "no connection")
	g.files.Configure(verifyClients, nil)
	g.files.Write("ca.crt", string(webauthtest.NewAuthority(t, "new").PEM))
	g.Look()
	has(t, g.ask(ops, http.MethodGet), "your certificate is not one that counts")
}

// TestAllowedNames checks that a list of names does not panic where no certificate is given.
func TestAllowedNames(t *testing.T) {
	g := serve(t, everybody, func(f *webauthtest.Files) {
		f.Configure(
			append([]string{"client_allowed_sans: [ops@example.org]"}, alsoClients...), alice)
	})
	has(t, g.ask(g.client(), http.MethodGet, "user", "bob:bobs"), "user:bob")
	has(t, g.ask(g.client("ops@example.org"), http.MethodGet), "cert:ops@example.org")
	has(t, g.ask(g.client("scrape.example.org"), http.MethodGet), "no connection")
}
