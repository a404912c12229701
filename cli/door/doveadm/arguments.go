package doveadm

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"directormesh/cli/api"
	"directormesh/ring"
)

// arguments are those of one command. Each method takes the next one; what is missing is read as
// empty where the protocol has it optional. Those beyond what a command takes are ignored.
type arguments struct{ rest []string }

// optional returns the next argument and whether there is one.
func (a *arguments) optional() (string, bool) {
	if len(a.rest) == 0 {
		return "", false
	}
	next := a.rest[0]
	a.rest = a.rest[1:]
	return next, true
}

func (a *arguments) required(what string) (string, error) {
	next, ok := a.optional()
	if !ok {
		return "", fmt.Errorf("%w: there is no %s", errNotUnderstood, what)
	}
	return next, nil
}

// ip returns an address that must be given.
func (a *arguments) ip() (api.IP, error) {
	text, err := a.required("address")
	if err != nil {
		return api.IP{}, err
	}
	return parseIP(text)
}

// optionalIP returns the zero address for one that is absent or empty, which stands for all.
func (a *arguments) optionalIP() (api.IP, error) {
	text, _ := a.optional()
	if text == "" {
		return api.IP{}, nil
	}
	return parseIP(text)
}

// taggedIP returns the address and tag of ip@tag; without @ the tag is empty.
func (a *arguments) taggedIP() (api.IP, string, error) {
	text, err := a.required("address")
	if err != nil {
		return api.IP{}, "", err
	}
	text, tag, _ := strings.Cut(text, "@")
	ip, err := parseIP(text)
	return ip, tag, err
}

// port returns 0 if none is given.
func (a *arguments) port() (int, error) {
	text, ok := a.optional()
	if !ok {
		return 0, nil
	}
	n, ok := parseNumber(text)
	if !ok || n == 0 || n > math.MaxUint16 {
		return 0, fmt.Errorf("%w: port %q", errNotUnderstood, shorten(text))
	}
	return int(n), nil
}

// parseVHosts reads a vhost count, which may be too large. The largest number of all means the same
// as none.
func parseVHosts(text string) (count uint32, given bool, err error) {
	n, ok := parseNumber(text)
	if !ok {
		return 0, false, fmt.Errorf("%w: vhost count %q", errNotUnderstood, shorten(text))
	}
	return n, n != math.MaxUint32, nil
}

func parseIP(text string) (api.IP, error) {
	addr, err := ring.ParseAddr(text)
	if err != nil {
		return api.IP{}, fmt.Errorf("%w: %w", errNotUnderstood, err)
	}
	return api.IP{Addr: addr}, nil
}

// parseNumber reads what fits into 32 bits and has nothing but digits.
func parseNumber(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || text[0] < '0' || text[0] > '9' {
		return 0, false
	}
	return uint32(n), true
}

// user returns whose hash an argument names: a number is the hash itself, anything else a name.
func (c *connection) user(text string) ring.UserHash {
	if h, ok := parseNumber(text); ok {
		return ring.UserHash(h)
	}
	return c.director.Hash(text)
}
