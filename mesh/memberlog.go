package mesh

import (
	"net"
	"strings"

	"github.com/rs/zerolog"

	"directormesh/mesh/wording"
	"directormesh/ring"
)

// logBridge takes memberlist's log, text lines with a level in brackets, and writes it into ours:
// constant texts that say what it means, the line in plain words as detail, repetitions now and
// then.
type logBridge struct{ n *Node }

// knownLine is what lines of memberlist's with this part mean.
type knownLine struct {
	part  string
	level zerolog.Level
	text  string
	drop  dropReason // what the line reports the loss of
}

// knownLines has memberlist's lines by what they mean to an operator. The first match counts.
var knownLines = [...]knownLine{
	// It was counted when we closed it.
	{part: net.ErrClosed.Error(), level: zerolog.DebugLevel, text: "connection closed here"},
	{part: "Decrypt packet failed", level: zerolog.ErrorLevel, drop: dropKey,
		text: "packet refused: it is not encrypted with a key of this director"},
	{part: "no installed keys could decrypt", level: zerolog.ErrorLevel, drop: dropKey,
		text: "connection refused: it is not encrypted with a key of this director"},
	// The streams find out.
	{part: "Conflicting address", level: zerolog.DebugLevel, text: "two directors have one name"},
	{part: "over TCP but UDP probes failed", level: zerolog.WarnLevel,
		text: "peer is reachable over TCP only; is UDP filtered?"},
	{part: "handler queue full", level: zerolog.WarnLevel, drop: dropQueue,
		text: "packets come faster than they are handled"},
	{part: "Binding to public address without encryption", level: zerolog.WarnLevel,
		text: "the address is public and there is no encryption key"},
	{part: "Suspect ", level: zerolog.InfoLevel, text: "peer does not answer probes"},
	{part: "Failed fallback TCP ping", level: zerolog.InfoLevel,
		text: "peer does not answer probes"},
	{part: "Marking ", level: zerolog.InfoLevel, text: "peer given up by the failure detector"},
	{part: "Refuting ", level: zerolog.InfoLevel, text: "peers suspected this director"},
	{part: "ignoring alive message", level: zerolog.WarnLevel, text: ignoredDirector},
	{part: "Ignoring an alive message", level: zerolog.WarnLevel, text: ignoredDirector},
	{part: "Rejected ", level: zerolog.WarnLevel, text: ignoredDirector},
	{part: "Stream connection", level: zerolog.TraceLevel,
		text: "connection of the failure detector"},
	{part: "Could not set the deadline", level: zerolog.DebugLevel,
		text: "connection closed early"},
	{part: "ping for unexpected node", level: zerolog.WarnLevel,
		text: "a peer takes this director for another one"},
	// These come about a peer that is away, beside what its stream says.
	{part: "Failed to read remote state", level: zerolog.WarnLevel, text: noExchange},
	{part: "Failed to push local state", level: zerolog.WarnLevel, text: noExchange},
	{part: "Push/Pull with", level: zerolog.WarnLevel, text: noExchange},
	{part: "Failed push/pull", level: zerolog.WarnLevel, text: noExchange},
	{part: "pending push/pull", level: zerolog.WarnLevel, text: noExchange},
	{part: "state size is", level: zerolog.WarnLevel, text: noExchange},
	{part: "Failed to send", level: zerolog.WarnLevel, text: cannotSend},
	{part: "Failed to forward", level: zerolog.WarnLevel, text: cannotSend},
	{part: "Failed to receive", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "failed to receive", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "Failed to decode", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "Failed to decompress", level: zerolog.WarnLevel, drop: dropUndecodable,
		text: unreadable},
	{part: "not supported", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "missing message type", level: zerolog.WarnLevel, drop: dropUndecodable,
		text: unreadable},
	{part: "truncated messages", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "invalid checksum", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: "invalid msgType", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
	{part: " label", level: zerolog.WarnLevel, drop: dropUndecodable, text: unreadable},
}

// Texts of more than one kind of line.
const (
	ignoredDirector = "director named by memberlist is ignored"
	noExchange      = "state cannot be exchanged with a peer"
	cannotSend      = "packet cannot be sent to a peer"
	unreadable      = "packet or connection cannot be read"
	otherTrouble    = "trouble with the failure detector"
)

// Write implements io.Writer for one line.
func (b logBridge) Write(line []byte) (int, error) {
	level, text := lineLevel(ring.Printable(string(line)))
	message := otherTrouble
	for _, k := range knownLines {
		if strings.Contains(text, k.part) {
			if message = k.text; level > zerolog.DebugLevel || k.level < level {
				level = k.level // what memberlist does is no trouble
			}
			if k.drop != dropNothing {
				b.n.metrics.drop(k.drop)
			}
			break
		}
	}
	if level < b.n.log.GetLevel() {
		return len(line), nil
	}
	l := &b.n.log
	if level > zerolog.DebugLevel {
		l = b.n.limited("memberlist " + kindOfLine(text))
	}
	l.WithLevel(level).Func(detail(text)).Msg(message)
	return len(line), nil
}

// detail writes memberlist's line, in plain words, and the address that ends it apart.
func detail(text string) func(*zerolog.Event) {
	return func(e *zerolog.Event) {
		if said, from, ok := strings.Cut(text, " from="); ok && !strings.Contains(from, " ") {
			text = said
			e.Str("addr", from)
		}
		e.Str("detail", wording.Text(text))
	}
}

// lineLevel splits memberlist's level from its line. What should worry nobody who does not look for
// it is a level lower than memberlist has it: a peer that is down makes dozens of errors there.
func lineLevel(line string) (zerolog.Level, string) {
	line = strings.TrimSpace(line)
	for _, p := range [...]struct {
		prefix string
		level  zerolog.Level
	}{
		{"[DEBUG]", zerolog.DebugLevel},
		{"[INFO]", zerolog.InfoLevel},
		{"[WARN]", zerolog.WarnLevel},
		{"[ERR]", zerolog.WarnLevel},
		{"[ERROR]", zerolog.WarnLevel},
	} {
		if rest, ok := strings.CutPrefix(line, p.prefix); ok {
			return p.level, strings.TrimPrefix(strings.TrimSpace(rest), "memberlist: ")
		}
	}
	return zerolog.WarnLevel, line // bare lines report failed system calls
}

// kindOfLine is what lines about the same trouble have in common: their first words without names
// and numbers.
func kindOfLine(text string) string {
	words := strings.Fields(text)
	kind := make([]string, 0, 4)
	for _, w := range words {
		if strings.ContainsAny(w, "0123456789'\"") {
			continue
		}
		if kind = append(kind, w); len(kind) == cap(kind) {
			break
		}
	}
	return strings.Join(kind, " ")
}
