package wording

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// goWords are what nobody who does not know Go should have to read.
var goWords = regexp.MustCompile(`\bEOF\b|i/o|use of closed|context |unexpected end|strconv|` +
	`\b(dial|read|write|accept) (tcp|udp|unix)|syscall|invalid (AddrPort|IP)|exit status|signal:|` +
	`exec:|\$PATH|json:|bufio|msgpack|cipher:|http:|\n|fork/exec|Client\.Timeout|parsing |Parse`)

// realErrors are errors as the libraries of this Go make them.
func realErrors(t *testing.T) map[string]error {
	t.Helper()
	dir := t.TempDir()
	errs := map[string]error{
		"ended":    io.EOF,
		"cut":      fmt.Errorf("reading: %w", io.ErrUnexpectedEOF),
		"deadline": context.DeadlineExceeded,
		"canceled": fmt.Errorf("waiting for its turn: %w", context.Canceled),
		"pipe":     io.ErrClosedPipe,
		"address":  fmt.Errorf("director %q answers at %s", "d2", netip.AddrPort{}),
		"ip":       fmt.Errorf("backend %s", netip.Addr{}),
		"joined":   errors.Join(io.EOF, net.ErrClosed),
		"members": errors.New(
			"1 error occurred:\n\t* Failed to join 10.0.0.1:9090: dial tcp 10.0.0.1:9090: " +
				"i/o timeout\n\n",
		),
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	_, errs["late"] = c.Read(make([]byte, 1))
	c.Close()
	_, errs["closed"] = c.Write([]byte("x"))
	_, errs["in use"] = net.Listen("tcp", l.Addr().String())
	l.Close()
	_, errs["accept"] = l.Accept()
	_, errs["refused"] = net.Dial("tcp", l.Addr().String())
	_, errs["no socket"] = net.Dial("unix", filepath.Join(dir, "none"))
	_, errs["get"] = http.Get("http://" + l.Addr().String() + "/x")
	_, errs["no file"] = os.Open(filepath.Join(dir, "none"))
	errs["link"] = os.Rename(filepath.Join(dir, "none"), filepath.Join(dir, "other"))
	_, errs["number"] = strconv.Atoi("x y")
	_, errs["large"] = strconv.ParseUint("99999999999999999999999", 10, 32)
	_, errs["no address"] = netip.ParseAddr("x")
	_, errs["no address and port"] = netip.ParseAddrPort("x:y")
	var n int
	errs["syntax"] = json.Unmarshal([]byte("{"), &n)
	errs["character"] = json.Unmarshal([]byte("<html>"), &n)
	errs["type"] = json.Unmarshal([]byte(`"x"`), &n)
	errs["status"] = exec.Command("sh", "-c", "exit 3").Run()
	errs["killed"] = fmt.Errorf(
		"kick command: %w: %q",
		exec.Command("sh", "-c", "kill -9 $$").Run(),
		"said",
	)
	errs["no program"] = exec.Command("no-such-program-here").Run()
	errs["no program there"] = exec.Command("/no/such/program").Run()
	in := bufio.NewScanner(strings.NewReader(strings.Repeat("x", 100)))
	in.Buffer(nil, 10)
	in.Scan()
	errs["line"] = in.Err()
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	_, errs["key"] = aead.Open(nil, make([]byte, 12), make([]byte, 32), nil)
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, context.DeadlineExceeded
		},
	}
	_, errs["name servers"] = resolver.LookupHost(context.Background(), "mail.example.org")
	errs["no name"] = &net.DNSError{
		Err:        "no such host",
		Name:       "mail.example.org",
		Server:     "127.0.0.1:53",
		IsNotFound: true,
	}
	return errs
}

// What libraries say is said in plain words, in one line, and is still the same error.
func TestPlain(t *testing.T) {
	for name, err := range realErrors(t) {
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		plain := Plain(fmt.Errorf("peer %q: %w", "d2", err))
		text := plain.Error()
		if found := goWords.FindString(text); found != "" {
			t.Errorf("%s: %q says %q", name, text, found)
		}
		said, begins := strings.CutPrefix(text, `peer "d2": `)
		if !begins || said == "" {
			t.Errorf("%s: %q does not say what was tried, and what happened", name, text)
		}
		if !errors.Is(plain, err) {
			t.Errorf("%s: it is another error", name)
		}
		if Text(text) != text {
			t.Errorf("%s: plain words are reworded: %q, %q", name, text, Text(text))
		}
	}
	if Plain(nil) != nil {
		t.Error("no error became one")
	}
}

func TestText(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"read tcp 10.0.0.1:9090->10.0.0.2:41: read: connection reset by peer",
			"the connection broke off"},
		{"Failed to send UDP ping: write udp 10.0.0.1:9090->10.0.0.2:9090: sendto: " +
			"operation not permitted",
			"Failed to send UDP ping: operation not permitted"},
		{"dial tcp: lookup d2.example.org on 127.0.0.53:53: no such host",
			"no address of the name d2.example.org is known here"},
		{"dial tcp: lookup d2 on 127.0.0.53:53: read udp 127.0.0.1:1->127.0.0.53:53: i/o timeout",
			"the name servers do not tell the address of d2"},
		{"kick command /bin/kick: exit status 1: \"no\"",
			"kick command /bin/kick: it ended with status 1: \"no\""},
		{"signal: killed", "a signal ended it (killed)"},
		{"TLS handshake error from 10.0.0.9:4: EOF",
			"TLS handshake error from 10.0.0.9:4: the connection broke off"},
		{"open /etc/director.yaml: permission denied", "/etc/director.yaml: permission denied"},
		{"bind: cannot listen at 10.0.0.1:9090: listen tcp 10.0.0.1:9090: bind: " +
			"address already in use",
			"bind: cannot listen at 10.0.0.1:9090: address already in use"},
		{`strconv.ParseUint: parsing "x": invalid syntax`, `"x" is no number`},
		{"user expire differs: ours is 15m0s, theirs 10m0s",
			"user expire differs: ours is 15m0s, theirs 10m0s"},
		{"", ""},
	} {
		if got := Text(test.said); got != test.want {
			t.Errorf("%q: %q, want %q", test.said, got, test.want)
		}
	}
}

// A text that a phrase matches has one of the phrase's hints in it, or it would not be reworded.
func TestHints(t *testing.T) {
	texts := []string{"exit status 1", "d2: permission denied; no route to host", ""}
	for _, err := range realErrors(t) {
		texts = append(texts, err.Error())
	}
	for _, method := range []string{"Get", "Post", "Put", "Delete", "Head", "Patch"} {
		texts = append(texts, method+` "http://d1/v1/users": EOF`)
	}
	texts = append(texts,
		"operation was canceled", "file already closed", "mux: server closed",
		"use of closed connection", "http: Server closed", "server closed idle connection",
		"net/http: request canceled while waiting", "TLS handshake timeout", "broken pipe",
		"tls: bad certificate", "x509: unknown authority", "noise: bad state", "codecgo: bad tag",
		"chacha20poly1305: message authentication failed", "msgpack: invalid code=c1",
		"invalid IP", "invalid AddrPort", `invalid port "x" parsing "d1:x"`, "a; * b",
		`exec: "sh": executable file not found in $PATH`, "exec: already started",
		`netip.ParsePrefix("x"): no '/'`, "unexpected end of JSON input", "signal: killed",
		"dial unixpacket /x: connect: no such file or directory", "accept udp4: EOF",
		"dial ip4:icmp 10.0.0.1: connect: operation not permitted",
	)
	for _, text := range texts {
		for _, p := range phrases {
			if p.said.MatchString(text) && !p.mayBeIn(text) {
				t.Errorf("%q is matched by %v and has none of %q", text, p.said, p.hints)
			}
		}
	}
}

// The name of a call before what the system says of it goes, and no other word.
func TestCallsGo(t *testing.T) {
	for call := range calls {
		if text := Text(call + ": no such device"); text != "no such device" {
			t.Errorf("%s: %q", call, text)
		}
	}
	for _, stays := range []string{
		"read: a line", "cat: no such device", "/dir/open: permission denied", "open",
		"read: ", ": ",
	} {
		if text := Text(stays); text != strings.TrimSpace(stays) {
			t.Errorf("%q becomes %q", stays, text)
		}
	}
}

// BenchmarkText words what failing hooks and strangers bring most often.
func BenchmarkText(b *testing.B) {
	for _, said := range []string{
		"dial unix /run/flush: connect: no such file or directory",
		"it ended with status 1",
		"read tcp 10.0.0.1:9090->10.0.0.2:41: read: connection reset by peer",
	} {
		b.Run(strings.Fields(said)[0], func(b *testing.B) {
			for b.Loop() {
				Text(said)
			}
		})
	}
}
