package cli

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// accessFlags are those of all commands that ask a director: what they need over HTTPS.
func accessFlags() []cli.Flag {
	file := func(name, usage string) cli.Flag {
		return &cli.StringFlag{Name: name, DefaultText: "FILE", Usage: usage}
	}
	return []cli.Flag{
		file("ca", "over HTTPS: certificate of the authority that signed the director's "+
			"(default: those of this system)"),
		file("cert", "over HTTPS: certificate to show"),
		file("key", "over HTTPS: key of --cert"),
		&cli.StringFlag{Name: "user", DefaultText: "NAME", Usage: "over HTTPS: user to ask as"},
		file("password-file", "over HTTPS: file with the password of --user"),
	}
}

// isAccessFlag says whether a flag is one of accessFlags.
func isAccessFlag(f cli.Flag) bool {
	for _, a := range accessFlags() {
		if a.Names()[0] == f.Names()[0] {
			return true
		}
	}
	return false
}

// giveAccess adds accessFlags to commands that ask a director's API.
func giveAccess(c *cli.Command) {
	for _, f := range c.Flags {
		if f.Names()[0] == "addr" && c.Name != "bench" {
			c.Flags = append(c.Flags, accessFlags()...)
			return
		}
	}
}

// accessValues returns what was given for accessFlags, by flags or by the environment. Where
// nothing is over HTTPS a flag is an error, and the environment, which is for many commands, is
// not.
func (inv *invocation) accessValues(c *cli.Context, addr string) (map[string]string, error) {
	given := make(map[string]string)
	for _, f := range accessFlags() {
		name := f.Names()[0]
		switch {
		case c.IsSet(name) && !api.OverHTTPS(addr):
			return nil, usagef(c, "--%s goes with an address that begins with https://", name)
		case c.IsSet(name):
			given[name] = c.String(name)
		case api.OverHTTPS(addr):
			variable := "DIRECTOR_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
			given[name], _ = inv.LookupEnv(variable)
		}
	}
	for _, pair := range [][2]string{
		{"cert", "key"}, {"key", "cert"}, {"user", "password-file"}, {"password-file", "user"},
	} {
		if given[pair[0]] != "" && given[pair[1]] == "" {
			return nil, usagef(c, "--%s needs --%s", pair[0], pair[1])
		}
	}
	return given, nil
}

// credentials reads what a command needs over HTTPS.
func (inv *invocation) credentials(c *cli.Context, addr string) (api.Credentials, error) {
	var credentials api.Credentials
	given, err := inv.accessValues(c, addr)
	if err != nil {
		return credentials, err
	}
	if path := given["ca"]; path != "" {
		raw, err := readFile(path)
		if err != nil {
			return credentials, err
		}
		credentials.Roots = x509.NewCertPool()
		if !credentials.Roots.AppendCertsFromPEM(raw) {
			return credentials, exitf(exitUsage, "%s has no certificate in PEM", path)
		}
	}
	if given["cert"] != "" {
		if credentials.Certificate, err = readPair(given["cert"], given["key"]); err != nil {
			return credentials, err
		}
	}
	if given["user"] != "" {
		credentials.User = given["user"]
		credentials.Password, err = readPassword(given["password-file"])
	}
	return credentials, err
}

func readFile(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, exitf(exitUsage, "%s cannot be read: %s", path, api.Cause(err))
	}
	return raw, nil
}

func readPair(certPath, keyPath string) (*tls.Certificate, error) {
	cert, err := readFile(certPath)
	if err != nil {
		return nil, err
	}
	key, err := readFile(keyPath)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, exitf(exitUsage, "%s and %s cannot be used together: %s",
			certPath, keyPath, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
}

// readPassword reads the first line of a file that others cannot read.
func readPassword(path string) (string, error) {
	raw, err := readFile(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o037 != 0 {
		return "", exitf(exitUsage, "%s has mode %#o: others can read or change it; chmod 0600 %s",
			path, info.Mode().Perm(), path)
	}
	password, _, _ := strings.Cut(string(raw), "\n")
	password = strings.TrimSuffix(password, "\r")
	if password == "" {
		return "", exitf(exitUsage, "%s has no password in its first line", path)
	}
	return password, nil
}

// client returns a client of the director to ask.
func (inv *invocation) client(c *cli.Context) (*api.Client, error) {
	addr := inv.addr(c)
	credentials, err := inv.credentials(c, addr)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClientAs(addr, credentials)
	if err != nil {
		return nil, exitf(exitUsage, "%v", err)
	}
	return client, nil
}

// accessHelp is the paragraph of the program's help about HTTPS.
func accessHelp() string {
	var names []string
	for _, f := range accessFlags() {
		names = append(names, flagName(f))
	}
	return fmt.Sprintf("Over HTTPS (-a https://HOST:PORT) a director must know who asks. "+
		"Commands then take %s, or DIRECTOR_CA, DIRECTOR_CERT, DIRECTOR_KEY, DIRECTOR_USER and "+
		"DIRECTOR_PASSWORD_FILE from the environment.", strings.Join(names, ", "))
}
