package doveadm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"directormesh/cli/door/audit"
	"directormesh/cli/dovecot/tabbed"

	"directormesh/mesh/wording"
)

const (
	// maxLine bounds a command, its LF included.
	maxLine = 1024
	// greeting is what each side says first; poolmon compares the whole line.
	greeting = "VERSION\tdirector-doveadm\t1\t0"

	greetingTimeout = 30 * time.Second // for the client's greeting
	idleTimeout     = time.Hour        // between commands
	writeTimeout    = 30 * time.Second // for each piece of a reply
	writeBuffer     = 16 << 10
)

// errNotUnderstood ends a connection without a reply: the protocol has none for lines that make no
// sense.
var errNotUnderstood = errors.New("not understood")

// errStopping ends a connection because the server is closed.
var errStopping = errors.New("director is stopping")

// connection is a client's connection. Its methods are for the connection's goroutine.
type connection struct {
	*Server
	conn net.Conn
	who  string
	in   *bufio.Reader
	out  *bufio.Writer
	sink *sink
}

func newConnection(s *Server, conn net.Conn) *connection {
	k := &sink{conn: conn}
	return &connection{
		Server: s,
		conn:   conn,
		who:    audit.Who(conn),
		in:     bufio.NewReaderSize(conn, maxLine),
		out:    bufio.NewWriterSize(k, writeBuffer),
		sink:   k,
	}
}

// run serves the connection to its end.
func (c *connection) run() {
	err := c.converse()
	c.flush()
	if c.sink.late {
		c.metrics.refused.WithLabelValues(refusedUnread).Inc()
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.ending():
		c.metrics.refused.WithLabelValues(refusedIdle).Inc()
		c.log.Debug().Str("who", c.who).Msg("idle connection of doveadm closed")
	case errors.Is(err, errNotUnderstood):
		c.metrics.refused.WithLabelValues(refusedProtocol).Inc()
		c.limited("not understood").Warn().Str("who", c.who).Err(wording.Plain(err)).
			Msg("disconnected a client of doveadm's protocol")
	case err != nil:
		c.log.Debug().Str("who", c.who).Err(wording.Plain(err)).Msg("connection of doveadm ended")
	}
}

// converse returns nil when the client has hung up in good order.
func (c *connection) converse() error {
	c.line(greeting)
	c.flush()
	if err := c.awaitCommand(c.conn, greetingTimeout); err != nil {
		return err
	}
	hello, err := c.readLine()
	if err != nil {
		return ended(err)
	}
	if !isGreeting(hello) {
		return fmt.Errorf("%w: the first line is %q, not %q",
			errNotUnderstood, shorten(hello), greeting)
	}
	for {
		if err := c.awaitCommand(c.conn, idleTimeout); err != nil {
			return err
		}
		line, err := c.readLine()
		if err != nil {
			return ended(err)
		}
		fields := tabbed.Fields(line)
		run, ok := c.commands[fields[0]]
		if !ok {
			return fmt.Errorf("%w: there is no command %q", errNotUnderstood, shorten(fields[0]))
		}
		c.metrics.commands.WithLabelValues(fields[0]).Inc()
		if err := run(c, fields[1:]); err != nil {
			return fmt.Errorf("%s: %w", fields[0], err)
		}
		c.flush()
	}
}

// isGreeting reports whether a client speaks this protocol in its first major version, whatever the
// minor one.
func isGreeting(line string) bool {
	fields := strings.Split(line, "\t")
	if len(fields) != 4 || fields[0] != "VERSION" || fields[1] != "director-doveadm" {
		return false
	}
	major, _ := parseNumber(fields[2])
	_, ok := parseNumber(fields[3])
	return major == 1 && ok
}

// readLine returns the next line without its end. A last line without LF was never finished and
// does not count.
func (c *connection) readLine() (string, error) {
	line, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", fmt.Errorf("%w: a line of more than %d bytes", errNotUnderstood, maxLine)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// ended says what is to be thought of the end of reading.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// shorten makes a text from outside fit for the log.
func shorten(text string) string {
	const most = 60
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// line writes a line of one field that needs no escapes.
func (c *connection) line(text string) {
	c.out.WriteString(text)
	c.out.WriteByte('\n')
}

// reply writes a reply that is a text of ours, whatever it may quote.
func (c *connection) reply(text string) {
	c.out.Write(tabbed.AppendEscaped(c.out.AvailableBuffer(), text))
	c.out.WriteByte('\n')
}

func (c *connection) flush() {
	// A sink does not fail: the client may be gone and its commands still run.
	_ = c.out.Flush()
}

// sink writes to the client as long as it takes what is written; after that it swallows everything.
type sink struct {
	conn net.Conn
	gone bool
	late bool // gone because it did not read
}

func (k *sink) Write(b []byte) (int, error) {
	if k.gone {
		return len(b), nil
	}
	err := k.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = k.conn.Write(b)
	}
	k.gone, k.late = err != nil, errors.Is(err, os.ErrDeadlineExceeded)
	return len(b), nil
}
