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

// session is one connection. Its methods are for the connection's goroutine.
type session struct {
	*Server
	conn net.Conn
	who  string
	in   *bufio.Reader
	out  *bufio.Writer
	sink *sink
}

func newSession(s *Server, conn net.Conn) *session {
	k := &sink{conn: conn}
	return &session{
		Server: s,
		conn:   conn,
		who:    audit.Who(conn),
		in:     bufio.NewReaderSize(conn, maxLine),
		out:    bufio.NewWriterSize(k, writeBuffer),
		sink:   k,
	}
}

// run serves the connection to its end.
func (s *session) run() {
	err := s.converse()
	s.flush()
	if s.sink.late {
		s.metrics.refused.WithLabelValues(refusedUnread).Inc()
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.ending():
		s.metrics.refused.WithLabelValues(refusedIdle).Inc()
		s.log.Debug().Str("who", s.who).Msg("idle connection of doveadm closed")
	case errors.Is(err, errNotUnderstood):
		s.metrics.refused.WithLabelValues(refusedNonsense).Inc()
		s.limited("not understood").Warn().Str("who", s.who).Err(wording.Plain(err)).
			Msg("disconnected a client of doveadm's protocol")
	case err != nil:
		s.log.Debug().Str("who", s.who).Err(wording.Plain(err)).Msg("connection of doveadm ended")
	}
}

// converse returns nil when the client has hung up in good order.
func (s *session) converse() error {
	s.line(greeting)
	s.flush()
	if err := s.awaitCommand(s.conn, greetingTimeout); err != nil {
		return err
	}
	hello, err := s.readLine()
	if err != nil {
		return ended(err)
	}
	if !isGreeting(hello) {
		return fmt.Errorf("%w: the first line is %q, not %q", errNotUnderstood, shorten(hello), greeting)
	}
	for {
		if err := s.awaitCommand(s.conn, idleTimeout); err != nil {
			return err
		}
		line, err := s.readLine()
		if err != nil {
			return ended(err)
		}
		fields := tabbed.Fields(line)
		c, ok := s.commands[fields[0]]
		if !ok {
			return fmt.Errorf("%w: there is no command %q", errNotUnderstood, shorten(fields[0]))
		}
		s.metrics.commands.WithLabelValues(fields[0]).Inc()
		if err := c(s, fields[1:]); err != nil {
			return fmt.Errorf("%s: %w", fields[0], err)
		}
		s.flush()
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
func (s *session) readLine() (string, error) {
	line, err := s.in.ReadSlice('\n')
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
func (s *session) line(text string) {
	s.out.WriteString(text)
	s.out.WriteByte('\n')
}

// reply writes a reply that is a text of ours, whatever it may quote.
func (s *session) reply(text string) {
	s.out.Write(tabbed.AppendEscaped(s.out.AvailableBuffer(), text))
	s.out.WriteByte('\n')
}

func (s *session) flush() {
	// A sink does not fail: the client may be gone and its commands still run.
	_ = s.out.Flush()
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
