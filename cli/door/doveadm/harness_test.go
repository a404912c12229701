package doveadm

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/doortest"
	"directormesh/cli/door/httpapi/httpapitest"
)

// serve serves a director on l until the test ends.
func serve(t *testing.T, d Director, l net.Listener, cfg Config) *Server {
	t.Helper()
	cfg.Director = d
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// serveSample serves a director on a pipe and returns what dials it.
func serveSample(t *testing.T, d Director) *doortest.PipeListener {
	t.Helper()
	l := doortest.NewPipeListener()
	serve(t, d, l, Config{Log: zerolog.Nop()})
	return l
}

// client is the other end of a connection, greeted.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func greet(t *testing.T, conn net.Conn) *client {
	t.Helper()
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	t.Cleanup(func() { conn.Close() })
	if got := c.read(); got != greeting {
		t.Fatalf("greeted with %q", got)
	}
	c.send(greeting)
	return c
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
		c.t.Errorf("sending %q: %v", line, err)
	}
}

// read returns the next line, or "(closed)".
func (c *client) read() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "(closed)"
	}
	return strings.TrimSuffix(line, "\n")
}

// ask sends a command and returns the reply's first line.
func (c *client) ask(command string) string {
	c.t.Helper()
	c.send(command)
	return c.read()
}

// list sends a command and returns the lines of the list.
func (c *client) list(command string) []string {
	c.t.Helper()
	lines := []string{}
	for line := c.ask(command); line != ""; line = c.read() {
		lines = append(lines, line)
		if line == "(closed)" {
			break
		}
	}
	return lines
}

func failing(code api.Code, text string) func(api.Operation) (api.Outcome, error) {
	return func(api.Operation) (api.Outcome, error) {
		return api.Outcome{}, api.Errorf(code, "%s", text)
	}
}

// gone waits until the server has ended a connection, and fails the test if it does not.
func (c *client) gone() {
	c.t.Helper()
	// fails for a pipe that is closed already
	_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if rest, err := io.ReadAll(c.in); err != nil || len(rest) > 0 {
		c.t.Errorf("instead of the end of the connection came %q, %v", rest, err)
	}
}

var ip = httpapitest.IP
