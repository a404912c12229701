package webauth

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"directormesh/cli/api"
)

const (
	maxFile = 1 << 20 // bytes of each file
	// maxUsers bounds what is remembered of right passwords.
	maxUsers = 1000
	// maxCost bounds how long the comparison with one password takes: at 14 about a second.
	maxCost = 14
)

// Policy is what a web configuration file says. It does not change.
type Policy struct {
	tls       *tls.Config
	web       web.TLSConfig
	clientCAs *x509.CertPool    // nil: no client certificates are verified
	users     map[string][]byte // name → bcrypt of the password
	nobody    []byte            // what passwords of unknown users are compared with
	headers   map[string]string
	leaf      *x509.Certificate // of the director
	keyFile   string
	sum       [sha256.Size]byte // of all files
}

// KeyFile is the path of the file that has the key of the director's certificate.
func (p *Policy) KeyFile() string { return p.keyFile }

// Read reads a web configuration file and the files that it names. An error is one line that says
// what to do, and has nothing of a password, a hash or a key.
func Read(path string, readFile func(string) ([]byte, error)) (*Policy, error) {
	raw, err := readBounded(path, readFile)
	if err != nil {
		return nil, err
	}
	c, err := parse(path, raw)
	if err != nil {
		return nil, err
	}
	if c.RateLimiterConfig != (web.RateLimiterConfig{}) {
		return nil, fmt.Errorf("%s: a director has limits of its own and no rate_limit; remove it",
			path)
	}
	sum := sha256.New()
	sum.Write(raw)
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	keyFile := path
	if c.TLSConfig.TLSKeyPath != "" {
		keyFile = c.TLSConfig.TLSKeyPath
	}
	if err := inline(&c.TLSConfig, func(path string) ([]byte, error) {
		content, err := readBounded(path, readFile)
		fmt.Fprintf(sum, "%d\n", len(content))
		sum.Write(content)
		return content, err
	}); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p, err := newPolicy(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	p.keyFile = keyFile
	sum.Sum(p.sum[:0])
	return p, nil
}

func readBounded(path string, readFile func(string) ([]byte, error)) ([]byte, error) {
	raw, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", path, api.Cause(err))
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("%s has %d bytes; the most is %d", path, len(raw), maxFile)
	}
	return raw, nil
}

// parse reads the file as the library does, which has no function for it: strictly, and with the
// same defaults.
func parse(path string, raw []byte) (web.Config, error) {
	c := web.Config{TLSConfig: web.TLSConfig{
		MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13,
	}}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	err := d.Decode(&c)
	switch {
	case errors.Is(err, io.EOF):
		return c, nil // asks for nothing; that is said later
	case err != nil:
		return c, fmt.Errorf("%s %s", path, notWebConfig(err))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("%s has something behind ---; leave one document", path)
	}
	return c, nil
}

// notWebConfig says what the YAML library could not read. It leaves values out: one may be a
// password's hash.
func notWebConfig(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	for _, known := range []string{"unknown cipher", "unknown curve", "unknown TLS version"} {
		if strings.HasPrefix(text, known) {
			return "has an " + text
		}
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "unmarshal errors:"))
	line, what, found := strings.Cut(text, ": ")
	if !found || !strings.HasPrefix(line, "line ") {
		return "is not a web configuration file in YAML"
	}
	if field, ok := strings.CutPrefix(what, "field "); ok {
		name, _, _ := strings.Cut(field, " ")
		return line + " has a field " + name + ", which web configuration files do not have"
	}
	return line + " is not what a web configuration file has there"
}

// inline replaces the names of files by their contents, so that all of a policy is of one moment.
func inline(c *web.TLSConfig, readFile func(string) ([]byte, error)) error {
	for _, f := range []struct {
		path *string
		take func(text string)
	}{
		{&c.TLSCertPath, into(&c.TLSCert)},
		{&c.TLSKeyPath, into(&c.TLSKey)},
		{&c.ClientCAs, into(&c.ClientCAsText)},
	} {
		if *f.path == "" {
			continue
		}
		content, err := readFile(*f.path)
		if err != nil {
			return err
		}
		if len(content) == 0 {
			return fmt.Errorf("%s is empty", *f.path)
		}
		f.take(string(content))
		*f.path = ""
	}
	return nil
}

func into[T ~string](to *T) func(text string) { return func(text string) { *to = T(text) } }

// newPolicy checks what was read. All that it names is inline.
func newPolicy(c web.Config) (*Policy, error) {
	switch t := c.TLSConfig; {
	case t.TLSCert == "" || t.TLSKey == "":
		return nil, errors.New("asks for no TLS; give cert_file and key_file in tls_server_config")
	case t.MinVersion < tls.VersionTLS12 || t.MaxVersion < t.MinVersion:
		return nil, errors.New("min_version and max_version allow no TLS from 1.2; leave them out")
	}
	pair, err := tls.X509KeyPair([]byte(c.TLSConfig.TLSCert), []byte(c.TLSConfig.TLSKey))
	if err != nil {
		return nil, fmt.Errorf("the certificate and its key cannot be used: %s",
			strings.TrimPrefix(err.Error(), "tls: "))
	}
	p := &Policy{web: c.TLSConfig, leaf: pair.Leaf, headers: c.HTTPConfig.Header}
	if err := checkHeaders(p.headers); err != nil {
		return nil, err
	}
	hashes := make(map[string]string)
	for name, hash := range c.Users {
		hashes[name] = string(hash)
	}
	if err := p.takeUsers(hashes); err != nil {
		return nil, err
	}
	if err := p.takeClientCAs(); err != nil {
		return nil, err
	}
	if len(p.users) == 0 && p.clientCAs == nil {
		return nil, errors.New("asks nobody who they are; give basic_auth_users, or " +
			"client_ca_file and client_auth_type: RequireAndVerifyClientCert")
	}
	if p.tls, err = web.ConfigToTLSConfig(&p.web); err != nil {
		return nil, fmt.Errorf("tls_server_config cannot be used: %s",
			strings.TrimPrefix(err.Error(), "tls: "))
	}
	p.tls.Certificates, p.tls.GetCertificate = []tls.Certificate{pair}, nil
	p.web.TLSKey = "" // one copy of it is enough
	p.tls.NextProtos = []string{"http/1.1"}
	// A session that is taken up again would have the certificates of a policy that is gone.
	p.tls.SessionTicketsDisabled = true
	p.tls.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
		return p.allowed(raw)
	}
	return p, nil
}

// takeClientCAs takes who signs client certificates.
func (p *Policy) takeClientCAs() error {
	verify := p.web.ClientAuth == "VerifyClientCertIfGiven" ||
		p.web.ClientAuth == "RequireAndVerifyClientCert"
	switch {
	case p.web.ClientAuth == "" && p.web.ClientCAsText != "":
		return errors.New("client_ca_file needs a client_auth_type; " +
			"give RequireAndVerifyClientCert, or VerifyClientCertIfGiven")
	case p.web.ClientAuth == "" || p.web.ClientAuth == "NoClientCert":
		return nil
	case !verify:
		return fmt.Errorf("client_auth_type %q verifies no certificate; "+
			"give RequireAndVerifyClientCert, or VerifyClientCertIfGiven", p.web.ClientAuth)
	case p.web.ClientCAsText == "":
		return errors.New("client_auth_type needs client_ca_file: " +
			"name the authority that signs the clients' certificates")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(p.web.ClientCAsText)) {
		return errors.New("client_ca_file has no certificate in PEM")
	}
	p.clientCAs = pool
	return nil
}

// takeUsers takes the users with the hashes of their passwords.
func (p *Policy) takeUsers(users map[string]string) error {
	if len(users) > maxUsers {
		return fmt.Errorf("has %d users; the most is %d", len(users), maxUsers)
	}
	p.users = make(map[string][]byte)
	cost := bcrypt.DefaultCost
	for i, name := range slices.Sorted(maps.Keys(users)) {
		if name == "" || strings.Contains(name, ":") {
			return fmt.Errorf("%q cannot be the name of a user: it is empty or has a colon", name)
		}
		hash := []byte(users[name])
		c, err := bcrypt.Cost(hash)
		if err != nil || len(hash) != 60 {
			return fmt.Errorf("the password of user %q is no bcrypt hash; "+
				"make one with: htpasswd -nBC 10 %q", name, name)
		}
		if c > maxCost {
			return fmt.Errorf("the hash of user %q has cost %d; the most is %d", name, c, maxCost)
		}
		if i == 0 {
			cost = c
		}
		cost = max(cost, c)
		p.users[name] = hash
	}
	if len(p.users) == 0 {
		return nil
	}
	// An unknown user must take as long as a known one. No password has this hash.
	p.nobody = fmt.Appendf(nil, "$2a$%02d$%s", cost, strings.Repeat(".", 53))
	return nil
}

// hashOf returns with what a user's password is compared, and whether the file has that user.
func (p *Policy) hashOf(user string) (hash []byte, known bool) {
	if hash, known = p.users[user]; known {
		return hash, true
	}
	return p.nobody, false
}

// checkHeaders takes those that the library takes.
func checkHeaders(headers map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		switch name {
		case "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options",
			"X-XSS-Protection", "Content-Security-Policy":
		default:
			return fmt.Errorf("the header %q cannot be set; remove it", name)
		}
		if strings.ContainsAny(headers[name], "\r\n\x00") {
			return fmt.Errorf("the header %q has more than one line", name)
		}
	}
	return nil
}
