//go:build e2e

package dovecot

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// plain is a user's name and password as AUTHENTICATE PLAIN wants them.
func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// converse connects and says lines, each of which must get what is expected.
func converse(t *testing.T, addr string, steps []exchange) *mailConn {
	t.Helper()
	c, err := dialMail(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	for _, s := range steps {
		if _, err := c.expect(s.line, s.want, s.until...); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// exchange is a line, what must be in the answer, and how its last line begins.
type exchange struct {
	line, want string
	until      []string
}

// openSieve opens a ManageSieve session.
func openSieve(t *testing.T, addr, user string) *mailConn {
	t.Helper()
	until := []string{"OK", "NO", "BYE"}
	return converse(t, addr, []exchange{
		{"", "OK", until},
		{`AUTHENTICATE "PLAIN" "` + plain(user, "pass") + `"`, "OK", until},
	})
}

// openSubmission opens a session in which mail can be submitted.
func openSubmission(t *testing.T, addr, user string) *mailConn {
	t.Helper()
	until := []string{"2", "4", "5"}
	return converse(t, addr, []exchange{
		{"", "220 ", until},
		{"EHLO client.example.org", "250 ", []string{"250 ", "5"}},
		{"AUTH PLAIN " + plain(user, "pass"), "235 ", until},
	})
}

// relay takes mail and has it for the test.
func relay(c net.Conn, mail chan<- string) {
	fmt.Fprint(c, "220 relay\r\n")
	in := bufio.NewReader(c)
	for text, data := "", false; ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case data && line != ".\r\n":
			text += line
			continue
		case data:
			mail <- text
			text, data = "", false
		case strings.HasPrefix(line, "DATA"):
			data = true
			fmt.Fprint(c, "354 go on\r\n")
			continue
		}
		fmt.Fprint(c, "250 relay\r\n")
	}
}

// ManageSieve and submission sessions reach the backend that IMAP sessions have, and end with them
// when the user is moved.
func TestManageSieveAndSubmission(t *testing.T) {
	t.Parallel()
	relayed := make(chan string, 1)
	backends := startBackendsWith(t, 2, fmt.Sprintf(`protocols = imap pop3 lmtp sieve submission
submission_relay_host = %s
`, listen(t, 25, func(c net.Conn) { relay(c, relayed) })))
	for _, b := range backends {
		b.mark("alice")
	}
	s := newSite(t, dovecot23, 1, addresses(backends), "", `protocols = imap pop3 lmtp sieve submission
service managesieve-login {
  executable = managesieve-login x/director
}
service submission-login {
  executable = submission-login x/director
}
`).kicks()
	startSites(t, s)
	imap, home := s.login(t, "alice")
	sieve := openSieve(t, s.port(4190), "alice")
	submission := openSubmission(t, s.port(587), "alice")
	_, err := sieve.expect("PUTSCRIPT \"mine\" {5+}\r\nkeep;", "OK", "OK", "NO", "BYE")
	if err != nil {
		t.Error(err)
	}
	mine := filepath.Join(named(t, backends, home).mail, "alice", "sieve", "mine.sieve")
	if scripts, err := filepath.Glob(mine); err != nil || len(scripts) != 1 {
		t.Errorf("alice's script is not on %s, where her IMAP session is: %v", home, err)
	}
	for _, step := range []struct{ line, want string }{
		{"MAIL FROM:<alice@example.org>", "250 "}, {"RCPT TO:<bob@example.org>", "250 "},
		{"DATA", "354 "}, {"Subject: hello\r\n\r\nhello\r\n.", "250 "},
	} {
		if _, err := submission.expect(step.line, step.want, "2", "3", "4", "5"); err != nil {
			t.Fatal(err)
		}
	}
	if mail := <-relayed; !strings.Contains(mail, "hello") {
		t.Errorf("what alice submitted was relayed as %q", mail)
	}
	submits := func(b *backend) bool {
		return eventually(startTime, func() bool {
			return strings.Contains(b.log(), "submission-login: Info: Login: user=<alice>")
		})
	}
	if !submits(named(t, backends, home)) {
		t.Errorf("alice did not submit on %s, where her IMAP session is", home)
	}

	target := other(backends, home)
	s.director.must("move", "--wait", "alice", target.ip.String())
	for name, c := range map[string]*mailConn{
		"IMAP": imap, "ManageSieve": sieve, "submission": submission,
	} {
		if err := c.ended(stopTime); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	sieve = openSieve(t, s.port(4190), "alice")
	if _, err := sieve.expect("PUTSCRIPT \"moved\" {5+}\r\nkeep;", "OK", "OK",
		"NO", "BYE"); err != nil {
		t.Error(err)
	}
	moved := filepath.Join(target.mail, "alice", "sieve", "moved.sieve")
	if scripts, err := filepath.Glob(moved); err != nil || len(scripts) != 1 {
		t.Errorf("alice's second script is not on %s, where she was moved: %v", target.name, err)
	}
	openSubmission(t, s.port(587), "alice")
	if !submits(target) {
		t.Errorf("alice does not submit on %s, where she was moved", target.name)
	}
}
