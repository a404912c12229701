package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"directormesh/cli/api"
	"directormesh/mesh/wording"
)

// Word says in one word how a check failed.
type Word string

// The words.
const (
	Refused     Word = "refused"     // nothing listens there
	Unreachable Word = "unreachable" // no connection came about
	Timeout     Word = "timeout"     // what was awaited did not come in time
	Closed      Word = "closed"      // the connection broke off
	BadTLS      Word = "tls"         // TLS is not offered or fails
	BadAnswer   Word = "answer"      // it is not what a server of this protocol says
	NotServing  Word = "not_serving" // the server says that it does not serve now
	BadLogin    Word = "login"       // the test user cannot log in
	Failed      Word = "failed"      // anything else, on this side
)

// Words returns all words.
func Words() []Word {
	return []Word{
		Refused, Unreachable, Timeout, Closed, BadTLS, BadAnswer, NotServing, BadLogin, Failed,
	}
}

// Failure is what is wrong with a server.
type Failure struct {
	Check Check
	Word  Word
	Text  string // one line, escaped
}

func (f *Failure) Error() string { return f.Check.String() + ": " + f.Text }

// problem is a failure within a dialogue.
type problem struct {
	word Word
	text string
}

func (p *problem) Error() string { return p.text }

// maxQuoted bounds what is quoted of a server's text, in bytes.
const maxQuoted = 80

// quote returns what a server said, shortened and escaped.
func quote(said string) string {
	if len(said) > maxQuoted {
		said = strings.ToValidUTF8(said[:maxQuoted], "") + "…"
	}
	return `"` + api.Visible(said) + `"`
}

func unexpected(what, said string) error {
	return &problem{BadAnswer, "unexpected " + what + " " + quote(said)}
}

// failureOf returns what an error of a check means that came while the server was to do what is
// awaited; "" before there was a connection.
func failureOf(check Check, awaited string, err error) *Failure {
	f := &Failure{Check: check, Word: Failed, Text: api.Visible(wording.Text(err.Error()))}
	var own *problem
	var network net.Error
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &own):
		f.Word = own.word
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network) && network.Timeout(), errors.Is(err, syscall.ETIMEDOUT):
		f.Word, f.Text = Timeout, "no "+cmp.Or(awaited, "connection")+" in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Word, f.Text = Refused, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.ENETDOWN):
		f.Word = Unreachable
	case errors.As(err, &record):
		f.Word, f.Text = BadTLS, "no TLS is spoken there"
	case errors.As(err, &alert):
		f.Word = BadTLS
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		f.Word, f.Text = Closed, "the connection broke off"
		if awaited != "" {
			f.Text += " before the " + awaited
		}
	}
	if len(f.Text) > 3*maxQuoted {
		f.Text = strings.ToValidUTF8(f.Text[:3*maxQuoted], "") + "…"
	}
	return f
}

// handshake is what is awaited of a server that begins TLS.
const handshake = "TLS handshake"

// handshakeError is an error of a TLS handshake.
func handshakeError(err error) error {
	f := failureOf(Check{}, handshake, err)
	if f.Word == Failed {
		f.Word = BadTLS
	}
	return &problem{f.Word, f.Text}
}
