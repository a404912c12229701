package dovecot

import (
	"net/netip"

	"directormesh/ring"
)

// Connection is a proxied connection as Dovecot lists it.
type Connection struct {
	User    string     // login name
	Backend netip.Addr // where it is proxied to
	PID     int        // of its login process; 0: Dovecot 2.3 does not tell
	Fields  []Field    // the passdb fields user_… that the user has
}

// Field is a passdb field of a user.
type Field struct{ Name, Value string }

// Field returns the value of a passdb field, "" if the user has none of this name.
func (c Connection) Field(name string) string {
	for _, f := range c.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

const (
	// maxLine bounds a line from Dovecot. Its own limit for user names and fields is far below.
	maxLine = 64 << 10
	// maxConnections bounds a list.
	maxConnections = 2_000_000
)

// fieldPrefix begins the names of passdb fields that Dovecot keeps for kicking.
const fieldPrefix = "user_"

// fieldRoom is memory for the fields of many connections: one allocation for each is a fifth of the
// time that a list takes.
type fieldRoom struct{ free []Field }

// roomFields is how many fields an allocation has room for.
const roomFields = 256

// add returns the fields that have a value. names and values belong together; either may be
// shorter.
func (r *fieldRoom) add(names, values []string) []Field {
	values = values[:min(len(values), len(names))]
	if cap(r.free)-len(r.free) < len(values) {
		r.free = make([]Field, 0, max(roomFields, len(values)))
	}
	from := len(r.free)
	for i, value := range values {
		if value != "" {
			r.free = append(r.free, Field{Name: names[i], Value: value})
		}
	}
	if len(r.free) == from {
		return nil
	}
	return r.free[from:len(r.free):len(r.free)]
}

// parseBackend returns the zero address for one that cannot be read: connections that are not
// proxied have none.
func parseBackend(text string) netip.Addr {
	addr, err := ring.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
