package probe

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseChecks(t *testing.T) {
	list := "imap:143, lmtp:24,tcp:993,pop3:995+tls,submission:587+starttls," +
		"managesieve:4190+proxy2," +
		"imap:10143+starttls+proxy1"
	checks, err := ParseChecks(list)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, c := range checks {
		texts = append(texts, c.String())
	}
	if got := strings.Join(texts, ","); got != strings.ReplaceAll(list, " ", "") {
		t.Errorf("read as %s", got)
	}
	if none, err := ParseChecks(" "); none != nil || err != nil {
		t.Errorf("nothing is %v, %v", none, err)
	}
}

func TestParseChecksRefuses(t *testing.T) {
	for list, want := range map[string]string{
		"http:80":                    `"http:80" is no check`,
		"imap":                       `"imap" has no port`,
		"imap:0":                     "has no port",
		"imap:70000":                 "has no port",
		"imap:143,,":                 `"" is no check`,
		"imap:143+":                  "an option is missing",
		"imap:143+ssl":               `"ssl" is no option`,
		"imap:143+tls+starttls":      "asked for twice",
		"imap:143+proxy1+proxy2":     "asked for twice",
		"tcp:143+starttls":           "tcp has no starttls",
		"imap:143,imap:143":          `"imap:143" stands there twice`,
		"IMAP:143":                   "is no check",
		manyChecks(MaxChecks + 1):    "17 checks are too many",
		"imap:143+tls,pop3:110+tls+": "an option is missing",
	} {
		if _, err := ParseChecks(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
}

func manyChecks(n int) string {
	var list []string
	for i := range n {
		list = append(list, Check{Protocol: TCP, Port: uint16(i + 1)}.String())
	}
	return strings.Join(list, ",")
}

func TestParseLogin(t *testing.T) {
	got, err := ParseLogin("# test user\n\ntest@example.org:a:b c\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&Login{User: "test@example.org", Password: "a:b c"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for content, want := range map[string]string{
		"":                               "no line",
		"# only\n":                       "no line",
		"secret":                         "is not USER:PASSWORD",
		"user:":                          "is not USER:PASSWORD",
		"a:secret\nb:secret":             "two lines",
		"a:secr\tet":                     "printable ASCII",
		"a:" + strings.Repeat("x", 1000): "longer than 256",
	} {
		_, err := ParseLogin(content)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		} else if strings.Contains(err.Error(), "secr") {
			t.Errorf("the password stands in %q", err)
		}
	}
}

// between is a connection between two addresses.
type between struct {
	net.Conn
	local, remote net.TCPAddr
}

func (c *between) LocalAddr() net.Addr  { return &c.local }
func (c *between) RemoteAddr() net.Addr { return &c.remote }

func TestProxyHeader(t *testing.T) {
	v4 := &between{
		local:  net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 258},
		remote: net.TCPAddr{IP: net.ParseIP("192.0.2.1"), Port: 143},
	}
	v6 := &between{
		local:  net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 258},
		remote: net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 143},
	}
	for _, test := range []struct {
		version int
		c       net.Conn
		want    string
	}{
		{1, v4, "PROXY TCP4 192.0.2.7 192.0.2.1 258 143\r\n"},
		{1, v6, "PROXY TCP6 2001:db8::7 2001:db8::1 258 143\r\n"},
		{2, v4, proxySignature + "\x21\x11\x00\x0c" +
			"\xc0\x00\x02\x07\xc0\x00\x02\x01\x01\x02\x00\x8f"},
		{2, v6, proxySignature + "\x21\x21\x00\x24" +
			"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
			"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x02\x00\x8f"},
	} {
		if d := cmp.Diff(test.want, string(proxyHeader(test.version, test.c))); d != "" {
			t.Errorf("version %d (-want +got):\n%s", test.version, d)
		}
	}
}

// Every word of a failure is listed.
func TestWords(t *testing.T) {
	words := Words()
	for _, word := range []Word{
		Refused, Unreachable, Timeout, Closed, BadTLS, BadAnswer, NotServing, BadLogin, Failed,
	} {
		if !slices.Contains(words, word) {
			t.Errorf("%q is missing", word)
		}
	}
}
