package sim

import (
	"fmt"
	"time"

	"directormesh/mesh/wire"
)

const (
	gossipEvery = 200 * time.Millisecond
	gossipTimes = 4 // how often each director passes a delta on
	gossipTo    = 3 // to how many others at a time
	// kernelPackets is how many packets wait for a director that sleeps.
	kernelPackets = 20
)

// broadcast queues a delta: a few packets to a few others, several times.
func (d *director) broadcast(delta *wire.Delta) {
	w := d.w
	var encoded []byte
	if w.schedule.Codec {
		var err error
		if encoded, err = wire.Encode(delta); err != nil {
			panic(fmt.Sprintf("sim: seed %d: %s gossips what cannot be encoded: %v",
				w.schedule.Seed, d.name, err))
		}
	}
	w.records.delta(w, delta)
	life := d.life
	for round := range gossipTimes {
		w.after(time.Duration(round)*gossipEvery+w.between(0, gossipEvery), func() {
			if d.life != life || !d.alive || d.asleep {
				return
			}
			for range gossipTo {
				p := w.directors[w.rand.IntN(len(w.directors))]
				if p == d || d.members[p.index] == nil || w.chance(w.schedule.Network.Loss) {
					continue
				}
				d.packet(p, delta, encoded)
				if w.chance(w.schedule.Network.Repeat) {
					d.packet(p, delta, encoded)
				}
			}
		})
	}
}

// packet sends one packet, which the receiver passes on if it is new.
func (d *director) packet(p *director, delta *wire.Delta, encoded []byte) {
	w := d.w
	w.after(w.delay(d, p), func() {
		if !p.alive || !w.flows(d, p) || p.asleep && p.waiting("packets") >= kernelPackets {
			return
		}
		p.input("packets", func() {
			delta := delta
			if encoded != nil {
				m, err := wire.Decode(encoded)
				if err != nil {
					panic(fmt.Sprintf(
						"sim: seed %d: %s receives a delta that cannot be decoded: %v",
						w.schedule.Seed, p.name, err))
				}
				delta = m.(*wire.Delta)
			}
			if p.core.Gossip(p.now(), delta) {
				p.broadcast(delta)
			}
		})
	})
}

// pushPulls exchanges whole states with somebody now and then.
func (d *director) pushPulls(life int) {
	w := d.w
	every := w.schedule.Network.PushPull * w.pace(tickEvery) / tickEvery
	w.after(w.between(every/2, every*3/2), func() {
		if d.life != life || !d.alive {
			return
		}
		p := w.directors[w.rand.IntN(len(w.directors))]
		if p != d && d.members[p.index] != nil && !d.asleep {
			d.pushPull(p)
		}
		d.pushPulls(life)
	})
}

// pushPull sends the state, takes the peer's that comes back, and merges it; so does the peer.
func (d *director) pushPull(p *director) {
	w := d.w
	if !w.flows(d, p) || !w.flows(p, d) || !p.alive {
		return
	}
	d.input("push/pull", func() {
		ours := w.state(d)
		w.after(2*w.delay(d, p), func() {
			if !w.flows(d, p) {
				return
			}
			p.input("push/pull", func() {
				theirs := w.state(p)
				p.merge(ours())
				w.after(w.delay(p, d), d.inLife("push/pull", func() { d.merge(theirs()) }))
			})
		})
	})
}

// state takes a director's state; what it returns gives a receiver's copy.
func (w *world) state(d *director) func() *wire.PushPull {
	s := d.core.PushPull(d.now())
	w.records.state(w, s)
	if !w.schedule.Codec {
		return func() *wire.PushPull { return s }
	}
	encoded, err := wire.Encode(s)
	if err != nil {
		panic(fmt.Sprintf("sim: seed %d: the state of %s cannot be encoded: %v",
			w.schedule.Seed, d.name, err))
	}
	return func() *wire.PushPull {
		m, err := wire.Decode(encoded)
		if err != nil {
			panic(fmt.Sprintf("sim: seed %d: the state of %s cannot be decoded: %v",
				w.schedule.Seed, d.name, err))
		}
		return m.(*wire.PushPull)
	}
}

func (d *director) merge(s *wire.PushPull) {
	if err := d.core.MergePushPull(d.now(), s); err != nil {
		d.w.tracef("%s: state of %s refused: %v", d.name, s.Hello.From.Name, err)
	}
}
