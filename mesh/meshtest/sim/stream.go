package sim

import (
	"errors"
	"fmt"
	"time"

	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

var errBroken = errors.New("stream broken")

// noteEvery is how often the checker hears of frames between two directors.
const noteEvery = 200 * time.Millisecond

// stream is a connection that one director dialled to another, once its handshake is through.
type stream struct {
	from, to         *director
	fromLife, toLife int
	toName           string // the receiver's, which a later life may not have
	session          uint64

	open       bool          // the sender may still send
	broken     bool          // nothing that is sent gets through any more
	lastAt     time.Duration // when the frame before arrives
	underway   []frame       // sent and not arrived, in order
	owed       int           // of them, how many could not arrive because the link is cut
	orphan     bool          // its sender died with its machine
	stalls     bool
	generation int // of the stall, to know whether it is still the same

	unheard []frame // received, and waiting for a receiver that is deaf
	logged  uint64  // of the sender's log, the last that the receiver took in
}

// frame is a message on its way.
type frame struct {
	message wire.Message
	encoded []byte
	sent    time.Duration
	echo    time.Duration
}

// send puts a message on streams.
func (d *director) send(e replica.Send) {
	d.noteAsking(e)
	var encoded []byte
	if d.w.schedule.Codec {
		var err error
		if encoded, err = wire.Encode(e.Message); err != nil {
			panic(fmt.Sprintf("sim: seed %d: %s sends what cannot be encoded: %v",
				d.w.schedule.Seed, d.name, err))
		}
	}
	for _, name := range e.To {
		p := d.w.named(name)
		if p == nil {
			continue // it has another name by now
		}
		if s := d.out[p.index]; s != nil && s.toName == name {
			d.w.demands.sent++
			s.send(frame{
				message: e.Message, encoded: encoded, sent: d.w.judgedTime(),
				echo: d.heard[p.index],
			})
		}
	}
}

func (s *stream) send(f frame) {
	if s.broken || !s.open {
		return
	}
	w := s.from.w
	if q := w.schedule.Queue; q != 0 && len(s.underway) >= q {
		s.breakNow("the queue is full")
		return
	}
	s.underway = append(s.underway, f)
	if s.stalls {
		s.owed++
		return
	}
	s.lastAt = max(
		s.lastAt, w.now+w.delay(s.from, s.to)+w.between(0, w.slower[s.from.index][s.to.index]))
	w.at(s.lastAt, s.arrive)
}

// readOn takes what has waited for a receiver that did not read.
func (s *stream) readOn() {
	if s.stalls {
		return
	}
	for range s.owed {
		s.from.w.at(max(s.lastAt, s.from.w.now), s.arrive)
	}
	s.owed = 0
}

// arrive gives the next frame to its receiver, if the stream still stands. A machine that started
// again knows nothing of it, and says so.
func (s *stream) arrive() {
	w := s.from.w
	switch {
	case s.broken:
		return
	case s.to.life != s.toLife && s.to.alive && w.flows(s.from, s.to) && w.flows(s.to, s.from):
		s.broken = true
		s.tellSender(w.delay(s.to, s.from))
		return
	case s.to.life != s.toLife || !s.to.alive:
		return
	case w.stuck[s.from.index][s.to.index] > 0:
		s.owed++
		return
	case !w.flows(s.from, s.to):
		if s.orphan {
			s.underway = s.underway[1:]
		} else {
			s.owed++
		}
		return
	case s.to.asleep && s.to.waiting(s) >= kernelFrames:
		s.breakNow("the receiver does not read")
		return
	}
	f := s.underway[0]
	s.underway = s.underway[1:]
	s.to.input(s, func() { s.receive(f) })
}

func (s *stream) receive(f frame) {
	if s.to.in[s.from.index] != s {
		return
	}
	m := f.message
	if f.encoded != nil {
		var err error
		if m, err = wire.Decode(f.encoded); err != nil {
			panic(fmt.Sprintf("sim: seed %d: %s receives what cannot be decoded: %v",
				s.from.w.schedule.Seed, s.to.name, err))
		}
	}
	d := s.to
	if beat, ok := m.(*wire.Beat); !ok && (d.deafToward(s.from) || len(s.unheard) > 0) {
		f.message, f.encoded = m, nil
		s.unheard = append(s.unheard, f)
		return
	} else if ok && len(s.unheard) > 0 && beat.Seq > s.logged {
		early := *beat // it must not tell of what waits
		early.Seq = s.logged
		m = &early
	}
	s.take(f, m)
}

// take gives a message to the core.
func (s *stream) take(f frame, m wire.Message) {
	d, w := s.to, s.to.w
	if seq, ok := wire.LogSeq(m); ok && seq != 0 {
		s.logged = seq
	}
	d.heard[s.from.index] = max(d.heard[s.from.index], f.sent)
	if !d.mayNotNotice() {
		d.taken[s.from.index] = max(d.taken[s.from.index], f.sent)
	}
	noted := &w.noted[s.from.index][d.index]
	counts := s.from.life == s.fromLife && !s.from.removed && !d.removed && !d.cutOffByDeafness()
	if counts && f.sent-*noted >= w.pace(noteEvery) {
		*noted = f.sent
		w.record(check.Frame{
			At: w.when(), From: s.from.name, To: d.name, Sent: d.taken[s.from.index], Echo: f.echo,
		})
	}
	d.core.Receive(d.now(), s.session, m)
}

// linkChanged lets a stream stall or flow again. One that stalls for long breaks, and its ends
// learn that at different times. Where only the acknowledgements are lost the frames still arrive,
// for a while.
func (s *stream) linkChanged() {
	w := s.from.w
	there, back := w.flows(s.from, s.to), w.flows(s.to, s.from)
	if there && s.owed > 0 {
		s.lastAt = max(s.lastAt, w.now+w.between(0, 2*time.Second)) // the next retransmission
		for range s.owed {
			w.at(s.lastAt, s.arrive)
		}
		s.owed = 0
	}
	s.stalls = !there
	if there && back || s.broken {
		s.generation++
		return
	}
	s.generation++
	generation := s.generation
	w.after(w.between(3*time.Second, 15*time.Second), func() {
		if s.generation == generation {
			s.breakNow("timeout")
		}
	})
}

// breakNow ends a stream with all that is on it.
func (s *stream) breakNow(why string) {
	if s.broken {
		return
	}
	w := s.from.w
	w.tracef("the stream from %s to %s is gone: %s", s.from.name, s.to.name, why)
	s.broken = true
	s.generation++
	s.tellSender(w.between(0, time.Second))
	s.tellReceiver(w.between(0, 3*time.Second))
}

func (s *stream) tellSender(after time.Duration) {
	s.from.w.after(after, func() {
		if s.from.life != s.fromLife {
			return
		}
		s.from.input(s, func() {
			if s.from.out[s.to.index] == s {
				s.from.out[s.to.index] = nil
				s.from.core.OutClosed(s.from.now(), s.toName, errBroken)
			}
		})
	})
}

func (s *stream) tellReceiver(after time.Duration) {
	s.from.w.after(after, func() {
		if s.to.life != s.toLife {
			return
		}
		s.to.input(s, func() {
			if s.to.in[s.from.index] == s {
				s.to.in[s.from.index] = nil
				s.to.core.InClosed(s.to.now(), s.session, errBroken)
			}
		})
	})
}

// closeStreams drops both streams with a peer because the core wants that.
func (d *director) closeStreams(e replica.CloseStream) {
	p := d.w.named(e.Peer)
	if p == nil {
		return
	}
	if s := d.out[p.index]; s != nil && s.toName == e.Peer && e.Only != replica.TheirStream {
		s.breakNow(e.Reason)
	}
	if s := d.in[p.index]; s != nil && e.Only != replica.OurStream {
		s.breakNow(e.Reason)
	}
}

// closeAll ends all streams of a director that died. Its kernel says so to the peers, unless the
// whole machine is gone.
func (d *director) closeAll(silent bool) {
	w := d.w
	soon := func() time.Duration {
		if silent {
			return w.between(3*time.Second, 15*time.Second)
		}
		return w.between(0, 50*time.Millisecond)
	}
	for _, p := range w.directors {
		if s := d.out[p.index]; s != nil {
			// what is on its way still arrives, but what has to be sent once more needs the machine
			s.open = false
			if s.orphan = silent; silent {
				s.underway, s.owed = s.underway[:len(s.underway)-s.owed], 0
			}
			s.tellReceiver(max(soon(), s.lastAt-w.now))
		}
		if s := p.out[d.index]; s != nil && s.toLife == d.life {
			s.broken = !silent
			s.tellSender(soon())
		}
	}
}
