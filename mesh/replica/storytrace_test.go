package replica

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var backendAddr = regexp.MustCompile(`\b192\.0\.2\.\d+`)

// storyWidth is how wide the lines of a story may be.
const storyWidth = 100

// printf adds a line to what the directors did, with the seconds since the story began.
func (s *story) printf(format string, args ...any) {
	line := fmt.Sprintf("%7.3f", s.w.now.Sub(worldStart).Seconds())
	space := "  "
	for word := range strings.SplitSeq(fmt.Sprintf(format, args...), " ") {
		if utf8.RuneCountInString(line+space+word) > storyWidth {
			s.trace.WriteString(line + "\n")
			line, space = strings.Repeat(" ", 12), " "
		}
		line += space + word
		space = " "
	}
	s.trace.WriteString(line + "\n")
}

// effect prints what a director does.
func (s *story) effect(d *director, e Effect) {
	if d.stopped {
		return
	}
	switch e := e.(type) {
	case Send:
		if s.shown[kindOf(e.Message)] {
			s.sent(d, e)
		}
	case Gossip:
		if s.shown["Delta"] {
			s.printf("%s gossips %s", d.name, s.said(e.Delta))
		}
	case Answer:
		name := s.asked[s.key(d, e.ID)]
		if e.Err != nil {
			s.printf("%s answers %s: %v", d.name, name, e.Err)
			return
		}
		s.printf("%s answers %s: %s", d.name, name, s.backend(e.Backend))
	case AdminDone:
		s.done(d, e)
	case Kick:
		s.printf("%s kicks %s", d.name, s.target(e.Target))
	case CloseStream:
		s.printf("%s closes the streams with %s: %s", d.name, e.Peer, e.Reason)
	case NewLife:
		s.printf("%s begins a new life", d.name)
	case Log:
		s.logged(d, e)
	}
}

// logged prints a line of the log, once for each command.
func (s *story) logged(d *director, e Log) {
	if e.Level == LogDebug || !s.shown["Logs"] {
		return
	}
	var fields []string
	for _, f := range e.Fields {
		if f.Key != "addr" { // says no more than the name
			fields = append(fields, fmt.Sprint(f.Key, " ", s.field(f.Value)))
		}
	}
	text := fmt.Sprintf("%s logs: %s", d.name, e.Text)
	if len(fields) > 0 {
		text += " (" + strings.Join(fields, ", ") + ")"
	}
	if !s.logs[text] {
		s.logs[text] = true
		s.printf("%s", text)
	}
}

// sent prints a message, and to whom it does not come.
func (s *story) sent(d *director, e Send) {
	var to, lost []string
	for _, name := range e.To {
		other := s.w.named(name)
		if !s.w.open(d, other) || s.loses(d, other, e.Message) {
			lost = append(lost, name)
			continue
		}
		to = append(to, name)
	}
	text := s.said(e.Message)
	if len(to) > 0 {
		s.printf("%s → %s: %s", d.name, strings.Join(to, " "), text)
	}
	if len(lost) > 0 {
		s.printf("%s → %s, lost: %s", d.name, strings.Join(lost, " "), text)
	}
}

func (s *story) done(d *director, e AdminDone) {
	text := s.asked[s.key(d, e.ID)]
	if e.Err != nil {
		s.printf("%s: %q fails: %v", d.name, text, e.Err)
		return
	}
	if names := e.Outcome.FailedPeers; len(names) > 0 {
		s.printf("%s: %q is done; failed: %s", d.name, text, strings.Join(names, " "))
		return
	}
	s.printf("%s: %q is done", d.name, text)
}

func (s *story) target(t KickTarget) string {
	switch {
	case t.ByHash && t.Keep.IsValid():
		return fmt.Sprintf("%s, but not on %s", s.name(t.Hash), s.backend(t.Keep))
	case t.ByHash:
		return s.name(t.Hash)
	case t.Backend.IsValid():
		return "all on " + s.backend(t.Backend)
	}
	return t.Value
}

// field is a value of a log line in the words of the story.
func (s *story) field(value any) string {
	if d, ok := value.(time.Duration); ok {
		return d.Round(time.Millisecond).String()
	}
	text := fmt.Sprint(value)
	for _, d := range s.w.directors {
		s.mesh(d.core.Self(s.w.now).Mesh.ID)
	}
	for _, id := range s.meshes {
		text = strings.ReplaceAll(text, "mesh "+id.String(), s.mesh(id))
		text = strings.ReplaceAll(text, id.String(), s.mesh(id))
	}
	return backendAddr.ReplaceAllStringFunc(text, func(addr string) string {
		return s.backend(netip.MustParseAddr(addr))
	})
}

// name is how the story calls a user.
func (s *story) name(h ring.UserHash) string {
	if name := s.users[h]; name != "" {
		return name
	}
	return fmt.Sprintf("user %08x", h)
}

func (s *story) backend(a netip.Addr) string {
	if !a.IsValid() {
		return "nowhere"
	}
	return string('A' + rune(a.As4()[3]) - 1)
}

// mesh numbers the meshes as they appear.
func (s *story) mesh(id directory.MeshID) string {
	if id == 0 {
		return "no mesh"
	}
	i := slices.Index(s.meshes, id)
	if i < 0 {
		i = len(s.meshes)
		s.meshes = append(s.meshes, id)
	}
	return fmt.Sprintf("mesh %d", i+1)
}

// kindOf is the name of a message's type.
func kindOf(m wire.Message) string { return reflect.TypeOf(m).Elem().Name() }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
