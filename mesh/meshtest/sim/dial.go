package sim

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

var (
	errTimeout = errors.New("timeout")
	errClosed  = errors.New("connection refused")
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
	// handshakeLimit is how long a handshake may take.
	handshakeLimit = 5 * time.Second
)

// link is another director, by its name, that is dialled for as long as it is wanted; or once, if
// no stream has proven it yet.
type link struct {
	to      replica.Dial
	under   bool          // an attempt is
	after   time.Duration // not before
	backoff time.Duration
}

func (l *link) lasting() bool { return l.to.Trust == replica.Proven }

// contact has a director dialled, as the core asks for it.
func (d *director) contact(to replica.Dial, hurry bool) {
	if to.Name == d.name || to.Addr == d.addr || to.Name == "" && to.Trust == replica.Proven {
		return
	}
	if to.Trust != replica.Proven {
		to.Trust = replica.Heard
	}
	for _, l := range d.links {
		if l.to.Name == to.Name && l.lasting() == (to.Trust == replica.Proven) {
			if l.to.Addr = to.Addr; hurry {
				l.after, l.backoff = d.w.now, firstRetry
			}
			return
		}
	}
	d.links = append(d.links, &link{to: to, after: d.w.now, backoff: firstRetry})
}

// dial opens the streams that should be up and are not.
func (d *director) dial() {
	if d.leaving {
		return
	}
	d.links = slices.DeleteFunc(d.links, func(l *link) bool {
		return !l.under && l.lasting() && !d.core.Wanted(l.to.Name)
	})
	for _, l := range slices.Clone(d.links) {
		if s := d.streamTo(l.to.Name); s == nil && !l.under && d.w.now >= l.after {
			l.under = true
			d.connect(l)
		}
	}
}

// streamTo is the stream that was opened to a director of this name; nil: there is none.
func (d *director) streamTo(name string) *stream {
	if name == "" {
		return nil
	}
	for _, s := range d.out {
		if s != nil && s.toName == name {
			return s
		}
	}
	return nil
}

// host is the director with this address, whatever its name; nil: there is none.
func (w *world) host(addr netip.AddrPort) *director {
	for _, d := range w.directors {
		if d.addr == addr {
			return d
		}
	}
	return nil
}

// attempt is a handshake.
type attempt struct {
	d     *director
	life  int
	l     *link
	ended bool
}

// end ends an attempt without a stream, after a while. The error is nil if the core knows already.
func (a *attempt) end(after time.Duration, err error) {
	d, l := a.d, a.l
	d.w.after(after, d.inLife("dial", func() {
		if a.ended {
			return
		}
		a.ended = true
		if err != nil && l.to.Name != "" {
			d.core.DialFailed(d.now(), l.to.Name, err)
		}
		d.tried(l)
	}))
}

// tried plans the next attempt, if there is to be one.
func (d *director) tried(l *link) {
	w := d.w
	l.under, l.after = false, w.now+w.between(l.backoff/2, l.backoff)
	l.backoff = min(2*l.backoff, lastRetry)
	if !l.lasting() {
		d.links = slices.DeleteFunc(d.links, func(x *link) bool { return x == l })
	}
}

// connect runs the handshake: hello there, answer back. Each step takes the network's time and may
// end in nothing.
func (d *director) connect(l *link) {
	w, p := d.w, d.w.host(l.to.Addr)
	hello := d.core.Hello(d.now(), l.to)
	a := &attempt{d: d, life: d.life, l: l}
	if p == nil || !w.flows(d, p) || !w.flows(p, d) {
		a.end(w.between(time.Second, 3*time.Second), errTimeout)
		return
	}
	a.end(handshakeLimit, errTimeout) // comes to nothing if the attempt ends before
	w.after(2*w.delay(d, p), func() {
		if !p.alive {
			a.end(w.delay(p, d), errClosed)
			return
		}
		if !w.flows(d, p) {
			return
		}
		p.input("accept", func() {
			if d.life != a.life || !d.alive || a.ended {
				return // nobody is there any more
			}
			reply, session, err := p.core.Accept(p.now(), hello)
			if err != nil {
				d.refused(a, p, p.core.Refusal(p.now(), err))
				return
			}
			s := &stream{
				from: d, to: p, fromLife: a.life, toLife: p.life, toName: p.name, session: session,
				open: true,
			}
			if old := p.in[d.index]; old != nil {
				old.broken = true
				old.tellSender(w.delay(p, d))
			}
			p.in[d.index] = s
			p.contact(replica.Dial{
				Name: hello.From.Name, Addr: hello.From.Addr, Trust: replica.Proven,
			}, true)
			if w.flows(p, d) {
				w.after(w.delay(p, d), d.inLife(s, func() { d.opened(a, s, reply) }))
			}
		})
	})
}

// refused takes the answer of a director that does not want the stream. If it is another one than
// the dialler meant, that one is dialled.
func (d *director) refused(a *attempt, p *director, r *wire.Refuse) {
	after := d.w.delay(p, d)
	d.w.after(after, d.inLife("dial", func() {
		if a.ended {
			return
		}
		d.core.Refused(d.now(), r)
		if to := a.l.to; to.Name != "" && r.From.Name != to.Name {
			d.contact(replica.Dial{Name: r.From.Name, Addr: to.Addr, Trust: replica.Named}, false)
		}
	}))
	a.end(after, nil)
}

// opened takes the answer of one that does.
func (d *director) opened(a *attempt, s *stream, reply *wire.Hello) {
	w, p := d.w, s.to
	switch {
	case a.ended:
		s.breakNow("nobody waits for it any more")
		return
	case s.broken: // by a newer one
		a.end(0, errClosed)
		return
	}
	a.ended = true
	old := d.out[p.index]
	if old != nil && old.toLife != s.toLife { // to an earlier life, whose end is not known yet
		old.broken = true
		d.core.OutClosed(d.now(), old.toName, errBroken)
	}
	d.out[p.index] = s
	d.tried(a.l)
	a.l.backoff = firstRetry
	if err := d.core.Opened(d.now(), a.l.to, reply); err != nil {
		s.breakNow(err.Error())
		return
	}
	if old != nil && !old.broken { // another attempt came to the same director
		old.breakNow("replaced by a newer one")
	}
	d.contact(
		replica.Dial{Name: reply.From.Name, Addr: reply.From.Addr, Trust: replica.Proven}, false)
	w.tracef("%s: stream to %s is up", d.name, p.name)
	s.linkChanged()
	if !p.alive || p.life != s.toLife {
		s.breakNow("the peer is gone")
	}
}
