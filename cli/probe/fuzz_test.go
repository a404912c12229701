package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// said is a connection from which a fixed text is read and that takes whatever is written.
type said struct {
	net.Conn
	text *strings.Reader
}

func (s *said) Read(b []byte) (int, error)  { return s.text.Read(b) }
func (s *said) Write(b []byte) (int, error) { return len(b), nil }
func (s *said) SetDeadline(time.Time) error { return nil }
func (s *said) Close() error                { return nil }
func (s *said) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (s *said) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

// Whatever a server says, a check ends, and what it reports is one short line that can be read on
// a terminal.
func FuzzDialogue(f *testing.F) {
	protocols := []string{"imap", "pop3", "lmtp", "managesieve", "submission"}
	for i, text := range []string{
		"* OK ready\r\n2 OK in\r\n", "+OK\r\n+OK\r\n+OK\r\n", "220-a\r\n220 b\r\n250 c\r\n",
		"\"SASL\" \"PLAIN\"\r\nOK\r\nOK\r\n", "220 a\r\n250 b\r\n235 c\r\n",
	} {
		f.Add(uint8(i), false, text)
		f.Add(uint8(i), true, text)
	}
	f.Add(uint8(0), false, "* \x1b]0;x\x07\u202e\xff\n")
	f.Add(uint8(2), false, "22")
	f.Fuzz(func(t *testing.T, protocol uint8, starttls bool, text string) {
		check := Check{Protocol: Protocol(protocols[int(protocol)%len(protocols)]), Port: 1}
		if starttls {
			check.Encryption = StartTLS
		}
		p := Prober{
			Login: &Login{User: "test", Password: "pass"},
			Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
				return &said{text: strings.NewReader(text)}, nil
			},
		}
		err := p.Check(t.Context(), server, check)
		if err == nil {
			return
		}
		failure := (*Failure)(nil)
		if !errors.As(err, &failure) {
			t.Fatalf("%v is no Failure", err)
		}
		if len(failure.Text) > 800 || !utf8.ValidString(failure.Text) {
			t.Errorf("the text has %d bytes: %q", len(failure.Text), failure.Text)
		}
		for _, r := range failure.Text {
			if r < ' ' || r == 0x7f || r == '\u202e' {
				t.Errorf("%q stands in %q", r, failure.Text)
			}
		}
	})
}

func FuzzParseChecks(f *testing.F) {
	f.Add("imap:143,lmtp:24+tls")
	f.Add("tcp:993+proxy2")
	f.Fuzz(func(t *testing.T, list string) {
		checks, err := ParseChecks(list)
		if err != nil {
			return
		}
		var texts []string
		for _, c := range checks {
			texts = append(texts, c.String())
		}
		again, err := ParseChecks(strings.Join(texts, ","))
		if err != nil || len(again) != len(checks) {
			t.Fatalf("%q is read as %v, and that as %v, %v", list, checks, again, err)
		}
	})
}
