// Package wording says in plain words what Go's libraries report in theirs, so that nobody has to
// know Go to read a log, an error or a reply. It owns the words for what a library or the system
// reports; what was tried, with what, and what to do about it is for the caller to say.
package wording

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
)

const (
	brokeOff = "the connection broke off"
	late     = "no answer in time"
	closed   = "it was closed here"
	givenUp  = "it was given up"
)

// phrase is what libraries say, and what is said instead.
type phrase struct {
	said *regexp.Regexp
	mean string
	// Each text that said matches has one of these in it. Most texts have none, and need not be
	// matched, which costs a hundred times as much.
	hints []string
}

func when(said, mean string, hints ...string) phrase {
	return phrase{regexp.MustCompile(said), mean, hints}
}

// phrases are tried each on what those before have left. The system's own words (permission denied,
// no route to host) stay: they are everybody's.
var phrases = [...]phrase{
	// What was tried: the operation, and the addresses, which the caller names.
	when(`\b(?:dial|read|write|accept|listen|set|close|sendto|file|splice|sendfile) `+
		`(?:tcp|udp|ip|unix|unixgram|unixpacket)[46]?(?: [^\s"]+)?: `, "",
		" tcp", " udp", " ip", " unix"),
	when(`\b(?:open|stat|lstat|mkdir|chmod|chown|unlink|unlinkat|remove|rename|readlink|`+
		`readdirent|mkfifo|truncate|fork/exec|read|write|close|seek|sync|chdir) (/[^\s:"]*): `,
		"$1: ", " /"),
	when(`\b(?:Get|Post|Put|Delete|Head|Patch) "[^"]*": `, "",
		with(` "`, []string{"Get", "Post", "Put", "Delete", "Head", "Patch"})...),

	// Names.
	when(`\blookup ([^\s:]+)(?: on [^\s:]+(?::\d+)?)?: no such host`,
		"no address of the name $1 is known here", "lookup "),
	when(`\blookup ([^\s:]+)(?: on [^\s:]+(?::\d+)?)?: [^;"]*`,
		"the name servers do not tell the address of $1", "lookup "),

	// Lists, as memberlist's library of errors writes them.
	when(`\b\d+ errors? occurred:;? ?\* `, "", " occurred:"),
	when(`; \* `, "; ", "; * "),

	// Connections and time.
	when(`net/http: (?:request canceled|timeout awaiting)[^";]*`, late, "net/http: "),
	when(`(?:context deadline exceeded|i/o timeout|TLS handshake timeout)`+
		`(?: \(Client\.Timeout[^)]*\))?`, late,
		"context deadline exceeded", "i/o timeout", "TLS handshake timeout"),
	when(`context canceled|operation was canceled`, givenUp, " canceled"),
	when(`use of closed (?:network connection|file)|file already closed|`+
		`io: read/write on closed pipe|mux: server closed|http: Server closed|`+
		`use of closed connection`, closed, "closed"),
	when(`unexpected EOF|\bEOF\b|connection reset by peer|broken pipe|`+
		`server closed idle connection`, brokeOff,
		"EOF", "connection reset by peer", "broken pipe", "server closed idle connection"),

	// What cannot be read.
	when(`(?:strconv\.\w+: )?parsing ("(?:[^"\\]|\\.)*"): value out of range`,
		"$1 is too large a number", "parsing "),
	when(`(?:strconv\.\w+: )?parsing ("(?:[^"\\]|\\.)*"): invalid syntax`,
		"$1 is no number", "parsing "),
	when(`(?:netip\.)?Parse(?:Addr|AddrPort|Prefix)\(("(?:[^"\\]|\\.)*")\): [^;]*`,
		"$1 is no address", "Parse"),
	when(`invalid (?:port|ip:port) ("(?:[^"\\]|\\.)*") parsing ("(?:[^"\\]|\\.)*")`,
		"$1 is no port in $2", "parsing "),
	when(`\binvalid (?:AddrPort|IP)(?::0)?\b`, "an unknown address", "invalid "),
	when(`\b(?:json: [^;]*|invalid character '[^;]*|unexpected end of JSON input)`,
		"it is not the JSON that was expected", "json: ", "invalid character '", "JSON input"),
	when(`\bbufio\.Scanner: token too long`, "a line is too long", "bufio.Scanner"),
	when(`\b(?:msgpack|codec|codecgo)\b[^:;]*(?:: [^;]*)?`, "it cannot be decoded",
		"msgpack", "codec"),
	when(`\b(?:cipher|chacha20poly1305|noise): (?:message authentication failed|[^;]*)`,
		"it is not encrypted with a key of this director",
		"cipher: ", "chacha20poly1305: ", "noise: "),
	when(`\b(?:tls|x509): `, "", "tls: ", "x509: "),

	// Programs.
	when(`\bexit status (\d+)`, "it ended with status $1", "exit status "),
	when(`\bsignal: ([\w ]+?)(?: \(core dumped\))?([;:",)]|$)`, "a signal ended it ($1)$2",
		"signal: "),
	when(`\bexec: ("[^"]*"): executable file not found in \$PATH`,
		"there is no program $1 in PATH", "exec: "),
	when(`\bexecutable file not found in \$PATH`, "there is no such program in PATH",
		"executable file"),
	when(`\bexec: `, "", "exec: "),
}

// with returns the words, each with this behind it.
func with(behind string, words []string) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = word + behind
	}
	return all
}

// calls are those whose names Go puts before what the system says.
var calls = map[string]bool{
	"accept": true, "accept4": true, "bind": true, "connect": true, "dup": true,
	"epoll_create1": true, "epoll_ctl": true, "epoll_wait": true, "fcntl": true, "getrlimit": true,
	"getsockname": true, "getsockopt": true, "ioctl": true, "kill": true, "listen": true,
	"mmap": true, "open": true, "pipe": true, "pipe2": true, "read": true, "recvfrom": true,
	"recvmsg": true, "sendmmsg": true, "sendmsg": true, "sendto": true, "setrlimit": true,
	"setsockopt": true, "socket": true, "wait": true, "waitid": true, "write": true,
}

// withoutCalls drops the names of calls that stand before what the system says.
func withoutCalls(said string) string {
	for from := 0; ; {
		at := strings.Index(said[from:], ": ")
		if at < 0 {
			return said
		}
		at += from
		begin := strings.LastIndexByte(said[:at], ' ') + 1
		from = at + 2
		if calls[said[begin:at]] && isSystems(said[from:]) {
			said, from = said[:begin]+said[from:], begin
		}
	}
}

// isSystems reports whether a text begins with what the system says of a call that it refuses.
func isSystems(text string) bool {
	for number := syscall.Errno(1); number < 134; number++ { // Linux has 133
		if strings.HasPrefix(text, number.Error()) {
			return true
		}
	}
	return false
}

// Text returns what a library says in plain words and in one line. What was said in plain words
// already stays as it is.
func Text(said string) string {
	said = strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r == '\n' }), "; ")
	said = withoutCalls(strings.Join(strings.Fields(said), " "))
	for _, p := range phrases {
		if p.mayBeIn(said) {
			said = p.said.ReplaceAllString(said, p.mean)
		}
	}
	return said
}

func (p phrase) mayBeIn(text string) bool {
	inText := func(hint string) bool { return strings.Contains(text, hint) }
	return slices.ContainsFunc(p.hints, inText)
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
