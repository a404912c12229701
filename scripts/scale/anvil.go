//go:build scale

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// anvil answers as Dovecot 2.4's does, for a Dovecot with these sessions, or with none: then
// kickers know that there is nothing to kick.
type anvil struct {
	l       net.Listener
	running sync.WaitGroup

	mu       sync.Mutex        // guards what follows
	sessions map[string]string // lines of the list, by login name
	lists    int               // that were asked for
	kicked   int               // sessions
}

// loggedIn is a user with a session.
type loggedIn struct {
	user    string
	backend netip.Addr
}

func newAnvil(path string, sessions []loggedIn) (*anvil, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	a := &anvil{l: l, sessions: make(map[string]string, len(sessions))}
	for i, s := range sessions {
		a.sessions[s.user] = fmt.Sprintf("%d\t%s\timap-login\t192.0.2.1\t%032x\t%s\n",
			i+1, s.user, i, s.backend)
	}
	a.running.Go(a.serve)
	return a, nil
}

func (a *anvil) serve() {
	for {
		c, err := a.l.Accept()
		if err != nil {
			return
		}
		a.running.Go(func() {
			defer c.Close()
			a.answer(c)
		})
	}
}

// answer answers one connection's requests.
func (a *anvil) answer(c io.ReadWriter) {
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	_, _ = w.WriteString("VERSION\tanvil-server\t2\t0\n") // Flush reports it
	for w.Flush() == nil {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		command, argument, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		switch command {
		case "CONNECT-DUMP":
			_, _ = w.WriteString(a.list())
		case "KICK-USER":
			_, _ = fmt.Fprintf(w, "%d\n", a.kick(argument))
		case "KICK-ALT-USER":
			_, _ = w.WriteString("0\n") // no session has a field
		}
	}
}

func (a *anvil) list() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists++
	var b strings.Builder
	b.WriteByte('\n') // no fields
	for _, line := range a.sessions {
		b.WriteString(line)
	}
	b.WriteByte('\n')
	return b.String()
}

func (a *anvil) kick(user string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.sessions[user]; !ok {
		return 0
	}
	delete(a.sessions, user)
	a.kicked++
	return 1
}

// counts are the lists asked for and the sessions ended so far, and the sessions left.
func (a *anvil) counts() (lists, kicked, left int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.kicked, len(a.sessions)
}

// close ends it. Connections end with the directors.
func (a *anvil) close() error {
	err := a.l.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
