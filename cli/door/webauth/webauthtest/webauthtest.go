// Package webauthtest makes certificates and web configuration files for tests. Only tests import
// it.
package webauthtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Authority signs certificates.
type Authority struct {
	PEM  []byte // its certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: newSerial(t), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{PEM: certPEM(der), cert: cert, key: key}
}

// Pool is a pool of this authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue signs a certificate for these names, which are IP addresses, URLs, mail addresses or names
// of hosts. It is good for servers and clients, from an hour ago for this long.
func (a *Authority) Issue(t testing.TB, lasts time.Duration, names ...string) (cert, key []byte) {
	t.Helper()
	private := newKey(t)
	begin := time.Now().Add(-time.Hour)
	template := &x509.Certificate{
		SerialNumber: newSerial(t), Subject: pkix.Name{CommonName: "nobody"},
		NotBefore: begin, NotAfter: begin.Add(lasts), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth,
		},
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		switch {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case strings.Contains(name, "://"):
			uri, err := url.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			template.URIs = append(template.URIs, uri)
		case strings.Contains(name, "@"):
			template.EmailAddresses = append(template.EmailAddresses, name)
		default:
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return certPEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// Pair is Issue for an hour from now, as crypto/tls takes it.
func (a *Authority) Pair(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(t, 2*time.Hour, names...))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Files are a web configuration file and those that it names, in a directory.
type Files struct {
	t         testing.TB
	Dir       string
	Authority *Authority // of the director's certificate and of its clients'
}

// NewFiles writes a certificate of the director for these names, its key and the authority.
func NewFiles(t testing.TB, dir string, names ...string) *Files {
	t.Helper()
	f := &Files{t: t, Dir: dir, Authority: NewAuthority(t, "authority of the test")}
	cert, key := f.Authority.Issue(t, 2*time.Hour, names...)
	f.Write("director.crt", string(cert))
	f.Write("director.key", string(key))
	f.Write("ca.crt", string(f.Authority.PEM))
	return f
}

// Path is that of a file in the directory.
func (f *Files) Path(name string) string { return filepath.Join(f.Dir, name) }

// Config is the path of the web configuration file.
func (f *Files) Config() string { return f.Path("web.yml") }

// Write writes a file as careful people do: at once.
func (f *Files) Write(name, content string) {
	f.t.Helper()
	fresh := f.Path(name + ".new")
	if err := os.WriteFile(fresh, []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(fresh, f.Path(name)); err != nil {
		f.t.Fatal(err)
	}
}

// Configure writes a web configuration file that asks for TLS, with more lines in the section of
// TLS, and with these users and their passwords.
func (f *Files) Configure(more []string, users map[string]string) {
	f.t.Helper()
	f.Write("web.yml", Text(f.t, more, users))
}

// Text is that of a web configuration file.
func Text(t testing.TB, more []string, users map[string]string) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("tls_server_config:\n  cert_file: director.crt\n  key_file: director.key\n")
	for _, line := range more {
		text.WriteString("  " + line + "\n")
	}
	if len(users) > 0 {
		text.WriteString("basic_auth_users:\n")
	}
	for user, password := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("  " + user + ": " + string(hash) + "\n")
	}
	return text.String()
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSerial(t testing.TB) *big.Int {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
