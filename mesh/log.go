package mesh

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rs/zerolog"

	"directormesh/mesh/replica"
	"directormesh/mesh/wording"
)

// limited returns the logger for a line about this trouble; one that writes nothing if there was
// one lately.
func (n *Node) limited(key string) *zerolog.Logger {
	return n.limits.Logger(n.log, key, time.Now())
}

// troubleOf is what distinguishes a line of the core from lines about other trouble: its text and
// fields. Errors do not count: their words, as those of a flush script, may be others each time.
func troubleOf(l replica.Log) string {
	key := l.Text
	for _, f := range l.Fields {
		if _, ok := f.Value.(error); !ok {
			key += fmt.Sprint(" ", f)
		}
	}
	return key
}

// writeLine writes a line of the core's. Trouble that repeats, such as a director that is refused
// and tries on, is written now and then.
func (n *Node) writeLine(l replica.Log) {
	var e *zerolog.Event
	switch l.Level {
	case replica.LogError:
		e = n.limited(troubleOf(l)).Error()
	case replica.LogWarn:
		e = n.limited(troubleOf(l)).Warn()
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
			e.AnErr(f.Key, wording.Plain(v))
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
		n.log.Debug().Str("peer", peer).Str("addr", addr).Err(wording.Plain(err)).
			Msg("stream cannot be opened")
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
	case failed.Reason == reasonProtocol, failed.Reason == reasonTimeout:
		if peer != "" || dialled || n.linkedTo(host) {
			n.limited("odd "+addr).Warn().Str("peer", peer).Str("addr", addr).
				Err(wording.Plain(err)).
				Msg("peer does not open its stream; does it hang?")
			return
		}
		n.limited("stranger "+failed.Reason.label()).Error().Str("addr", addr).
			Err(wording.Plain(err)).
			Msg("connection from a stranger closed")
	default:
		n.limited(host+" "+failed.Reason.label()).Error().Str("peer", peer).Str("addr", addr).
			Err(wording.Plain(err)).
			Msg("director refused")
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
