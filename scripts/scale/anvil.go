//go:build scale

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
)

// emptyAnvil answers as Dovecot 2.4's anvil where nobody is logged in, so that kickers know that there is nothing to kick.
type emptyAnvil struct {
	l       net.Listener
	running sync.WaitGroup
}

func newEmptyAnvil(path string) (*emptyAnvil, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	a := &emptyAnvil{l: l}
	a.running.Go(a.serve)
	return a, nil
}

func (a *emptyAnvil) serve() {
	for {
		c, err := a.l.Accept()
		if err != nil {
			return
		}
		a.running.Go(func() {
			defer c.Close()
			r := bufio.NewReader(c)
			_, _ = io.WriteString(c, "VERSION\tanvil-server\t2\t0\n")
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				answer := ""
				switch {
				case strings.HasPrefix(line, "CONNECT-DUMP"):
					answer = "pid\tusername\tservice\tip\tconn_guid\tdest_ip\n\n"
				case strings.HasPrefix(line, "KICK-"):
					answer = "0\n"
				}
				if _, err := io.WriteString(c, answer); err != nil {
					return
				}
			}
		})
	}
}

func (a *emptyAnvil) close() error {
	err := a.l.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
