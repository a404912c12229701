package dovecot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

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
	answer, err := c.ask(ctx, func([]byte) error { return nil }, command, args...)
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

// ask sends a command to all login processes. It hands the lines of data to each, which must not
// keep them, and returns what the last line says.
func (c IPC) ask(
	ctx context.Context, each func(line []byte) error, command string, args ...string,
) (string, error) {
	line := tabbed.Line(append([]string{"proxy", "*", command}, args...)...)
	q, err := begin(ctx, c.Path, line+"\n")
	if err != nil {
		return "", err
	}
	defer q.end()
	for {
		line, err := q.bytes()
		if err != nil {
			return "", err
		}
		switch kind, rest := cutKind(line); kind {
		case ':':
			if err := each(rest); err != nil {
				return "", fmt.Errorf("%s: %w", c.Path, err)
			}
		case '+':
			return string(rest), nil
		case '-':
			return "", fmt.Errorf("%s: %s was refused: %q", c.Path, command, rest)
		default:
			return "", fmt.Errorf("%s: %q is no answer of Dovecot 2.3's ipc service", c.Path, line)
		}
	}
}

// cutKind cuts off the byte that says what a line is; 0: there is none.
func cutKind(line []byte) (kind byte, rest []byte) {
	if len(line) == 0 {
		return 0, nil
	}
	return line[0], line[1:]
}

// ipcList collects the answer to LIST-FULL: for each login process a line with the names of the
// columns, then a line for each connection. Which columns there are depends on the process.
type ipcList struct {
	connectionList
	all        int      // columns; 0: not known yet
	user, dest int      // columns
	fields     []int    // columns of the user's passdb fields
	names      []string // of these
	columns    [][]byte // of a line; the memory is used again
	values     [][]byte // of its fields; the same
}

// firstColumn begins a line with names of columns. A user of that name has an IP where such a line
// has destColumn.
const (
	firstColumn = "username"
	destColumn  = "dest-ip"
)

// add reads a line, which it does not keep.
func (l *ipcList) add(line []byte) error {
	l.columns = tabbed.AppendFields(l.columns[:0], line)
	columns := l.columns
	if string(columns[0]) == firstColumn && l.begin(columns) {
		return nil
	}
	if l.all == 0 {
		return errors.New("list begins without the names of its columns")
	}
	if len(columns) != l.all {
		return fmt.Errorf("a connection has %d columns instead of %d", len(columns), l.all)
	}
	l.values = l.values[:0]
	for _, i := range l.fields {
		l.values = append(l.values, columns[i])
	}
	const unknown = 0 // the process id
	backend := l.backend(columns[l.dest])
	return l.connectionList.add(columns[l.user], backend, unknown, l.names, l.values)
}

// begin takes the names of columns, if these are such.
func (l *ipcList) begin(columns [][]byte) bool {
	dest := slices.IndexFunc(columns, func(c []byte) bool { return string(c) == destColumn })
	if dest < 0 {
		return false
	}
	l.all, l.user, l.dest = len(columns), 0, dest
	l.fields, l.names = l.fields[:0], nil
	for i, name := range columns {
		if bytes.HasPrefix(name, []byte(fieldPrefix)) {
			l.fields, l.names = append(l.fields, i), append(l.names, string(name))
		}
	}
	return true
}
