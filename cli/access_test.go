package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/httpapi/httpapitest"
	"directormesh/cli/door/webauth/webauthtest"
)

// runWith runs a command line with an environment, given as NAME=VALUE.
func runWith(t *testing.T, environment []string, line string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := Main(t.Context(), append([]string{"director"}, strings.Fields(line)...), IO{
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Location: time.UTC,
		LookupEnv: func(name string) (string, bool) {
			for _, pair := range environment {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value, true
				}
			}
			return "", false
		},
	})
	return result{status, stdout.String(), stderr.String()}
}

// credentialFiles writes what clients have, beside the director's files.
func credentialFiles(t *testing.T, f *webauthtest.Files) {
	t.Helper()
	for _, name := range []string{"admin", "reader"} {
		cert, key := f.Authority.Issue(t, 2*time.Hour, name+".example.org")
		f.Write(name+".crt", string(cert))
		f.Write(name+".key", string(key))
		f.Write(name, name+"\n")
	}
	cert, key := f.Authority.Issue(t, time.Minute, "admin.example.org")
	f.Write("late.crt", string(cert))
	f.Write("late.key", string(key))
	other := webauthtest.NewAuthority(t, "another")
	cert, key = other.Issue(t, 2*time.Hour, "admin.example.org")
	f.Write("other.crt", string(cert))
	f.Write("other.key", string(key))
	f.Write("otherca.crt", string(other.PEM))
	f.Write("wrong", "wrong\n")
	f.Write("empty", "\nadmin\n")
	f.Write("open", "admin\n")
	if err := os.Chmod(f.Path("open"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// accessDirectors serves directors over HTTPS, and one each without TLS and on a socket. It returns
// what expands the words in capitals of a command line.
func accessDirectors(t *testing.T) (expand func(line string) string) {
	t.Helper()
	d := httpapitest.Sample()
	g := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	credentialFiles(t, g.Files)
	strict := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	strict.Files.Write("ca.crt", string(g.Files.Authority.PEM))
	strict.Files.Configure([]string{
		"client_ca_file: ca.crt", "client_auth_type: RequireAndVerifyClientCert",
	}, nil)
	strict.Gate.Look()
	g.Files.Write("strictca.crt", string(strict.Files.Authority.PEM))
	expired := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	cert, key := g.Files.Authority.Issue(t, time.Minute, "127.0.0.1")
	expired.Files.Write("director.crt", string(cert))
	expired.Files.Write("director.key", string(key))
	expired.Gate.Look()
	plain := httpapitest.ServeTCP(t, d)
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	return func(line string) string {
		for _, pair := range [][2]string{
			{"GOOD", "-a https://" + g.Addr + " --ca DIR/ca.crt"},
			{"STRICT", "-a https://" + strict.Addr + " --ca DIR/strictca.crt"},
			{"EXPIRED", "-a https://" + expired.Addr + " --ca DIR/ca.crt"},
			{"LOCALHOST", "-a https://localhost:" + g.Addr[strings.LastIndex(g.Addr, ":")+1:] +
				" --ca DIR/ca.crt"},
			{"PLAIN", plain}, {"SOCKET", socket}, {"ADDR", g.Addr},
			{"ASADMIN", "--user admin --password-file DIR/admin"},
			{"ASREADER", "--cert DIR/reader.crt --key DIR/reader.key"},
			{"DIR", g.Files.Dir},
		} {
			line = strings.ReplaceAll(line, pair[0], pair[1])
		}
		return line
	}
}

// TestAccessOverHTTPS asks directors over HTTPS. Each failure is one line that says what to do.
func TestAccessOverHTTPS(t *testing.T) {
	expand := accessDirectors(t)
	for _, tt := range []struct {
		line   string
		status int
		says   string // on stderr
	}{
		{"status GOOD ASADMIN", 0, ""},
		{"GOOD ASADMIN up 192.0.2.1", 0, ""},
		{"status GOOD ASREADER", 0, ""},
		{"status STRICT ASREADER", 0, ""},
		{"lookup x GOOD ASADMIN", 0, ""},
		{"lookup x GOOD ASREADER", 65, "cert:reader.example.org may only ask queries"},
		{"up 192.0.2.1 GOOD ASREADER", 65, "name it in http-admins"},
		{"status -a https://ADDR ASADMIN", 75, "no authority that is known here has signed its " +
			"certificate; give the authority's with --ca"},
		{"status -a https://ADDR --ca DIR/otherca.crt ASADMIN", 75, "give the authority's with"},
		{"status LOCALHOST ASADMIN", 75, "its certificate is not for localhost, but for " +
			"director1.example.org, 127.0.0.1; use that name"},
		{"status EXPIRED ASADMIN", 75, "its certificate is good from "},
		{"status GOOD", 65, "must know who asks: give a user and a password; " +
			"give --user and --password-file, or --cert and --key"},
		{"status GOOD --user admin --password-file DIR/wrong", 65,
			"user or password is wrong; look at --user and --password-file"},
		{"status GOOD --cert DIR/other.crt --key DIR/other.key", 75,
			"it does not know the authority of the certificate in --cert"},
		{"status GOOD --cert DIR/late.crt --key DIR/late.key", 75,
			"the certificate in --cert has expired"},
		{"status STRICT", 75, "it wants a certificate; give --cert and --key"},
		{"status -a ADDR", 76, "it speaks HTTPS; give its address as https://HOST:PORT"},
		{"status -a https://PLAIN ASADMIN", 76, "it does not speak HTTPS"},
		{"status -a PLAIN ASADMIN", 64, "goes with an address that begins with https://"},
		{"status -a SOCKET --ca DIR/ca.crt", 64, "--ca goes with an address"},
		{"status -a https://admin:admin@ADDR", 64, "has no place in the address"},
		{"status GOOD --user admin", 64, "--user needs --password-file"},
		{"status GOOD --key DIR/admin.key", 64, "--key needs --cert"},
		{"status GOOD --user admin --password-file DIR/none", 64, "DIR/none cannot be read"},
		{"status GOOD --user admin --password-file DIR/empty", 64, "has no password in its first"},
		{"status GOOD --user admin --password-file DIR/open", 64, "others can read or change it"},
		{"status GOOD --cert DIR/admin.crt --key DIR/reader.key", 64, "cannot be used together"},
		{"status -a https://ADDR --ca DIR/admin ASADMIN", 64, "has no certificate in PEM"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			r := runWith(t, nil, expand(tt.line))
			if r.status != tt.status || !strings.Contains(r.stderr, expand(tt.says)) {
				t.Errorf("status %d, want %d: %s", r.status, tt.status, r.stderr)
			}
			plain := strings.Count(r.stderr, "\n") == 1 && !goWords.MatchString(r.stderr)
			if tt.says != "" && !plain {
				t.Errorf("not one plain line: %s", r.stderr)
			}
		})
	}
}

// TestTooManyPasswords fails with a password until the director hears no more of it.
func TestTooManyPasswords(t *testing.T) {
	g := httpapitest.ServeHTTPS(t, httpapitest.Sample(), zerolog.Nop())
	credentialFiles(t, g.Files)
	line := fmt.Sprintf("status -a https://%s --ca %s --user reader --password-file %s",
		g.Addr, g.Files.Path("ca.crt"), g.Files.Path("wrong"))
	var last result
	for range 6 {
		last = runWith(t, nil, line)
	}
	if last.status != 75 || strings.Count(last.stderr, "\n") != 1 ||
		!strings.Contains(last.stderr,
			"too many wrong passwords from your address (127.0.0.1); wait ") {
		t.Errorf("%+v", last)
	}
}

// TestAccessByEnvironment takes everything from the environment, which does not count where a
// director is asked otherwise.
func TestAccessByEnvironment(t *testing.T) {
	d := httpapitest.Sample()
	g := httpapitest.ServeHTTPS(t, d, zerolog.Nop())
	credentialFiles(t, g.Files)
	for _, environment := range [][]string{
		{"DIRECTOR_USER=admin", "DIRECTOR_PASSWORD_FILE=" + g.Files.Path("admin")},
		{"DIRECTOR_CERT=" + g.Files.Path("admin.crt"), "DIRECTOR_KEY=" + g.Files.Path("admin.key")},
	} {
		environment = append(environment,
			"DIRECTOR_CA="+g.Files.Path("ca.crt"), "DIRECTOR_ADDR=https://"+g.Addr)
		if r := runWith(t, environment, "up 192.0.2.1"); r.status != 0 {
			t.Errorf("%q: %+v", environment, r)
		}
		r := runWith(t, environment, "status -a "+httpapitest.Serve(t, d, zerolog.Nop()))
		if r.status != 0 {
			t.Errorf("%q at a socket: %+v", environment, r)
		}
	}
}
