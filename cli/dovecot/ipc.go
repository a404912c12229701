package dovecot

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"directormesh/cli/dovecot/tabbed"
	"directormesh/ring"
)

// IPC is Dovecot 2.3's way to all its login processes. It knows those that have proxied at least
// once; it does not know connections of LMTP and doveadm.
//
// The numbers that kicks return are hints: with several login processes it is the number of the one
// that answered last.
type IPC struct {
	Path string // of the socket
}

// List returns the proxied connections, those on the way to their backend included.
func (c IPC) List(ctx context.Context) ([]Connection, error) {
	var list ipcList
	_, err := c.ask(ctx, list.add, "LIST-FULL")
	return list.connections, err
}

// KickUsers ends all connections of users by their exact login names.
func (c IPC) KickUsers(ctx context.Context, users ...string) (int, error) {
	return c.kick(ctx, "KICK", users...)
}

// KickField ends all connections of users with this value in a passdb field user_….
func (c IPC) KickField(ctx context.Context, field, value string) (int, error) {
	return c.kick(ctx, "KICK-ALT", field, value)
}

// KickHash ends all connections whose login name has this hash in Dovecot's own
// director_username_hash, but not those to keep (zero: all of them).
func (c IPC) KickHash(ctx context.Context, h ring.UserHash, keep netip.Addr) (int, error) {
	args := []string{strconv.FormatUint(uint64(h), 10)}
	if keep.IsValid() {
		args = append(args, ring.AddrText(keep))
	}
	return c.kick(ctx, "KICK-DIRECTOR-HASH", args...)
}

// KickHost ends all connections to a backend that the passdb's host= named in this way.
func (c IPC) KickHost(ctx context.Context, host string) (int, error) {
	return c.kick(ctx, "KICK-HOST", host)
}

func (c IPC) kick(ctx context.Context, command string, args ...string) (int, error) {
	answer, err := c.ask(ctx, func(string) error { return nil }, command, args...)
	if err != nil {
		return 0, err
	}
	switch answer {
	case "", "(null)": // no login process has proxied, or none of these is left
		return 0, nil
	}
	n, err := strconv.ParseUint(answer, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s: %s was answered with %q instead of a number",
			c.Path, command, answer)
	}
	return int(n), nil
}

// ask sends a command to all login processes. It hands the lines of data to each and returns what
// the last line says.
func (c IPC) ask(
	ctx context.Context, each func(line string) error, command string, args ...string,
) (string, error) {
	line := tabbed.Line(append([]string{"proxy", "*", command}, args...)...)
	q, err := begin(ctx, c.Path, line+"\n")
	if err != nil {
		return "", err
	}
	defer q.end()
	for {
		line, err := q.line()
		if err != nil {
			return "", err
		}
		switch {
		case strings.HasPrefix(line, ":"):
			if err := each(line[1:]); err != nil {
				return "", fmt.Errorf("%s: %w", c.Path, err)
			}
		case strings.HasPrefix(line, "+"):
			return line[1:], nil
		case strings.HasPrefix(line, "-"):
			return "", fmt.Errorf("%s: %s was refused: %q", c.Path, command, line[1:])
		default:
			return "", fmt.Errorf("%s: %q is no answer of Dovecot 2.3's ipc service", c.Path, line)
		}
	}
}

// ipcList collects the answer to LIST-FULL: for each login process a line with the names of the
// columns, then a line for each connection. Which columns there are depends on the process.
type ipcList struct {
	user, backend int   // columns
	fields        []int // columns of the user's passdb fields
	names         []string
	columns       []string // of a line; the memory is used again
	connections   []Connection
}

// firstColumn begins a line with names of columns. A user of that name has an IP where such a line
// has "dest-ip".
const firstColumn = "username"

func (l *ipcList) add(line string) error {
	l.columns = tabbed.AppendFields(l.columns[:0], line)
	columns := l.columns
	if columns[0] == firstColumn && slices.Contains(columns, "dest-ip") {
		l.names, l.fields = slices.Clone(columns), l.fields[:0]
		l.user, l.backend = 0, slices.Index(columns, "dest-ip")
		for i, name := range columns {
			if strings.HasPrefix(name, fieldPrefix) {
				l.fields = append(l.fields, i)
			}
		}
		return nil
	}
	if l.names == nil {
		return errors.New("list begins without the names of its columns")
	}
	if len(columns) != len(l.names) {
		return fmt.Errorf("a connection has %d columns instead of %d", len(columns), len(l.names))
	}
	if len(l.connections) == maxConnections {
		return fmt.Errorf("list has over %d connections", maxConnections)
	}
	connection := Connection{User: columns[l.user], Backend: parseBackend(columns[l.backend])}
	for _, i := range l.fields {
		if columns[i] != "" {
			connection.Fields = append(connection.Fields,
				Field{Name: l.names[i], Value: columns[i]})
		}
	}
	l.connections = append(l.connections, connection)
	return nil
}
