// Package wording says in plain words what Go's libraries report in theirs, so that nobody has to
// know Go to read a log, an error or a reply. It owns the words for what a library or the system
// reports; what was tried, with what, and what to do about it is for the caller to say.
package wording

import (
	"regexp"
	"strings"
	"syscall"
)

const (
	brokeOff = "the connection broke off"
	late     = "no answer in time"
	closed   = "it was closed here"
	givenUp  = "it was given up"
)

// phrases are what libraries say, and what is said instead. Each is tried on what those before have
// left. The system's own words (permission denied, no route to host) stay: they are everybody's.
var phrases = [...]struct {
	said *regexp.Regexp
	mean string
}{
	// What was tried: the operation, and the addresses, which the caller names.
	{regexp.MustCompile(`\b(?:dial|read|write|accept|listen|set|close|sendto|file|splice|sendfile) ` +
		`(?:tcp|udp|ip|unix|unixgram|unixpacket)[46]?(?: [^\s"]+)?: `), ""},
	{
		regexp.MustCompile(
			`\b(?:open|stat|lstat|mkdir|chmod|chown|unlink|unlinkat|remove|rename|readlink|` +
				`readdirent|mkfifo|truncate|fork/exec|read|write|close|seek|sync|chdir) (/[^\s:"]*): `,
		),
		"$1: ",
	},
	{regexp.MustCompile(`(^|\s)(?:accept4?|bind|connect|dup|epoll_\w+|fcntl|getsockname|getsockopt|` +
		`ioctl|kill|listen|mmap|open|pipe2?|read|recvfrom|recvmsg|sendmmsg|sendmsg|sendto|` +
		`setsockopt|socket|wait|waitid|write|getrlimit|setrlimit): (` + systemWords() + `)`), "$1$2"},
	{regexp.MustCompile(`\b(?:Get|Post|Put|Delete|Head|Patch) "[^"]*": `), ""},

	// Names.
	{regexp.MustCompile(`\blookup ([^\s:]+)(?: on [^\s:]+(?::\d+)?)?: no such host`),
		"no address of the name $1 is known here"},
	{regexp.MustCompile(`\blookup ([^\s:]+)(?: on [^\s:]+(?::\d+)?)?: [^;"]*`),
		"the name servers do not tell the address of $1"},

	// Lists, as memberlist's library of errors writes them.
	{regexp.MustCompile(`\b\d+ errors? occurred:;? ?\* `), ""},
	{regexp.MustCompile(`; \* `), "; "},

	// Connections and time.
	{regexp.MustCompile(`net/http: (?:request canceled|timeout awaiting)[^";]*`), late},
	{regexp.MustCompile(`(?:context deadline exceeded|i/o timeout|TLS handshake timeout)` +
		`(?: \(Client\.Timeout[^)]*\))?`), late},
	{regexp.MustCompile(`context canceled|operation was canceled`), givenUp},
	{regexp.MustCompile(`use of closed (?:network connection|file)|file already closed|` +
		`io: read/write on closed pipe|mux: server closed|http: Server closed|use of closed connection`), closed},
	{regexp.MustCompile(`unexpected EOF|\bEOF\b|connection reset by peer|broken pipe|` +
		`server closed idle connection`), brokeOff},

	// What cannot be read.
	{regexp.MustCompile(`(?:strconv\.\w+: )?parsing ("(?:[^"\\]|\\.)*"): value out of range`),
		"$1 is too large a number"},
	{regexp.MustCompile(`(?:strconv\.\w+: )?parsing ("(?:[^"\\]|\\.)*"): invalid syntax`),
		"$1 is no number"},
	{regexp.MustCompile(`(?:netip\.)?Parse(?:Addr|AddrPort|Prefix)\(("(?:[^"\\]|\\.)*")\): [^;]*`),
		"$1 is no address"},
	{regexp.MustCompile(`invalid (?:port|ip:port) ("(?:[^"\\]|\\.)*") parsing ("(?:[^"\\]|\\.)*")`),
		"$1 is no port in $2"},
	{regexp.MustCompile(`\binvalid (?:AddrPort|IP)(?::0)?\b`), "an unknown address"},
	{regexp.MustCompile(`\b(?:json: [^;]*|invalid character '[^;]*|unexpected end of JSON input)`),
		"it is not the JSON that was expected"},
	{regexp.MustCompile(`\bbufio\.Scanner: token too long`), "a line is too long"},
	{regexp.MustCompile(`\b(?:msgpack|codec|codecgo)\b[^:;]*(?:: [^;]*)?`), "it cannot be decoded"},
	{
		regexp.MustCompile(
			`\b(?:cipher|chacha20poly1305|noise): (?:message authentication failed|[^;]*)`,
		),
		"it is not encrypted with a key of this director",
	},
	{regexp.MustCompile(`\b(?:tls|x509): `), ""},

	// Programs.
	{regexp.MustCompile(`\bexit status (\d+)`), "it ended with status $1"},
	{regexp.MustCompile(`\bsignal: ([\w ]+?)(?: \(core dumped\))?([;:",)]|$)`),
		"a signal ended it ($1)$2"},
	{regexp.MustCompile(`\bexec: ("[^"]*"): executable file not found in \$PATH`),
		"there is no program $1 in PATH"},
	{regexp.MustCompile(`\bexecutable file not found in \$PATH`), "there is no such program in PATH"},
	{regexp.MustCompile(`\bexec: `), ""},
}

// systemWords matches what the system says of a call that it has refused. Go puts the call's name
// before it: connect, sendto.
func systemWords() string {
	var words []string
	for number := syscall.Errno(1); number < 134; number++ { // Linux has 133
		words = append(words, regexp.QuoteMeta(number.Error()))
	}
	return strings.Join(words, "|")
}

// Text returns what a library says in plain words and in one line. What was said in plain words
// already stays as it is.
func Text(said string) string {
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r == '\n' }), "; ")
	said = strings.Join(strings.Fields(said), " ")
	for _, p := range phrases {
		said = p.said.ReplaceAllString(said, p.mean)
	}
	return said
}

// plainError is an error in plain words.
type plainError struct{ error }

func (e plainError) Error() string { return Text(e.error.Error()) }
func (e plainError) Unwrap() error { return e.error }

// Plain returns an error that is the given one to errors.Is and errors.As, and says the same in
// plain words and in one line. Of nil it is nil. It costs nothing until somebody asks what it says.
func Plain(err error) error {
	if err == nil {
		return nil
	}
	return plainError{err}
}
