package webauth

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"directormesh/cli/door/webauth/webauthtest"
)

var verifyClients = []string{
	"client_ca_file: ca.crt", "client_auth_type: RequireAndVerifyClientCert",
}

// TestRead holds files to what they must ask for.
func TestRead(t *testing.T) {
	files := webauthtest.NewFiles(t, t.TempDir(), "director1.example.org")
	other := webauthtest.NewFiles(t, t.TempDir(), "director1.example.org")
	otherKey, err := os.ReadFile(other.Path("director.key"))
	if err != nil {
		t.Fatal(err)
	}
	files.Write("other.key", string(otherKey))
	files.Write("empty.crt", "")
	files.Write("text.crt", "certificate")
	for _, tt := range append(goodFiles(t), badFiles(t)...) {
		t.Run(tt.name, func(t *testing.T) {
			files.Write("web.yml", tt.text)
			p, err := Read(files.Config(), os.ReadFile)
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want == "":
				// A password of nobody takes as long as one of somebody, and is wrong.
				if p.nobody != nil && !errors.Is(bcrypt.CompareHashAndPassword(p.nobody,
					[]byte("x")), bcrypt.ErrMismatchedHashAndPassword) {
					t.Errorf("the hash of nobody is %s", p.nobody)
				}
				if p.tls.NextProtos[0] != "http/1.1" || !p.tls.SessionTicketsDisabled {
					t.Error("TLS is not as it must be")
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Fatalf("error %v, want one with %q", err, tt.want)
			case strings.Contains(err.Error(), "\n"), strings.Contains(err.Error(), "hunter2"),
				!strings.HasPrefix(err.Error(), files.Config()) &&
					!strings.Contains(err.Error(), "cannot be read"):
				t.Errorf("error %q has several lines, a secret or no file", err)
			}
		})
	}
	if _, err := Read(files.Path("missing.yml"), os.ReadFile); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// fileCase is a file and a part of the error that it makes, "" for none.
type fileCase struct{ name, text, want string }

// testHash is a hash of a password, which says that it cost this much; 0: what it did cost.
func testHash(t *testing.T, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if cost > 0 {
		copy(hash[4:], []byte{byte('0' + cost/10), byte('0' + cost%10)})
	}
	return string(hash)
}

func goodFiles(t *testing.T) []fileCase {
	t.Helper()
	users := map[string]string{"alice": "secret"}
	text := func(more []string, users map[string]string) string {
		return webauthtest.Text(t, more, users)
	}
	return []fileCase{
		{"users", text(nil, users), ""},
		{"certificates", text(verifyClients, nil), ""},
		{"either", text([]string{"client_ca_file: ca.crt",
			"client_auth_type: VerifyClientCertIfGiven"}, users), ""},
		{"all of TLS", text([]string{"min_version: TLS13", "max_version: TLS13",
			"cipher_suites: [TLS_AES_128_GCM_SHA256]", "curve_preferences: [X25519]",
			"prefer_server_cipher_suites: true"}, users), ""},
		{"headers", text(nil, users) +
			"http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n", ""},
	}
}

func badFiles(t *testing.T) []fileCase {
	t.Helper()
	users := map[string]string{"alice": "secret"}
	text := func(more []string, users map[string]string) string {
		return webauthtest.Text(t, more, users)
	}
	hash := func(cost int) string { return testHash(t, cost) }
	only := text(nil, nil)
	return []fileCase{
		{"empty", "", "asks for no TLS"},
		{"comments", "# nothing\n", "asks for no TLS"},
		{"null", "null\n", "asks for no TLS"},
		{"only users", "basic_auth_users:\n  alice: " + hash(0) + "\n", "asks for no TLS"},
		{"only TLS", only, "asks nobody who they are"},
		{"no users", only + "basic_auth_users: {}\n", "asks nobody who they are"},
		{"certificates of anybody", text([]string{"client_auth_type: RequireAnyClientCert"}, users),
			"verifies no certificate"},
		{"certificates that are asked for",
			text([]string{"client_ca_file: ca.crt", "client_auth_type: RequestClientCert"}, nil),
			"verifies no certificate"},
		{"the system's authorities",
			text([]string{"client_auth_type: RequireAndVerifyClientCert"}, nil),
			"needs client_ca_file"},
		{"authority without use", text([]string{"client_ca_file: ca.crt"}, users),
			"needs a client_auth_type"},
		{"no authority in the file", text([]string{"client_ca_file: text.crt",
			"client_auth_type: RequireAndVerifyClientCert"}, nil), "no certificate in PEM"},
		{"empty authority", text([]string{"client_ca_file: empty.crt",
			"client_auth_type: RequireAndVerifyClientCert"}, nil), "empty.crt is empty"},
		{"two documents", text(nil, users) + "---\n{}\n", "behind ---"},
		{"old TLS", text([]string{"min_version: TLS10"}, users), "no TLS from 1.2"},
		{"no TLS at all", text([]string{"max_version: TLS11"}, users), "no TLS from 1.2"},
		{"unknown TLS", text([]string{"min_version: TLS99"}, users), "unknown TLS version: TLS99"},
		{"unknown cipher", text([]string{"cipher_suites: [ROT13]"}, users), "cipher: ROT13"},
		{"no certificate", strings.ReplaceAll(text(nil, users), "director.crt", "none.crt"),
			"none.crt cannot be read: no such file or directory"},
		{"another's key", strings.ReplaceAll(text(nil, users), "director.key", "other.key"),
			"the certificate and its key cannot be used"},
		{"field", text(nil, users) + "users:\n  bob: x\n", "line 6 has a field users"},
		{"no YAML", "a: b: c", "not a web configuration file"},
		{"a secret in the wrong place", "basic_auth_users: hunter2\n",
			"line 1 is not what a web configuration file has there"},
		{"plain password", only + "basic_auth_users:\n  alice: hunter2\n",
			`the password of user "alice" is no bcrypt hash`},
		{"half a hash", only + "basic_auth_users:\n  alice: " + hash(0)[:40] + "\n",
			"is no bcrypt hash"},
		{"costly hash", only + "basic_auth_users:\n  alice: " + hash(15) + "\n", "has cost 15"},
		{"colon", only + "basic_auth_users:\n  \"a:b\": " + hash(0) + "\n", "has a colon"},
		{"rate limit", text(nil, users) + "rate_limit:\n  interval: 1s\n  burst: 2\n",
			"no rate_limit"},
		{"header", text(nil, users) + "http_server_config:\n  headers:\n    Server: x\n",
			`"Server" cannot be set`},
		{"header of two lines", text(nil, users) + "http_server_config:\n  headers:\n" +
			"    X-Frame-Options: \"a\\r\\nb\"\n", "more than one line"},
		{"too large", text(nil, users) + strings.Repeat("#\n", maxFile/2), "the most is 1048576"},
	}
}

// FuzzRead reads any file: what is good asks for users or client certificates.
func FuzzRead(f *testing.F) {
	files := webauthtest.NewFiles(f, f.TempDir(), "director1.example.org")
	f.Add(webauthtest.Text(f, verifyClients, map[string]string{"alice": "secret"}))
	f.Add("basic_auth_users: {a: b}")
	f.Add("&a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Read(files.Config(), func(path string) ([]byte, error) {
			if path == files.Config() {
				return []byte(text), nil
			}
			if !strings.HasPrefix(path, files.Dir) {
				return nil, os.ErrNotExist
			}
			return os.ReadFile(path)
		})
		switch {
		case err != nil && strings.ContainsAny(err.Error(), "\r\n"):
			t.Errorf("error %q has several lines", err)
		case err == nil && len(p.users) == 0 && p.clientCAs == nil:
			t.Error("a good file that lets everybody in")
		}
	})
}

// TestSum checks that an edit of any of the files is seen.
func TestSum(t *testing.T) {
	files := webauthtest.NewFiles(t, t.TempDir(), "director1.example.org")
	files.Configure(verifyClients, map[string]string{"alice": "secret"})
	read := func() [32]byte {
		t.Helper()
		p, err := Read(files.Config(), os.ReadFile)
		if err != nil {
			t.Fatal(err)
		}
		return p.sum
	}
	ca := string(files.Authority.PEM)
	files.Write("ca.crt", "one\n"+ca)
	seen := map[[32]byte]bool{read(): true}
	if !seen[read()] {
		t.Fatal("two readings of one file differ")
	}
	files.Write("ca.crt", "two\n"+ca)
	if seen[read()] {
		t.Error("an edit of the same length is not seen")
	}
	seen[read()] = true
	cert, key := files.Authority.Issue(t, 2*time.Hour, "director1.example.org")
	files.Write("director.crt", string(cert))
	files.Write("director.key", string(key))
	if seen[read()] {
		t.Error("a new certificate is not seen")
	}
	seen[read()] = true
	files.Write("ca.crt", string(webauthtest.NewAuthority(t, "another").PEM))
	if seen[read()] {
		t.Error("a new authority is not seen")
	}
}
