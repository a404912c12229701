package authrelay

import (
	"errors"
	"io"
	"time"
)

// takeRest ends the reading from the client, which err has ended. It lets nothing more in and has
// take read the lines that are there; the request of a line that has no end is refused. What a
// client writes from then on fails where it writes. One that has hung up is given its answers.
func (l *link) takeRest(in *lineReader, err error, take func(*lineReader) (ok bool)) {
	if err != io.EOF {
		l.drain()
		if !l.takeWritten(in, err, take) {
			return
		}
	}
	l.notePart(in)
	if err == io.EOF {
		l.awaitAnswers()
	}
}

// takeWritten lets nothing more in and has take read what is there. False: the link is over.
func (l *link) takeWritten(in *lineReader, err error, take func(*lineReader) (ok bool)) bool {
	closes := l.client.CloseRead() == nil
	for {
		if errors.Is(err, errLineTooLong) {
			l.trouble(clientLine)
			l.notePart(in)
			in.drop()
		}
		if !take(in) {
			return false
		}
		if !closes { // there would be no end to what is there
			return true
		}
		_ = l.client.SetReadDeadline(l.drains.cap(time.Now().Add(drainQuiet)))
		if err = in.fill(); err != nil && !errors.Is(err, errLineTooLong) {
			return true
		}
	}
}

// notePart notes the request of a line of which a part has come, so that end refuses it. An id
// without an end does not count: 1 may be the beginning of 12.
func (l *link) notePart(in *lineReader) {
	verb, rest := cutField(in.rest())
	id, fields := cutField(rest)
	kind, opens := l.s.protocol.asksInPart(verb)
	if !opens || fields == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.remember(id, kind) {
		l.trouble(tooManyRequests)
		l.write(kind.appendFailure(nil, id, []byte("\n")))
	}
}

// awaitAnswers waits until the client has all answers, for lookupTime at most: a client that has
// hung up may still read.
func (l *link) awaitAnswers() {
	timer := time.NewTimer(lookupTime)
	defer timer.Stop()
	for l.awaitsAuth() {
		select {
		case <-l.idle:
			if l.draining() {
				timer.Reset(drainTime)
			}
		case <-timer.C:
			return
		case <-l.ctx.Done():
			return
		}
	}
}
