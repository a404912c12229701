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

// Anvil is Dovecot 2.4's register of connections. A connection is in it from when its backend has
// accepted the login until it ends; those of LMTP and doveadm never are. Its numbers are sums over
// all login processes.
type Anvil struct {
	Path string // of the socket
}

const (
	anvilHello = "VERSION\tanvil-client\t2\t0\n\n" // the empty line: nothing is multiplexed
	anvilReply = "VERSION\tanvil-server\t2\t"
)

// List returns the proxied connections that have reached their backend.
func (a Anvil) List(ctx context.Context) ([]Connection, error) {
	q, err := a.ask(ctx, "CONNECT-DUMP")
	if err != nil {
		return nil, err
	}
	defer q.end()
	head, err := q.line()
	if err != nil {
		return nil, err
	}
	list := anvilList{names: tabbed.Fields(head)}
	for {
		line, err := q.bytes()
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			return list.connections, nil
		}
		if err := list.add(line); err != nil {
			return nil, fmt.Errorf("%s: %w", a.Path, err)
		}
	}
}

// kicksAtOnce is how many users one connection kicks: the answers fit into any buffer, so nobody
// waits for the other.
const kicksAtOnce = 500

// KickUsers ends all connections of users by their exact login names, and returns how many.
func (a Anvil) KickUsers(ctx context.Context, users ...string) (count int, err error) {
	const command = "KICK-USER"
	for some := range slices.Chunk(users, kicksAtOnce) {
		var lines []string
		for _, user := range some {
			lines = append(lines, tabbed.Line(command, user))
		}
		n, err := a.kick(ctx, command, lines...)
		count += n
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

// KickField ends all connections of users with this value in a passdb field user_…, but not those
// to keep (zero: all of them), and returns how many.
func (a Anvil) KickField(ctx context.Context, field, value string, keep netip.Addr) (int, error) {
	args := []string{field, value}
	if keep.IsValid() {
		args = append(args, ring.AddrText(keep))
	}
	const command = "KICK-ALT-USER"
	return a.kick(ctx, command, tabbed.Line(append([]string{command}, args...)...))
}

// kick sends lines that are all of one command and adds up the answers.
func (a Anvil) kick(ctx context.Context, command string, lines ...string) (count int, err error) {
	q, err := a.ask(ctx, lines...)
	if err != nil {
		return 0, err
	}
	defer q.end()
	for range lines {
		answer, err := q.line()
		if err != nil {
			return count, err
		}
		n, err := strconv.ParseUint(answer, 10, 31)
		if err != nil {
			return count, fmt.Errorf("%s: %s was answered with %q instead of a number",
				a.Path, command, answer)
		}
		count += int(n)
	}
	return count, nil
}

// ask sends lines and returns the request at the beginning of their answers.
func (a Anvil) ask(ctx context.Context, lines ...string) (*request, error) {
	q, err := begin(ctx, a.Path, anvilHello+strings.Join(lines, "\n")+"\n")
	if err != nil {
		return nil, err
	}
	reply, err := q.line()
	if err == nil && !strings.HasPrefix(reply, anvilReply) {
		err = fmt.Errorf("%s: %q is no greeting of Dovecot 2.4's anvil service", a.Path, reply)
	}
	if err != nil {
		q.end()
		return nil, err
	}
	return q, nil
}

// anvilList collects the answer to CONNECT-DUMP.
type anvilList struct {
	connectionList
	names   []string // of the passdb fields that follow the other columns
	columns [][]byte // of a line; the memory is used again
}

// anvilColumns: process id, user, service, client's IP, id of the connection, backend's IP.
const anvilColumns = 6

// add reads a line, which it does not keep.
func (l *anvilList) add(line []byte) error {
	l.columns = tabbed.AppendFields(l.columns[:0], line)
	columns := l.columns
	if len(columns) < anvilColumns {
		return fmt.Errorf("a connection has %d columns instead of %d", len(columns), anvilColumns)
	}
	pid, err := strconv.ParseUint(string(columns[0]), 10, 31)
	if err != nil {
		return errors.New("a connection has no process id")
	}
	backend := l.backend(columns[5])
	if !backend.IsValid() {
		return nil // served here, not proxied
	}
	return l.connectionList.add(columns[1], backend, int(pid), l.names, columns[anvilColumns:])
}
