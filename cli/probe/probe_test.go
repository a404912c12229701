package probe

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var server = netip.MustParseAddr("192.0.2.1")

// play is one side of a conversation, a step an item: "S: …" is said, "C: …" is what must come,
// TLS is a handshake, and the rest are ways to misbehave.
func play(t *testing.T, c net.Conn, certificate tls.Certificate, steps []string) {
	t.Helper()
	defer func() { c.Close() }()
	in := bufio.NewReader(c)
	for _, step := range steps {
		kind, text, _ := strings.Cut(step, ": ")
		switch kind {
		case "S":
			if _, err := io.WriteString(c, text+"\r\n"); err != nil {
				return
			}
		case "C":
			line, err := in.ReadString('\n')
			if got := strings.TrimRight(line, "\r\n"); err != nil || got != text {
				t.Errorf("the server got %q (%v), want %q", got, err, text)
				return
			}
		case "TLS":
			encrypted := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}})
			if encrypted.Handshake() != nil {
				return
			}
			c, in = encrypted, bufio.NewReader(encrypted)
		case "CLOSE":
			return
		case "HANG":
			_, _ = io.Copy(io.Discard, c) // until the other side closes
			return
		case "DRIP": // a byte a second, for ever
			for {
				time.Sleep(time.Second)
				if _, err := io.WriteString(c, "*"); err != nil {
					return
				}
			}
		case "FLOOD": // a line without end
			for {
				if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		case "LINES": // the same line, for ever
			for {
				if _, err := io.WriteString(c, text+"\r\n"); err != nil {
					return
				}
			}
		case "SHOUT": // said without listening
			go func() { _, _ = io.Copy(io.Discard, c) }()
			if _, err := io.WriteString(c, text+"\r\n"); err != nil {
				return
			}
		case "RAW":
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		default:
			t.Errorf("unknown step %q", step)
		}
	}
	_, _ = io.Copy(io.Discard, in)
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func mustParse(t *testing.T, text string) Check {
	t.Helper()
	checks, err := ParseChecks(text)
	if err != nil || len(checks) != 1 {
		t.Fatalf("ParseChecks(%q): %v, %v", text, checks, err)
	}
	return checks[0]
}

func TestCheck(t *testing.T) {
	certificate := selfSigned(t)
	test := &Login{User: "test", Password: `pa"ss`}
	for _, test := range []struct {
		name, check string
		login       *Login
		server      []string
		want        string // WORD text; "": good
	}{
		{"tcp", "tcp:993", nil, nil, ""},
		{"tcp that hangs", "tcp:993", nil, []string{"HANG"}, ""},
		{"tcp in TLS", "tcp:993+tls", nil, []string{"TLS"}, ""},

		{"imap", "imap:143", nil, []string{"S: * OK ready", "C: 3 LOGOUT"}, ""},
		{"imap, logged in already", "imap:143", nil,
			[]string{"S: * PREAUTH hello", "C: 3 LOGOUT"}, ""},
		{"imap in TLS", "imap:993+tls", nil, []string{"TLS", "S: * OK ready", "C: 3 LOGOUT"}, ""},
		{"imap, STARTTLS", "imap:143+starttls", test, []string{
			"S: * OK ready", "C: 1 STARTTLS", "S: 1 OK go", "TLS", `C: 2 LOGIN "test" "pa\"ss"`,
			"S: * CAPABILITY IMAP4rev1", "S: 2 OK in", "C: 3 LOGOUT",
		}, ""},
		{"imap full", "imap:143", nil, []string{"S: * BYE Too many connections"},
			`not_serving it greets with "* BYE Too many connections"`},
		{"imap that is not", "imap:143", nil, []string{"S: SSH-2.0-OpenSSH_9.2"},
			`answer unexpected greeting "SSH-2.0-OpenSSH_9.2"`},
		{"imap greets with controls", "imap:143", nil, []string{"S: * \x1b[31mred\x07"},
			`answer unexpected greeting "* \x1b[31mred\x07"`},
		{"imap, login refused", "imap:143", test,
			[]string{"S: * OK ready", `C: 2 LOGIN "test" "pa\"ss"`, "S: 2 NO [UNAVAILABLE] Later"},
			`login login of the test user refused with "NO [UNAVAILABLE] Later"`},
		{"imap that hangs up at the login", "imap:143", test,
			[]string{"S: * OK ready", `C: 2 LOGIN "test" "pa\"ss"`, "S: * BYE gone", "HANG"},
			"timeout no answer to LOGIN in time"},
		{"imap that breaks off at the login", "imap:143", test,
			[]string{"S: * OK ready", `C: 2 LOGIN "test" "pa\"ss"`, "CLOSE"},
			"closed the connection broke off before the answer to LOGIN"},
		{"imap without STARTTLS", "imap:143+starttls", nil,
			[]string{"S: * OK ready", "C: 1 STARTTLS", "S: 1 BAD what"},
			`tls TLS refused with "BAD what"`},
		{"imap with text before TLS", "imap:143+starttls", nil,
			[]string{"S: * OK ready", "C: 1 STARTTLS", "RAW: 1 OK go\r\n2 OK injected\r\n"},
			"tls something was sent before TLS began"},
		{"imap without TLS where it is asked for", "imap:993+tls", nil,
			[]string{"SHOUT: * OK ready"},
			"tls no TLS is spoken there"},
		{"imap that hangs in the handshake", "imap:993+tls", nil, []string{"HANG"},
			"timeout no TLS handshake in time"},
		{"imap that hangs behind the handshake", "imap:993+tls", nil, []string{"TLS", "HANG"},
			"timeout no greeting in time"},
		{"imap that hangs at STARTTLS", "imap:143+starttls", nil,
			[]string{"S: * OK ready", "C: 1 STARTTLS", "HANG"},
			"timeout no answer to STARTTLS in time"},
		{"imap that hangs", "imap:143", nil, []string{"HANG"}, "timeout no greeting in time"},
		{"imap that drips", "imap:143", nil, []string{"DRIP"}, "timeout no greeting in time"},
		{"imap with an endless line", "imap:143", nil, []string{"FLOOD"},
			"answer a line is longer than 8 KB"},
		{"imap with endless answers", "imap:143", test,
			[]string{"S: * OK ready", `C: 2 LOGIN "test" "pa\"ss"`, "LINES: * CAPABILITY"},
			"answer an answer has more than 100 lines"},

		{"pop3", "pop3:110", nil, []string{"S: +OK ready", "C: QUIT"}, ""},
		{"pop3, STLS", "pop3:110+starttls", test, []string{
			"S: +OK ready", "C: STLS", "S: +OK go", "TLS", "C: USER test", "S: +OK",
			`C: PASS pa"ss`, "S: +OK in", "C: QUIT",
		}, ""},
		{"pop3 full", "pop3:110", nil, []string{"S: -ERR busy"},
			`not_serving it greets with "-ERR busy"`},
		{"pop3 that is not", "pop3:110", nil, []string{"S: 220 smtp"},
			`answer unexpected greeting "220 smtp"`},
		{"pop3, login refused", "pop3:110", test,
			[]string{"S: +OK", "C: USER test", "S: +OK", `C: PASS pa"ss`, "S: -ERR [AUTH] no"},
			`login login of the test user refused with "-ERR [AUTH] no"`},
		{"pop3 without STLS", "pop3:110+starttls", nil,
			[]string{"S: +OK", "C: STLS", "S: -ERR what"}, `tls TLS refused with "-ERR what"`},
		{"pop3 that hangs at the login", "pop3:110", test,
			[]string{"S: +OK", "C: USER test", "S: +OK", `C: PASS pa"ss`, "HANG"},
			"timeout no answer to PASS in time"},
		{"pop3 that answers nonsense", "pop3:110", test,
			[]string{"S: +OK", "C: USER test", "S: 250"}, `answer unexpected answer "250"`},

		{"lmtp", "lmtp:24", test,
			[]string{"S: 220-mail", "S: 220 ready", "C: LHLO [127.0.0.1]", "S: 250-8BITMIME",
				"S: 250 PIPELINING", "C: QUIT"}, ""},
		{"lmtp, STARTTLS", "lmtp:24+starttls", nil,
			[]string{"S: 220 ready", "C: LHLO [127.0.0.1]", "S: 250 STARTTLS", "C: STARTTLS",
				"S: 220 go", "TLS", "C: LHLO [127.0.0.1]", "S: 250 ok", "C: QUIT"}, ""},
		{"lmtp that shuts down", "lmtp:24", nil, []string{"S: 421 4.3.2 shutting down"},
			`not_serving it greets with "421 4.3.2 shutting down"`},
		{"lmtp that shuts down later", "lmtp:24", nil,
			[]string{"S: 220 ready", "C: LHLO [127.0.0.1]", "S: 421 bye"},
			`not_serving it answers LHLO with "421 bye"`},
		{"lmtp that greets and hangs", "lmtp:24", nil,
			[]string{"S: 220 ready", "C: LHLO [127.0.0.1]", "HANG"},
			"timeout no answer to LHLO in time"},
		{"lmtp that is SMTP", "lmtp:24", nil,
			[]string{"S: 220 ready", "C: LHLO [127.0.0.1]", "S: 500 unknown"},
			`answer unexpected answer "500 unknown"`},
		{"lmtp that is not", "lmtp:24", nil, []string{"S: * OK ready"},
			`answer unexpected answer "* OK ready"`},
		{"lmtp with a bare code", "lmtp:24", nil,
			[]string{"S: 220", "C: LHLO [127.0.0.1]", "S: 250", "C: QUIT"}, ""},

		{"submission", "submission:587", test,
			[]string{"S: 220 ready", "C: EHLO [127.0.0.1]", "S: 250-AUTH PLAIN", "S: 250 ok",
				"C: AUTH PLAIN AHRlc3QAcGEic3M=", "S: 235 in", "C: QUIT"}, ""},
		{"submission, login refused", "submission:587", test,
			[]string{"S: 220 ready", "C: EHLO [127.0.0.1]", "S: 250 AUTH PLAIN",
				"C: AUTH PLAIN AHRlc3QAcGEic3M=", "S: 535 no"},
			`login login of the test user refused with "535 no"`},
		{"submission without STARTTLS", "submission:587+starttls", nil,
			[]string{"S: 220 ready", "C: EHLO [127.0.0.1]", "S: 250 ok", "C: STARTTLS",
				"S: 502 no"},
			`tls TLS refused with "502 no"`},

		{"managesieve", "managesieve:4190", nil,
			[]string{`S: "IMPLEMENTATION" "x"`, `S: "SASL" "PLAIN"`, "S: OK ready",
				"C: LOGOUT"}, ""},
		{"managesieve, STARTTLS", "managesieve:4190+starttls", test,
			[]string{`S: "STARTTLS"`, "S: OK", "C: STARTTLS", "S: OK go", "TLS",
				`S: "SASL" "PLAIN"`,
				"S: OK", `C: AUTHENTICATE "PLAIN" "AHRlc3QAcGEic3M="`, "S: OK", "C: LOGOUT"}, ""},
		{"managesieve that says BYE", "managesieve:4190", nil, []string{`S: BYE "full"`},
			`not_serving it greets with "BYE \"full\""`},
		{"managesieve, login refused", "managesieve:4190", test,
			[]string{"S: OK", `C: AUTHENTICATE "PLAIN" "AHRlc3QAcGEic3M="`, `S: NO "no"`},
			`login login of the test user refused with "NO \"no\""`},
		{"managesieve that is not", "managesieve:4190", nil, []string{"S: +OK pop"},
			`answer unexpected answer "+OK pop"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := Prober{Login: test.login}
				done := make(chan struct{})
				p.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() { defer close(done); play(t, theirs, certificate, test.server) }()
					return ours, nil
				}
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
				check := mustParse(t, test.check)
				err := p.Check(ctx, server, check)
				<-done
				wantFailure(t, err, check, test.want)
			})
		})
	}
}

// wantFailure compares with a word and a text, "" meaning that there is no failure.
func wantFailure(t *testing.T, err error, check Check, want string) {
	t.Helper()
	var got string
	if f := (*Failure)(nil); errors.As(err, &f) {
		got = string(f.Word) + " " + f.Text
		if f.Check != check || f.Error() != check.String()+": "+f.Text {
			t.Errorf("the failure is %q of %v", f, f.Check)
		}
	} else if err != nil {
		t.Fatalf("%v is no Failure", err)
	}
	want = strings.ReplaceAll(want, `\"`, `"`)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// What the system says of a connection that does not come about.
func TestUnconnected(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "refused connection refused"},
		{syscall.EHOSTUNREACH, "unreachable no route to host"},
		{syscall.ENETUNREACH, "unreachable network is unreachable"},
		{syscall.ETIMEDOUT, "timeout no connection in time"},
		{syscall.ECONNRESET, "closed the connection broke off"},
		{syscall.EMFILE, "failed too many open files"},
	} {
		p := Prober{Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: test.err}
		}}
		check := mustParse(t, "imap:143")
		wantFailure(t, p.Check(t.Context(), server, check), check, test.want)
	}
}

// The first failure of the list is the one that is told, whichever comes first.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Prober{Dial: func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			if to.Port() == 1 {
				time.Sleep(time.Second)
			}
			return nil, syscall.ECONNREFUSED
		}}
		checks, err := ParseChecks("imap:1,pop3:2")
		if err != nil {
			t.Fatal(err)
		}
		wantFailure(t, p.All(t.Context(), server, checks), checks[0], "refused connection refused")
	})
}

// A server on a real socket, which the Prober dials by itself; then nothing listens there.
func TestSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	check := Check{Protocol: IMAP, Port: at.Port(), Proxy: 1}
	headers := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			close(headers)
			return
		}
		defer c.Close()
		line, _ := bufio.NewReader(c).ReadString('\n')
		headers <- line
		_, _ = io.WriteString(c, "* OK ready\r\n")
		_, _ = io.Copy(io.Discard, c)
	}()
	if err := new(Prober).Check(t.Context(), at.Addr(), check); err != nil {
		t.Error(err)
	}
	want := "PROXY TCP4 127.0.0.1 127.0.0.1 "
	if got := <-headers; !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\r\n") {
		t.Errorf("the header is %q", got)
	}
	l.Close()
	wantFailure(t, new(Prober).Check(t.Context(), at.Addr(), check), check,
		"refused connection refused")
}
