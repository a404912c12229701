package authrelay

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"directormesh/cli/dovecot/tabbed"
	"directormesh/ring"
)

// completer knows how replies are completed. It does not change, so any number of goroutines may
// use it.
type completer struct {
	format    ring.HashFormat
	separator byte // 0: none
	// the field proxy_refresh with its tab, empty if it is not sent
	refresh []byte
	mark    func(hash ring.UserHash, backend netip.Addr, own bool) string // may be nil
}

func newCompleter(cfg Config) *completer {
	c := &completer{format: cfg.HashFormat, separator: cfg.Separator, mark: cfg.Mark}
	if seconds := int64(cfg.ProxyRefresh / time.Second); seconds > 0 {
		c.refresh = strconv.AppendInt([]byte("\tproxy_refresh="), seconds, 10)
	}
	return c
}

// hash returns whose backend a reply wants.
func (c *completer) hash(r *reply) ring.UserHash { return c.format.Hash(string(c.login(r.name))) }

// login returns a name without the master user in it.
func (c *completer) login(name []byte) []byte {
	if c.separator != 0 {
		if i := bytes.IndexByte(name, c.separator); i >= 0 {
			return name[:i]
		}
	}
	return name
}

// append appends the reply to out, with its backend. body is the line as it came, without its
// ending. It reports a lip or port that could not be read; it counts as absent then.
func (c *completer) append(out, body, ending []byte, r *reply, p assignment) (_ []byte, err error) {
	out = append(out, body...)
	local := false
	if r.maybe {
		local, err = r.asksItself(p.backend)
	}
	if !local {
		out = append(append(out, c.refresh...), "\thost="...)
		if p.name != "" {
			out = append(tabbed.AppendEscaped(out, p.name), "\thostip="...)
		}
		out = ring.AppendAddrText(out, p.backend)
		if c.mark != nil {
			if field := c.mark(p.hash, p.backend, c.tellsHash(r, p.hash)); field != "" {
				out = append(append(out, '\t'), field...)
			}
		}
	}
	return append(out, ending...), err
}

// tellsHash reports whether the user of a reply has the hash that was looked up for it.
func (c *completer) tellsHash(r *reply, h ring.UserHash) bool {
	own, looked := c.login(r.user), c.login(r.name)
	return bytes.Equal(own, looked) || c.format.Hash(string(own)) == h
}

// asksItself reports whether the backend is the machine, and the port the one, on which the client
// came in.
func (r *reply) asksItself(backend netip.Addr) (bool, error) {
	lip, lipErr := parseField(r.lip, ring.ParseAddr)
	lport, lportErr := parseField(r.lport, parsePort)
	port, portErr := parseField(r.port, parsePort)
	err := lipErr
	if err == nil {
		err = lportErr
	}
	if err == nil {
		err = portErr
	}
	return lip == backend && (lport == port || lport == 0 || port == 0), err
}

// parseField reads a field that may be absent.
func parseField[T any](text []byte, parse func(string) (T, error)) (value T, err error) {
	if text == nil {
		return value, nil
	}
	return parse(string(text))
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, err
	}
	return uint16(n), nil
}
