package flushscript

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"directormesh/ring"
)

// Flush is one user who is moved.
type Flush struct {
	Hash    ring.UserHash
	Old     ring.Backend
	New     netip.Addr
	NewName string // host name of the new backend, "" if it has none
}

// args are the arguments of a script.
func (f Flush) args() []string {
	state := "up"
	if f.Old.Down {
		state = "down"
	}
	return []string{
		"FLUSH",
		strconv.FormatUint(uint64(f.Hash), 10),
		ring.AddrText(f.Old.Addr),
		ring.AddrText(f.New),
		state,
		strconv.Itoa(f.Old.VHosts),
	}
}

// Script is the operator's script. It does not change and is safe for concurrent use.
type Script struct {
	kind   string // unix, tcp or exec
	target string // with %i and %h
}

// Parse reads the value of --flush-socket.
func Parse(uri string) (Script, error) {
	kind, target, ok := strings.Cut(uri, ":")
	s := Script{kind: kind, target: target}
	switch {
	case !ok || kind != "unix" && kind != "tcp" && kind != "exec":
		return s, fmt.Errorf(
			"%q does not begin with one of the kinds unix:PATH, tcp:HOST:PORT and exec:PROGRAM",
			uri)
	case target == "":
		return s, fmt.Errorf("%q names nothing after %q", uri, kind+":")
	case kind != "tcp" && !filepath.IsAbs(target):
		return s, fmt.Errorf("%q is not an absolute path", target)
	}
	if kind == "tcp" {
		if _, port, err := net.SplitHostPort(target); err != nil {
			return s, fmt.Errorf("%q is not HOST:PORT", target)
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return s, fmt.Errorf("%q is no port", port)
		}
	}
	_, err := expand(target, "", "")
	return s, err
}

// at returns the target for one flush.
func (s Script) at(f Flush) (string, error) {
	ip, name := ring.AddrText(f.New), f.NewName
	if s.kind == "tcp" && strings.Contains(ip, ":") && !strings.Contains(s.target, "[") {
		ip = "[" + ip + "]" // HOST:PORT wants it
	}
	if name == "" {
		name = ip
	}
	return expand(s.target, ip, name)
}

// expand puts in the variables.
func expand(text, ip, name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		if i++; i == len(text) {
			return "", errors.New("a lone % at the end; write %% for a percent sign")
		}
		switch text[i] {
		case 'i':
			b.WriteString(ip)
		case 'h':
			b.WriteString(name)
		case '%':
			b.WriteByte('%')
		default:
			return "", fmt.Errorf("unknown variable %q; there are %%i and %%h", text[i-1:i+1])
		}
	}
	return b.String(), nil
}
