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

// maxLine bounds a line from Dovecot. Its own limit for user names and fields is far below.
const maxLine = 64 << 10

// fieldPrefix begins the names of passdb fields that Dovecot keeps for kicking.
const fieldPrefix = "user_"

// parseBackend returns the zero address for one that cannot be read: connections that are not
// proxied have none.
func parseBackend(text string) netip.Addr {
	addr, err := ring.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
