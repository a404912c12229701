package load

import "fmt"

// authreply drives director-authreply: the client sends the reply lines that an auth would send.
type authreply struct {
	names *Names
	tail  []byte // what follows the user
}

func newAuthreply(c *Config, _ Target, _ int) protocol {
	p := &authreply{names: &c.Users.Names, tail: []byte("\tproxy\tpass=secret\n")}
	if c.Tag != "" {
		p.tail = []byte("\tproxy\tpass=secret\tdirector_tag=" + c.Tag + "\n")
	}
	return p
}

func (*authreply) greeting() []byte { return []byte("VERSION\tdirector-authreply-client\t1\t0\n") }

func (p *authreply) appendRequest(b []byte, id, user uint32) []byte {
	b = append(appendID(append(b, "OK\t"...), id), "\tuser="...)
	return append(p.names.append(b, user), p.tail...)
}

func (*authreply) parse(b []byte) (int, answer, error) {
	line, n := cutLine(b)
	if n == 0 {
		return 0, answer{}, nil
	}
	a, err := parseReply(line, "OK")
	return n, a, err
}

func (*authreply) ordered() bool { return false }

// unexpected is the error for what no director says.
func unexpected(line []byte) error {
	const most = 80
	return fmt.Errorf("the director's answer %.*q cannot be understood", most, line)
}
