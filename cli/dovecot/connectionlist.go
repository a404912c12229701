package dovecot

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	// maxConnections bounds a list. Each takes about 150 bytes.
	maxConnections = 5_000_000
	// maxBackends is how many addresses are remembered while a list is read.
	maxBackends = 10_000
	// roomFields and roomText are how much is allocated at once.
	roomFields = 256
	roomText   = 16 << 10
)

// connectionList collects connections. There may be millions: it keeps none of the lines, and
// allocates for many connections at once.
type connectionList struct {
	connections []Connection
	backends    map[string]netip.Addr // what has been parsed
	fields      []Field               // with room for more
	text        strings.Builder       // with room for more
}

// add adds a connection. names and values are its passdb fields and belong together; either may be
// shorter. A value may be empty.
func (l *connectionList) add(
	user []byte, backend netip.Addr, pid int, names []string, values [][]byte,
) error {
	if len(l.connections) == maxConnections {
		return fmt.Errorf("list has over %d connections", maxConnections)
	}
	if len(l.connections) == cap(l.connections) { // append alone would copy a large list often
		l.connections = slices.Grow(l.connections, max(64, len(l.connections)))
	}
	l.connections = append(l.connections, Connection{
		User: l.keep(user), Backend: backend, PID: pid, Fields: l.keepFields(names, values),
	})
	return nil
}

// keepFields returns the fields that have a value.
func (l *connectionList) keepFields(names []string, values [][]byte) []Field {
	values = values[:min(len(values), len(names))]
	if cap(l.fields)-len(l.fields) < len(values) {
		l.fields = make([]Field, 0, max(roomFields, len(values)))
	}
	from := len(l.fields)
	for i, value := range values {
		if len(value) > 0 {
			l.fields = append(l.fields, Field{Name: names[i], Value: l.keep(value)})
		}
	}
	if len(l.fields) == from {
		return nil
	}
	return l.fields[from:len(l.fields):len(l.fields)]
}

// keep returns the text of bytes that will change.
func (l *connectionList) keep(text []byte) string {
	if l.text.Cap()-l.text.Len() < len(text) {
		l.text = strings.Builder{}
		l.text.Grow(max(roomText, len(text)))
	}
	from := l.text.Len()
	l.text.Write(text)
	return l.text.String()[from:]
}

// backend parses an address. A list has few, again and again.
func (l *connectionList) backend(text []byte) netip.Addr {
	addr, known := l.backends[string(text)]
	if known {
		return addr
	}
	addr = parseBackend(string(text))
	if l.backends == nil {
		l.backends = make(map[string]netip.Addr)
	}
	if len(l.backends) < maxBackends {
		l.backends[string(text)] = addr
	}
	return addr
}
