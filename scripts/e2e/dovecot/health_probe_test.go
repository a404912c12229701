//go:build e2e

package dovecot

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"directormesh/cli/probe"
)

// selfSigned writes a certificate and its key into a directory.
func selfSigned(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem":  {Type: "PRIVATE KEY", Bytes: raw},
	} {
		err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// probedConfig is a backend with all that can be checked, with its mail, certificate and key in a
// directory.
func probedConfig(r release, ip netip.Addr, dir string) string {
	haproxy := "haproxy_trusted_networks = 127.0.0.0/8\n"
	for protocol, port := range map[string]int{"imap": 10143, "pop3": 10110} {
		haproxy += fmt.Sprintf(`service %s-login {
  inet_listener %[1]s_proxied {
    port = %d
    haproxy = yes
  }
}
`, protocol, port)
	}
	if r == dovecot24 {
		return probedConfig24(ip, dir) + haproxy
	}
	return backendConfig(ip, dir) + `protocols = imap pop3 lmtp sieve submission
submission_relay_host = 127.0.0.1
ssl = yes
ssl_cert = <` + dir + `/cert.pem
ssl_key = <` + dir + `/key.pem
` + haproxy
}

// probedConfig24 is the same in the syntax of 2.4.
func probedConfig24(ip netip.Addr, dir string) string {
	return fmt.Sprintf(`protocols = imap pop3 lmtp sieve submission
listen = %[1]s
first_valid_uid = 1
login_trusted_networks = 127.0.0.0/8
mail_driver = maildir
mail_path = ~/Maildir
passdb static {
  password = pass
}
userdb static {
  fields {
    uid = %[3]d
    gid = %[3]d
    home = %[2]s/%%{user}
  }
}
service lmtp {
  inet_listener lmtp {
    listen = %[1]s
    port = 24
  }
}
submission_relay_host = 127.0.0.1
ssl = yes
ssl_server_cert_file = %[2]s/cert.pem
ssl_server_key_file = %[2]s/key.pem
`, ip, dir, mailUser)
}

// TestChecksOfDovecot checks a Dovecot of each release in every way that there is.
func TestChecksOfDovecot(t *testing.T) {
	t.Parallel()
	eachRelease(t, checksOfDovecot)
}

func checksOfDovecot(t *testing.T, r release) {
	ip := newAddress(t)
	i := newInstanceOf(t, r, "b1", "")
	selfSigned(t, i.root+i.dir)
	if err := os.Chmod(i.root+i.dir, 0o777); err != nil { // for the mail
		t.Fatal(err)
	}
	i.configure(probedConfig(r, ip, i.dir))
	i.start(netip.AddrPortFrom(ip, 143).String(), netip.AddrPortFrom(ip, 24).String(),
		netip.AddrPortFrom(ip, 4190).String(), netip.AddrPortFrom(ip, 587).String())
	user := &probe.Login{User: "test", Password: "pass"}
	check := func(list string, login *probe.Login, within time.Duration) error {
		checks, err := probe.ParseChecks(list)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		return (&probe.Prober{Login: login}).All(ctx, ip, checks)
	}
	for _, list := range []string{
		"tcp:143", "tcp:993+tls",
		"imap:143", "imap:993+tls", "imap:143+starttls", "imap:10143+proxy1", "imap:10143+proxy2",
		"imap:10143+proxy2+starttls",
		"pop3:110", "pop3:995+tls", "pop3:110+starttls", "pop3:10110+proxy2",
		"lmtp:24", "lmtp:24+starttls",
		"managesieve:4190", "managesieve:4190+starttls",
		"submission:587", "submission:587+starttls",
	} {
		if err := check(list, nil, time.Minute); err != nil {
			t.Errorf("%s: %v", list, err)
		}
		if strings.HasPrefix(list, "submission") {
			continue // its login wants a relay
		}
		if err := check(list, user, time.Minute); err != nil {
			t.Errorf("%s with a login: %v", list, err)
		}
	}
	for list, want := range map[string]string{
		"imap:110": "unexpected greeting", "pop3:143": "unexpected greeting",
		"lmtp:143": "unexpected answer", "managesieve:110": "unexpected answer",
		"imap:143+tls": "no TLS is spoken there",
		"imap:10143":   "the connection broke off before the greeting",
		"lmtp:587":     "unexpected answer", "tcp:1": "connection refused",
	} {
		err := check(list, nil, time.Minute)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", list, err, want)
		}
	}
	err := check("imap:993", nil, 2*time.Second) // it waits for TLS to begin
	if want := "imap:993: no greeting in time"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}
