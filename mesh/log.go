package mesh

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/replica"
	"directormesh/ring"
)

// limited returns the logger for a line about this trouble; one that writes nothing if there was
// one lately.
func (n *Node) limited(key string) *zerolog.Logger {
	return n.limits.Logger(n.log, key, time.Now())
}

// writeLine writes a line of the core's. Trouble that repeats word for word, such as a director
// that is refused and tries on, is written now and then.
func (n *Node) writeLine(l replica.Log) {
	var e *zerolog.Event
	switch l.Level {
	case replica.LogError:
		e = n.limited(fmt.Sprint(l.Text, l.Fields)).Error()
	case replica.LogWarn:
		e = n.limited(fmt.Sprint(l.Text, l.Fields)).Warn()
	case replica.LogInfo:
		e = n.log.Info()
	default:
		e = n.log.Debug()
	}
	for _, f := range l.Fields {
		switch v := f.Value.(type) {
		case time.Duration:
			// Exact to a tenth. A field has one unit, which its name tells.
			e.Float64(f.Key+"_ms", float64(v/(100*time.Microsecond))/10)
		case error:
			e.AnErr(f.Key, v)
		case fmt.Stringer:
			e.Stringer(f.Key, v)
		default:
			e.Interface(f.Key, v)
		}
	}
	e.Msg(l.Text)
}

// noteHandshake counts a stream that could not be opened, and logs why, now and then. dialled says
// that it was this director who opened the connection.
func (n *Node) noteHandshake(peer, addr string, dialled bool, err error) {
	var failed *handshakeError
	if !errors.As(err, &failed) || closedHere(err) {
		n.log.Debug().Str("peer", peer).Str("addr", addr).Err(err).Msg("stream cannot be opened")
		return
	}
	n.metrics.handshakeFailed(failed.Reason)
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	var refused *refusal
	switch {
	case errors.As(err, &refused), failed.Reason == reasonNotAllowed:
		return // the core has logged it
	case failed.Reason == reasonNonsense, failed.Reason == reasonTimeout:
		if peer != "" || dialled || n.linkedTo(host) {
			n.limited("odd "+addr).Warn().Str("peer", peer).Str("addr", addr).Err(err).
				Msg("peer does not open its stream; does it hang?")
			return
		}
		n.limited("stranger "+failed.Reason.label()).Error().Str("addr", addr).Err(err).Msg("connection from a stranger closed")
	default:
		n.limited(host+" "+failed.Reason.label()).Error().Str("peer", peer).Str("addr", addr).Err(err).Msg("director refused")
	}
}

// linkedTo reports whether a peer of this mesh is at a host.
func (n *Node) linkedTo(host string) bool {
	n.linksMu.Lock()
	defer n.linksMu.Unlock()
	for _, l := range n.links {
		if l.addr.Addr().Unmap().String() == host {
			return true
		}
	}
	return false
}

// logBridge takes memberlist's log, text lines with a level in brackets, and writes it into ours:
// constant texts, the line as detail, repetitions now and then.
type logBridge struct{ n *Node }

// knownLines gives memberlist's lines that an operator must understand a text of ours. The first
// match counts.
var knownLines = [...]struct {
	part  string
	level zerolog.Level
	text  string
	drop  dropReason // what the line reports the loss of
}{
	{"Decrypt packet failed", zerolog.ErrorLevel,
		"packet refused: it is not encrypted with a key of this director", dropKey},
	{"no installed keys could decrypt", zerolog.ErrorLevel,
		"connection refused: it is not encrypted with a key of this director", dropKey},
	{part: "Conflicting address", level: zerolog.DebugLevel, text: "memberlist"}, // the streams find out
	{part: "over TCP but UDP probes failed", level: zerolog.WarnLevel, text: "peer is reachable over TCP only; is UDP filtered?"},
	{"handler queue full", zerolog.WarnLevel, "packets come faster than they are handled", dropQueue},
	{part: "Binding to public address without encryption", level: zerolog.WarnLevel, text: "the address is public and there is no encryption key"},
	{part: "Suspect ", level: zerolog.InfoLevel, text: "peer does not answer probes"},
	{part: "Marking ", level: zerolog.InfoLevel, text: "peer given up by the failure detector"},
	{part: "Refuting ", level: zerolog.InfoLevel, text: "peers suspected this director"},
	{part: "ignoring alive message", level: zerolog.WarnLevel, text: "director named by memberlist is ignored"},
	{part: "Stream connection", level: zerolog.TraceLevel, text: "memberlist"},
}

// Write implements io.Writer for one line.
func (b logBridge) Write(line []byte) (int, error) {
	level, text := lineLevel(ring.Printable(string(line)))
	message := "memberlist"
	for _, k := range knownLines {
		if strings.Contains(text, k.part) {
			level, message = k.level, k.text
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
	l.WithLevel(level).Str("detail", text).Msg(message)
	return len(line), nil
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
