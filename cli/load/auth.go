package load

import (
	"encoding/base64"
	"fmt"
	"os"
)

// login drives the socket of login processes. Each user logs in by PLAIN; what auth thinks of that
// decides about the answers.
type login struct {
	names    *Names
	password string
	service  string
	client   uint32 // auth refuses two clients of the same id
	plain    []byte // the response before base64, reused
}

func newLogin(c *Config, _ Target, connection int) protocol {
	return &login{names: &c.Users.Names, password: c.Login.Password, service: c.Login.Service,
		// Far above the process ids of real login processes, and different for each of our
		// connections.
		client: 1<<31 | uint32(os.Getpid())<<14&(1<<31-1) | uint32(connection)}
}

func (p *login) greeting() []byte { return fmt.Appendf(nil, "VERSION\t1\t2\nCPID\t%d\n", p.client) }

func (p *login) appendRequest(b []byte, id, user uint32) []byte {
	p.plain = append(p.names.append(append(p.plain[:0], 0), user), 0)
	p.plain = append(p.plain, p.password...)
	b = append(appendID(append(b, "AUTH\t"...), id), "\tPLAIN\tservice="...)
	b = append(append(b, p.service...),
		"\tsecured\tlip=127.0.0.1\trip=127.0.0.1\tlport=143\trport=1024\tresp="...)
	return append(base64.StdEncoding.AppendEncode(b, p.plain), '\n')
}

func (*login) parse(b []byte) (int, answer, error) {
	line, n := cutLine(b)
	if n == 0 {
		return 0, answer{}, nil
	}
	a, err := parseReply(line, "OK")
	a.user = nil // auth may know the user by another name
	return n, a, err
}

func (*login) ordered() bool { return false }

// userdb drives director-userdb as LMTP does.
type userdb struct{ names *Names }

func newUserdb(c *Config, _ Target, _ int) protocol { return &userdb{names: &c.Users.Names} }

func (*userdb) greeting() []byte { return []byte("VERSION\t1\t0\n") }

func (p *userdb) appendRequest(b []byte, id, user uint32) []byte {
	b = append(appendID(append(b, "PASS\t"...), id), '\t')
	return append(p.names.append(b, user), "\tservice=lmtp\n"...)
}

func (*userdb) parse(b []byte) (int, answer, error) {
	line, n := cutLine(b)
	if n == 0 {
		return 0, answer{}, nil
	}
	a, err := parseReply(line, "PASS")
	a.user = nil
	return n, a, err
}

func (*userdb) ordered() bool { return false }
