package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

const (
	dialTime   = 3 * time.Second // to connect; the handshake has openingTime
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	// steady is how long a stream must have lasted for the next dial to begin with the shortest
	// pause again.
	steady = 5 * time.Second
	// helloLimit bounds the first message of a stream, in either direction.
	helloLimit = 64 << 10
)

// A link keeps the outgoing stream to one peer: dials it, writes to it, dials again.
type link struct {
	name string

	// Guarded by Node.linksMu.
	addr   netip.AddrPort
	boot   uint64 // 0: not known
	cancel context.CancelFunc

	hurry chan struct{} // dial now: the peer has shown up
}

func newLink(name string, addr netip.AddrPort, boot uint64) *link {
	return &link{name: name, addr: addr, boot: boot, hurry: make(chan struct{}, 1)}
}

// ensureLink makes sure that there is a link to a peer at this address, which a stream has proven
// to be that peer's. A boot id other than the one known before makes the link dial at once, as does
// hurry.
func (n *Node) ensureLink(name string, addr netip.AddrPort, boot uint64, hurry bool) {
	if name == n.cfg.Name || name == "" || !addr.IsValid() || addr == n.advertise {
		return
	}
	n.linksMu.Lock()
	defer n.linksMu.Unlock()
	if n.links == nil {
		return // closed
	}
	l := n.links[name]
	if l == nil && len(n.links) >= wire.MaxDirectors {
		n.metrics.drop(dropContact)
		return
	}
	if l == nil {
		n.startLinkLocked(newLink(name, addr, boot), nil)
		return
	}
	if l.addr != addr || (boot != 0 && l.boot != boot) {
		hurry = true
	}
	l.addr = addr
	if boot != 0 {
		l.boot = boot
	}
	if hurry {
		select {
		case l.hurry <- struct{}{}:
		default:
		}
	}
}

// startLinkLocked begins with a stream, if one is given.
func (n *Node) startLinkLocked(l *link, first *outStream) {
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(n.ctx)
	n.links[l.name] = l
	n.wg.Go(func() { n.runLink(ctx, l, first) })
}

// adopt makes a stream that has just been opened that of a link, in the place of the one before.
func (n *Node) adopt(out *outStream, who wire.Peer) {
	n.linksMu.Lock()
	defer n.linksMu.Unlock()
	if n.links == nil {
		out.close(context.Canceled)
		return
	}
	if older := n.links[who.Name]; older != nil {
		older.cancel()
	}
	n.startLinkLocked(newLink(who.Name, who.Addr, who.Boot), out)
}

// dropLinks ends the links to these peers.
func (n *Node) dropLinks(names []string) {
	n.linksMu.Lock()
	var dropped []*link
	for _, name := range names {
		if l := n.links[name]; l != nil {
			delete(n.links, name)
			dropped = append(dropped, l)
		}
	}
	n.linksMu.Unlock()
	for _, l := range dropped {
		l.cancel()
	}
}

// runLink serves the first stream, if there is one, and dials until it is to stop.
func (n *Node) runLink(ctx context.Context, l *link, first *outStream) {
	if first == nil {
		// A contact may have reached the peer, which dials us now. With a second stream the peer
		// would end the first one, and we end the second one when the first gets its link.
		n.contacts.await(ctx, n.addrOf(l))
	}
	pause := firstRetry
	var stuck stuckRow
	for first != nil || ctx.Err() == nil { // a given stream is served even then, which closes it
		addr := n.addrOf(l)
		began := time.Now()
		out, err := first, error(nil)
		if first = nil; out == nil {
			out, _, err = n.openTo(ctx, replica.Dial{
				Name: l.name, Addr: addr, Trust: replica.Proven,
			})
		}
		opened := out != nil
		if !opened {
			stuck = stuckRow{} // nothing gets through, however small
		} else {
			err = n.serveOut(ctx, out)
			if size := out.stuckAt(); ctx.Err() == nil && stuck.ended(size) {
				n.noteStuck(l, size, time.Since(began))
			}
		}
		if ctx.Err() != nil {
			return
		}
		n.log.Debug().Str("peer", l.name).Stringer("addr", addr).Bool("opened", opened).
			Err(wording.Plain(err)).
			Msg("stream ended")
		if opened && time.Since(began) >= steady {
			pause = firstRetry
		}
		wait := n.jitter(pause)
		pause = min(2*pause, lastRetry)
		select {
		case <-time.After(wait):
		case <-l.hurry:
			pause = firstRetry
		case <-ctx.Done():
			return
		}
	}
}

// addrOf returns where a link finds its peer.
func (n *Node) addrOf(l *link) netip.AddrPort {
	n.linksMu.Lock()
	defer n.linksMu.Unlock()
	return l.addr
}

// openTo opens a stream to a director, of any name if none is given, and makes it the peer's: it
// queues what the core sends from then on. The caller serves it.
func (n *Node) openTo(ctx context.Context, to replica.Dial) (*outStream, *wire.Hello, error) {
	may := query(n, func(c *replica.Core, _ mono.Time) bool { return c.MayDial(to) })
	if !may {
		return nil, nil, errRemoved
	}
	s, reply, err := n.openStream(ctx, to)
	if err != nil {
		if ctx.Err() == nil {
			n.noteHandshake(to.Name, to.Addr.String(), true, err)
			n.input(func(c *replica.Core, now mono.Time) { c.DialFailed(now, to.Name, err) })
			n.followRefusal(to, err)
		}
		return nil, nil, err
	}
	name := reply.From.Name
	out := newOutStream(name, s)
	n.input(func(c *replica.Core, now mono.Time) {
		if err = n.unfit(s); err != nil {
			return
		}
		if err = c.Opened(now, to, reply); err != nil {
			return
		}
		if err = n.keys.begin(out, reply.Mesh.ID); err != nil {
			return
		}
		if older := n.out[name]; older != nil {
			older.close(errReplaced)
		}
		n.out[name] = out // before the effects are carried out: they begin with the replay
	})
	if err != nil {
		out.close(err)
		return nil, nil, err
	}
	return out, reply, nil
}

// serveOut lets an opened stream be written until it ends or ctx does, and returns why.
func (n *Node) serveOut(ctx context.Context, out *outStream) error {
	stop := context.AfterFunc(ctx, func() { out.close(context.Canceled) })
	defer stop()
	n.metrics.streamsOut.Inc()
	defer n.metrics.streamsOut.Dec()
	err := out.serve(n.metrics.sent)
	n.input(func(c *replica.Core, now mono.Time) {
		if n.out[out.peer] == out {
			delete(n.out, out.peer)
			c.OutClosed(now, out.peer, err)
		}
	})
	return err
}

// followRefusal looks who it is that refused us. The answer came on a stream, so it is no record.
func (n *Node) followRefusal(to replica.Dial, err error) {
	var refused *refusal
	if !errors.As(err, &refused) || refused.From.Name == "" {
		return
	}
	switch from := refused.From; {
	case from.Name == n.cfg.Name:
		n.events.put(memberEvent{
			kind: nameProven, addr: from.Addr, boot: from.Boot, ours: refused.ours,
			theirs: upTime(refused.Up),
		})
	case to.Name != "" && from.Name != to.Name:
		n.contacts.add(replica.Dial{Name: from.Name, Addr: to.Addr, Trust: replica.Named})
	}
}

var (
	// errRemoved ends a link that is about to dial once more before it is dropped.
	errRemoved  = errors.New("it or this director was removed from the mesh")
	errReplaced = errors.New("replaced by a newer stream")
	// errLeaving ends openings while this director leaves: who is only meeting it now would not
	// hear that it goes.
	errLeaving = errors.New("this director is leaving")
)

// unfit says why a stream that has been opened must not be used. coreMu must be locked.
func (n *Node) unfit(s *secureStream) error {
	switch {
	case n.leaving:
		return errLeaving
	case !n.keys.current().opens(s): // it has been removed meanwhile
		return errKeyRemoved
	}
	return nil
}

// A refusal is a peer's answer to our hello: no.
type refusal struct {
	*wire.Refuse
	ours time.Duration // for how long we had been up, by the hello
}

func (r *refusal) Error() string { return fmt.Sprintf("refused by %q: %s", r.From.Name, r.Reason) }

// openStream dials, authenticates, and exchanges hellos. The caller owns the stream. A peer that
// does not know our primary key may know another of ours, while keys are being changed.
func (n *Node) openStream(
	ctx context.Context, to replica.Dial,
) (*secureStream, *wire.Hello, error) {
	keys := n.keys.current()
	s, reply, err := n.openStreamWith(ctx, to, keys)
	for i := 1; i < len(keys.secrets) && refusedKey(err); i++ {
		var again error
		if s, reply, again = n.openStreamWith(ctx, to, keys.beginningWith(i)); again == nil {
			return s, reply, nil
		}
	}
	return s, reply, err
}

// noteTurnedAway reports to the core a director that will not have us while the settings are what
// they are.
func (n *Node) noteTurnedAway(err error) {
	failed := new(handshakeError)
	if errors.As(err, &failed) && failed.Reason.lasts() && !closedHere(err) {
		n.input(func(c *replica.Core, now mono.Time) { c.TurnedAway(now, failed.Error()) })
	}
}

// refusedKey reports whether a peer does not know the key by which a stream was to be opened.
func refusedKey(err error) bool {
	failed := new(handshakeError)
	return errors.As(err, &failed) && failed.Reason == reasonKey
}

// openStreamWith is openStream with the primary of these keys.
func (n *Node) openStreamWith(
	ctx context.Context, to replica.Dial, keys streamKeys,
) (*secureStream, *wire.Hello, error) {
	dialCtx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := n.transport.dial(dialCtx, to.Addr)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	s, reply, err := n.greet(conn, to, keys)
	stop()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return s, reply, nil
}

// greet is the dialer's part of the opening.
func (n *Node) greet(
	conn net.Conn, to replica.Dial, keys streamKeys,
) (*secureStream, *wire.Hello, error) {
	if err := conn.SetDeadline(time.Now().Add(openingTime)); err != nil {
		return nil, nil, err
	}
	s, err := dialHandshake(conn, keys)
	if err != nil {
		return nil, nil, err
	}
	var hello *wire.Hello
	n.input(func(c *replica.Core, now mono.Time) { hello = c.Hello(now, to) })
	if err := sendMessage(s, hello); err != nil {
		return nil, nil, err
	}
	answer, err := receiveMessage(s, helloLimit)
	if err != nil {
		return nil, nil, protocolError(err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	switch m := answer.(type) {
	case *wire.Hello:
		return s, m, nil
	case *wire.Refuse:
		if m.From.Boot != n.boot.Load() { // else we have reached ourselves
			n.input(func(c *replica.Core, now mono.Time) { c.Refused(now, m) })
		}
		return nil, nil, &handshakeError{Reason: reasonRefused, Err: &refusal{m, upTime(hello.Up)}}
	default:
		return nil, nil, &handshakeError{
			Reason: reasonProtocol,
			Err:    fmt.Errorf("a %s answers the hello", answer.Kind()),
		}
	}
}

// sendMessage writes one message at once; the caller sets the deadline.
func sendMessage(s *secureStream, m wire.Message) error {
	encoded, err := wire.Encode(m)
	if err != nil {
		return err
	}
	_, err = s.w.Write(appendFrame(nil, encoded))
	return err
}

func receiveMessage(s *secureStream, limit int) (wire.Message, error) {
	frame, err := readFrame(s.r, nil, limit)
	if err != nil {
		return nil, err
	}
	return wire.Decode(frame)
}
