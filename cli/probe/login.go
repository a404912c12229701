package probe

import (
	"encoding/base64"
	"errors"
	"strings"
)

// Login is the test user of checks.
type Login struct {
	User     string
	Password string
}

// maxLoginText bounds name and password; IMAP servers bound their lines.
const maxLoginText = 256

// ParseLogin reads the content of a file with a test user: one line, USER:PASSWORD. Lines that are
// empty or begin with # do not count. Errors do not quote the content.
func ParseLogin(content string) (*Login, error) {
	var login *Login
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, password, found := strings.Cut(line, ":")
		switch {
		case login != nil:
			return nil, errors.New("it has two lines; give one test user, USER:PASSWORD")
		case !found || user == "" || password == "":
			return nil, errors.New("its line is not USER:PASSWORD")
		case len(user) > maxLoginText || len(password) > maxLoginText:
			return nil, errors.New("user or password is longer than 256 bytes")
		case !printable(user) || !printable(password):
			return nil, errors.New(
				"user or password has a character that not all protocols carry; " +
					"use printable ASCII")
		}
		login = &Login{User: user, Password: password}
	}
	if login == nil {
		return nil, errors.New("it has no line USER:PASSWORD")
	}
	return login, nil
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// plain is the login as SASL PLAIN has it, in base64.
func (l *Login) plain() string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + l.User + "\x00" + l.Password))
}

// quoted returns a text as a quoted string of IMAP.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
