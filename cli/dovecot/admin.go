package dovecot

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"directormesh/cli/dovecot/tabbed"
)

// Admin is the sockets of Dovecot 2.4's login processes. Only they know connections that are still
// on the way to their backend.
type Admin struct {
	BaseDir string // Dovecot's base_dir
}

const (
	adminHello = "VERSION\tmaster-admin-client\t1\t0\n"
	adminReply = "VERSION\tmaster-admin-server\t1\t"
)

// Processes returns the sockets of all login processes, by process id.
func (a Admin) Processes() (map[int]string, error) {
	dirs, err := filepath.Glob(filepath.Join(a.BaseDir, "srv.*-login"))
	if err != nil {
		return nil, err
	}
	sockets := make(map[int]string)
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if pid, err := strconv.Atoi(e.Name()); err == nil {
				sockets[pid] = filepath.Join(dir, e.Name())
			}
		}
	}
	return sockets, nil
}

// KickUser ends all connections of a user in the login process behind a socket, and returns how
// many.
func (a Admin) KickUser(ctx context.Context, socket, user string) (int, error) {
	q, err := begin(ctx, socket, adminHello+tabbed.Line("KICK-USER", user)+"\n")
	if err != nil {
		return 0, err
	}
	defer q.end()
	reply, err := q.line()
	if err != nil {
		return 0, err
	}
	if !strings.HasPrefix(reply, adminReply) {
		return 0, fmt.Errorf("%s: %q is no greeting of a login process of Dovecot 2.4",
			socket, reply)
	}
	answer, err := q.line()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(answer, "+"), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s: KICK-USER was answered with %q instead of a number",
			socket, answer)
	}
	return int(n), nil
}
