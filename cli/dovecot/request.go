package dovecot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"directormesh/cli/api"
)

// request is one exchange over a unix socket.
type request struct {
	path string
	conn net.Conn
	r    *bufio.Reader
	stop func() bool
	ctx  context.Context
}

// begin connects and sends what there is to say. The connection ends with ctx.
func begin(ctx context.Context, path, text string) (*request, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, &unreachable{path, err}
	}
	q := &request{path: path, conn: conn, r: bufio.NewReaderSize(conn, maxLine), ctx: ctx}
	q.stop = context.AfterFunc(ctx, func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		defer q.end()
		return nil, q.failed(err)
	}
	return q, nil
}

// unreachable is the error of a socket that cannot be connected to, with what to look at.
type unreachable struct {
	path string
	err  error
}

func (u *unreachable) Error() string {
	return fmt.Sprintf("%s: %s; is Dovecot running, and may this user connect?",
		u.path, api.Cause(u.err))
}

func (u *unreachable) Unwrap() error { return u.err }

func (q *request) end() {
	q.stop()
	q.conn.Close()
}

// line reads a line, without its end.
func (q *request) line() (string, error) {
	line, err := q.bytes()
	return string(line), err
}

// bytes is line for many lines: what it returns is valid until the next one is read.
func (q *request) bytes() ([]byte, error) {
	raw, err := q.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%s: a line has over %d bytes", q.path, maxLine)
	case err != nil:
		return nil, q.failed(err)
	}
	return bytes.TrimSuffix(raw[:len(raw)-1], []byte("\r")), nil
}

// failed gives an error of the connection its reason.
func (q *request) failed(err error) error {
	switch {
	case q.ctx.Err() != nil:
		err = context.Cause(q.ctx)
	case err == io.EOF:
		err = errors.New("connection closed before the answer was complete")
	default:
		return fmt.Errorf("%s: %s", q.path, api.Cause(err))
	}
	return fmt.Errorf("%s: %w", q.path, err)
}
