package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// Bounds of what a server may send. Capabilities are the longest lines, well below 1 KB.
const (
	maxLine  = 8 << 10
	maxLines = 100
)

// conn is a connection to a server, of which lines are read.
type conn struct {
	ctx   context.Context
	check Check
	net.Conn
	in      *bufio.Reader
	awaited string // what the server has to do next, for the text of a failure
}

func newConn(ctx context.Context, check Check, c net.Conn) *conn {
	return &conn{
		ctx: ctx, check: check, Conn: c, in: bufio.NewReaderSize(c, maxLine), awaited: "greeting",
	}
}

// line reads a line, without its end.
func (c *conn) line() (string, error) {
	raw, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", &problem{BadAnswer, "a line is longer than 8 KB"}
	case errors.Is(err, io.EOF) && len(raw) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(raw), "\r\n"), nil
}

// lines reads lines until one is the last. It returns that one.
func (c *conn) lines(last func(line string) bool) (string, error) {
	for range maxLines {
		line, err := c.line()
		if err != nil || last(line) {
			return line, err
		}
	}
	return "", &problem{BadAnswer, "an answer has more than 100 lines"}
}

// say sends a command.
func (c *conn) say(command string) error { return c.sayTagged("", command) }

// sayTagged sends a command with something before it. Only the first word of the command gets into
// the text of a failure: there may be a password behind it.
func (c *conn) sayTagged(tag, command string) error {
	word, _, _ := strings.Cut(command, " ")
	c.awaited = "answer to " + word
	_, err := io.WriteString(c.Conn, tag+command+"\r\n")
	return err
}

// bye says goodbye, whether anybody hears it or not: the check is good already.
func (c *conn) bye(command string) error {
	_ = c.say(command)
	return nil
}

// startTLS begins TLS on a connection on which nothing else is on its way.
func (c *conn) startTLS() error {
	if c.in.Buffered() > 0 {
		// It came before the encryption and would be read after it.
		return &problem{BadTLS, "something was sent before TLS began"}
	}
	before := c.awaited
	c.awaited = handshake
	// Not verified: see the package comment.
	encrypted := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := encrypted.HandshakeContext(c.ctx); err != nil {
		return handshakeError(err)
	}
	c.Conn, c.in, c.awaited = encrypted, bufio.NewReaderSize(encrypted, maxLine), before
	return nil
}

// noStartTLS is the problem of a server that refuses to begin TLS.
func noStartTLS(said string) error {
	return &problem{BadTLS, "TLS refused with " + quote(said)}
}

// noLogin is the problem of a server that refuses the test user.
func noLogin(said string) error {
	return &problem{BadLogin, "login of the test user refused with " + quote(said)}
}
