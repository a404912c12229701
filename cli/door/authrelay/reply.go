package authrelay

import (
	"bytes"

	"directormesh/cli/dovecot/tabbed"
)

// reply is what a line of auth says about proxying. Its fields are unescaped; most are parts of the
// line.
type reply struct {
	user  []byte // user=, the first one
	name  []byte // whose backend is wanted: destuser=, else user=
	tag   []byte // director_tag=
	maybe bool   // director_proxy_maybe: not if the backend is the machine that asks
	lip   []byte // the address, and
	lport []byte // the port on which the client came in
	port  []byte // port= of the destination
}

// read reads the fields of a reply, without verb and id, into an empty one. It reports whether the
// reply is to be completed.
func (r *reply) read(fields []byte) bool {
	var wants, host, named bool
	for len(fields) > 0 {
		field := fields
		if i := bytes.IndexByte(fields, '\t'); i >= 0 {
			field, fields = fields[:i], fields[i+1:]
		} else {
			fields = nil
		}
		field = tabbed.UnescapeBytes(field)
		key, value := field, []byte(nil)
		equals := bytes.IndexByte(field, '=')
		if equals >= 0 {
			key, value = field[:equals], field[equals+1:]
		}
		switch string(key) {
		case "proxy":
			wants = true
		case "director_proxy_maybe":
			wants, r.maybe = true, true
		}
		if equals < 0 {
			continue // the others count only with a value, be it empty
		}
		switch string(key) {
		case "host":
			host = true
		case "user":
			if r.user == nil {
				r.user = value
			}
		case "destuser":
			named, r.name = true, value
		case "director_tag":
			r.tag = value
		case "lip":
			r.lip = value
		case "lport":
			r.lport = value
		case "port":
			r.port = value
		}
	}
	if !named {
		r.name = r.user
	}
	return wants && !host && r.name != nil
}

// cutEnding separates a line from its LF or CR LF, whichever of them it has.
func cutEnding(line []byte) (body, ending []byte) {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
		if n > 0 && line[n-1] == '\r' {
			n--
		}
	}
	return line[:n], line[n:]
}

// cutField returns the field before the next tab and what follows that; rest is nil if there is
// none.
func cutField(line []byte) (field, rest []byte) {
	if i := bytes.IndexByte(line, '\t'); i >= 0 {
		return line[:i], line[i+1:]
	}
	return line, nil
}
