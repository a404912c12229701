//go:build e2e

package dovecot

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"time"
)

// talkTime bounds one command of a mail session. It is longer than Dovecot lets a login wait for
// its director.
const talkTime = 200 * time.Second

// mailConn is a connection that speaks in lines. It is for one goroutine.
type mailConn struct {
	net.Conn
	in *bufio.Reader
}

// dialMail connects to a mail server.
func dialMail(addr string) (*mailConn, error) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &mailConn{Conn: c, in: bufio.NewReader(c)}, nil
}

// say sends a line, unless it is empty, and returns what comes up to a line that begins with one of
// the prefixes.
func (c *mailConn) say(line string, until ...string) (string, error) {
	if err := c.SetDeadline(time.Now().Add(talkTime)); err != nil {
		return "", err
	}
	if line != "" {
		if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
			return "", err
		}
	}
	var got strings.Builder
	for {
		text, err := c.in.ReadString('\n')
		got.WriteString(text)
		if err != nil {
			return got.String(), fmt.Errorf("after %q: %w (got %q)", line, err, got.String())
		}
		for _, prefix := range until {
			if strings.HasPrefix(text, prefix) {
				return got.String(), nil
			}
		}
	}
}

// expect is say for a step that must succeed.
func (c *mailConn) expect(line, want string, until ...string) (string, error) {
	got, err := c.say(line, until...)
	if err == nil && !strings.Contains(got, want) {
		err = fmt.Errorf("after %q: %q, want %q", line, got, want)
	}
	return got, err
}

// loginIMAP logs in with LOGIN.
func loginIMAP(addr, user, password string) (*mailConn, error) {
	c, err := dialMail(addr)
	if err != nil {
		return nil, err
	}
	if _, err = c.expect("", "* OK", "* "); err == nil {
		_, err = c.expect(fmt.Sprintf("a LOGIN %s %s", user, password), "a OK", "a ", "* BYE")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// authenticateIMAP logs in with AUTHENTICATE PLAIN.
func authenticateIMAP(addr, user, password string) (*mailConn, error) {
	c, err := dialMail(addr)
	if err != nil {
		return nil, err
	}
	if _, err = c.expect("", "* OK", "* "); err == nil {
		_, err = c.expect("a AUTHENTICATE PLAIN", "+", "+", "a ")
	}
	if err == nil {
		_, err = c.expect(base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)),
			"a OK", "a ", "* BYE")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// loginPOP3 logs in with USER and PASS.
func loginPOP3(addr, user, password string) (*mailConn, error) {
	c, err := dialMail(addr)
	if err != nil {
		return nil, err
	}
	for _, line := range []string{"", "USER " + user, "PASS " + password} {
		if _, err = c.expect(line, "+OK", "+OK", "-ERR"); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// deliver sends a mail to users over LMTP and returns the reply for each.
func deliver(addr, text string, users ...string) ([]string, error) {
	c, err := dialMail(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	steps := []string{"", "LHLO client.example.org", "MAIL FROM:<sender@example.org>"}
	for _, u := range users {
		steps = append(steps, "RCPT TO:<"+u+">")
	}
	for _, line := range append(steps, "DATA") {
		if got, err := c.say(line, "2", "3", "4", "5"); err != nil {
			return nil, err
		} else if got[0] > '3' {
			return nil, fmt.Errorf("after %q: %q", line, got)
		}
		if line == "LHLO client.example.org" {
			if err := c.drainReply(); err != nil {
				return nil, err
			}
		}
	}
	var replies []string
	line := "Subject: " + text + "\r\n\r\n" + text + "\r\n."
	for range users {
		got, err := c.say(line, "2", "4", "5")
		if err != nil {
			return replies, err
		}
		replies = append(replies, strings.TrimSpace(got))
		line = ""
	}
	return replies, nil
}

// drainReply reads the rest of a reply of several lines, whose last one has a space after the code.
func (c *mailConn) drainReply() error {
	for {
		text, err := c.in.ReadString('\n')
		if err != nil {
			return err
		}
		if len(text) > 3 && text[3] == ' ' {
			return nil
		}
	}
}

// where returns on which backend an IMAP session is, by the mark in its mailbox.
func (c *mailConn) where() (string, error) {
	if _, err := c.expect("w1 SELECT INBOX", "w1 OK", "w1 "); err != nil {
		return "", err
	}
	got, err := c.expect("w2 FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "w2 OK", "w2 ")
	if err != nil {
		return "", err
	}
	return marked(got)
}

// wherePOP3 is where for a POP3 session.
func (c *mailConn) wherePOP3() (string, error) {
	got, err := c.expect("RETR 1", "Subject", ".", "-ERR")
	if err != nil {
		return "", err
	}
	return marked(got)
}

func marked(text string) (string, error) {
	_, rest, ok := strings.Cut(text, "Subject: on ")
	if !ok {
		return "", fmt.Errorf("no mark in %q", text)
	}
	name, _, _ := strings.Cut(rest, "\r")
	return name, nil
}
