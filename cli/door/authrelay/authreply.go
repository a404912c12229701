package authrelay

import (
	"bytes"
)

// greeting is what the authreply door says first, and hello how the answer to it begins, up to the
// minor version.
const (
	greeting = "VERSION\tdirector-authreply-server\t1\t0\n"
	hello    = "VERSION\tdirector-authreply-client\t1\t"
)

// serveAuthreply completes the lines that the client sends.
func (l *link) serveAuthreply() {
	in := newLineReader(l.client, l.s.protocol.maxBuffer())
	if !l.greet(in) {
		return
	}
	for l.answer(in) {
		if err := l.fill(in); err != nil {
			l.takeRest(in, err, l.answer)
			return
		}
	}
}

// greet exchanges versions.
func (l *link) greet(in *lineReader) bool {
	l.mu.Lock()
	ok := l.write([]byte(greeting))
	l.mu.Unlock()
	if !ok {
		return false
	}
	for {
		if err := l.fill(in); err == errLineTooLong {
			l.trouble(clientLine)
			return false
		} else if err != nil {
			return false
		}
		line := in.next()
		if line == nil {
			continue
		}
		if body, _ := cutEnding(line); !bytes.HasPrefix(body, []byte(hello)) {
			l.trouble(clientVersion)
			return false
		}
		return true
	}
}
