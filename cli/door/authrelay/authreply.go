package authrelay

import (
	"bytes"
	"errors"
)

// greeting is what the authreply door says first, and hello how the answer to it begins, up to the
// minor version.
const (
	greeting = "VERSION\tdirector-authreply-server\t1\t0\n"
	hello    = "VERSION\tdirector-authreply-client\t1\t"
)

// serveAuthreply completes the lines that the client sends.
func (l *link) serveAuthreply() {
	l.mu.Lock()
	ok := l.write([]byte(greeting))
	l.mu.Unlock()
	if !ok {
		l.leave()
		return
	}
	l.newSide(l.client, l.fill, l.tryAuthreply, l.endAuthreply).start()
}

// tryAuthreply takes the client's version, and then its lines.
func (l *link) tryAuthreply(in *lineReader) (rest func() bool, ok bool) {
	if !l.greeted {
		line := in.next()
		if line == nil {
			return nil, true
		}
		if body, _ := cutEnding(line); !bytes.HasPrefix(body, []byte(hello)) {
			l.trouble(clientVersion)
			return nil, false
		}
		l.greeted = true
	}
	return l.tryAnswer(in)
}

// endAuthreply ends the reading from a client of the authreply door.
func (l *link) endAuthreply(in *lineReader, err error) {
	switch {
	case err != nil && l.greeted:
		l.takeRest(in, err, l.answer)
	case errors.Is(err, errLineTooLong):
		l.trouble(clientLine)
	}
}
