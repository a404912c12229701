package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

const (
	// how long an incoming stream may be silent, at most; peers send at least a beat a second
	readTime = 10 * time.Second
	// and at least that less: still longer than until a silent peer has failed
	readSlack = 2 * time.Second
)

// An inStream is one incoming stream, as the core numbers it.
type inStream struct {
	peer string
	s    *secureStream
}

// serveStream is the acceptor's part of a stream, from the byte after the magic one to its end.
// It calls opened when the dialling director has proved that it knows the key.
func (n *Node) serveStream(ctx context.Context, conn net.Conn, opened func()) {
	s, id, hello, err := n.welcome(conn)
	if err != nil {
		if ctx.Err() == nil {
			name := ""
			if hello != nil {
				name = hello.From.Name
			}
			n.noteHandshake(name, conn.RemoteAddr().String(), false, err)
		}
		return
	}
	opened()
	n.metrics.streamsIn.Inc()
	defer n.metrics.streamsIn.Dec()
	// Who dials us can be dialled: memberlist may learn of it later, or never where only UDP is
	// filtered.
	n.ensureLink(hello.From.Name, hello.From.Addr, hello.From.Boot, true)
	err = n.receive(s, id, hello.From.Name)
	n.log.Debug().Str("peer", hello.From.Name).Err(wording.Plain(err)).Msg("incoming stream ended")
	n.input(func(c *replica.Core, now mono.Time) {
		delete(n.in, id)
		c.InClosed(now, id, err)
	})
}

// welcome authenticates a dialer and exchanges hellos.
func (n *Node) welcome(conn net.Conn) (*secureStream, uint64, *wire.Hello, error) {
	if err := conn.SetDeadline(time.Now().Add(openingTime)); err != nil {
		return nil, 0, nil, err
	}
	s, err := acceptHandshake(conn, n.keys.current())
	if err != nil {
		return nil, 0, nil, err
	}
	first, err := receiveMessage(s, helloLimit)
	switch {
	case errors.Is(err, io.EOF):
		// after memberlist could not join us
		return nil, 0, nil, fmt.Errorf("peer only looked in: %w", err)
	case err != nil:
		return nil, 0, nil, protocolError(err)
	}
	hello, ok := first.(*wire.Hello)
	if !ok {
		return nil, 0, nil, &handshakeError{
			Reason: reasonProtocol,
			Err:    fmt.Errorf("a %s in place of the hello", first.Kind()),
		}
	}
	if hello.From.Name == n.cfg.Name {
		// Whoever has the key can say so; who answers there has the name.
		n.events.put(memberEvent{kind: nameHeard, addr: hello.From.Addr, boot: hello.From.Boot})
	}
	var reply *wire.Hello
	var refuse *wire.Refuse
	var id uint64
	n.input(func(c *replica.Core, now mono.Time) {
		if err = n.unfit(s); err != nil {
			return
		}
		if reply, id, err = c.Accept(now, hello); err != nil {
			refuse = c.Refusal(now, err)
			return
		}
		for other, in := range n.in {
			if in.peer == hello.From.Name && other != id {
				_ = in.s.conn.Close() // its reader ends it
			}
		}
		n.in[id] = &inStream{peer: hello.From.Name, s: s}
	})
	if err == errKeyRemoved || err == errLeaving {
		return nil, 0, hello, &handshakeError{Reason: reasonNotAllowed, Err: err}
	}
	if err != nil {
		refused := &handshakeError{Reason: reasonNotAllowed, Err: err}
		return nil, 0, hello, errors.Join(refused, sendMessage(s, refuse))
	}
	if err := sendMessage(s, reply); err != nil {
		n.input(func(c *replica.Core, now mono.Time) {
			delete(n.in, id)
			c.InClosed(now, id, err)
		})
		return nil, 0, hello, err
	}
	return s, id, hello, conn.SetDeadline(time.Time{})
}

// receive gives the core one message of a peer after another until the stream ends, and returns why
// it did.
func (n *Node) receive(s *secureStream, id uint64, peer string) error {
	var buf []byte
	var deadline time.Time
	for {
		// Setting a deadline costs more than reading a message, so it is moved in steps.
		if now := time.Now(); deadline.Sub(now) < readTime-readSlack {
			deadline = now.Add(readTime)
			if err := s.conn.SetReadDeadline(deadline); err != nil {
				return err
			}
		}
		frame, err := readFrame(s.r, buf, wire.MaxMessage)
		if err != nil {
			if errors.Is(err, errFrameSize) {
				n.metrics.drop(dropOversize)
			}
			return err
		}
		n.metrics.received(frame)
		m, err := wire.Decode(frame)
		switch {
		case errors.Is(err, wire.ErrUnknownKind):
			n.skipUnknown(peer, err)
		case err != nil:
			n.dropUndecodable(err)
			n.limited("undecodable").Error().Err(wording.Plain(err)).
				Msg("message does not decode, closing the stream")
			return err
		default:
			if keyring, ok := m.(*wire.Keyring); ok && s.secret != nil {
				n.keys.hear(peer, keyring)
				break
			}
			n.input(func(c *replica.Core, now mono.Time) { c.Receive(now, id, m) })
		}
		// A long frame is often followed by more of its kind; the next short one says that they are
		// over.
		if buf = frame; cap(buf) > keepBuffer && len(frame) <= keepBuffer {
			buf = nil
		}
	}
}
