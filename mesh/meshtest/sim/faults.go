package sim

import (
	"fmt"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// stopsWithin is how long a director answers on that hears no confirmation of its change from
// anybody: five seconds, and until it looks at them next.
const stopsWithin = 6 * time.Second

// turnDeaf lets the director take nothing in but beats for a while; then comes what waited, in
// order.
func (d *director) turnDeaf(length time.Duration) {
	if !d.alive || d.asleep {
		return
	}
	life := d.life
	if d.deaf++; d.deaf == 1 {
		d.asked = 0
		d.record(check.Pause{At: d.w.when(), Director: d.name}) // to the others it hangs
	}
	d.w.after(length, func() {
		if d.life != life || !d.alive {
			return
		}
		if d.deaf--; d.deaf > 0 {
			return
		}
		d.record(check.Wake{At: d.w.when(), Director: d.name})
		for _, p := range d.w.directors {
			d.hear(p)
		}
	})
}

// turnDeafTo lets the director take in nothing but beats of one other for a while.
func (d *director) turnDeafTo(p *director, length time.Duration) {
	life := d.life
	d.deafTo[p.index]++
	d.w.after(length, func() {
		if d.life != life || !d.alive {
			return
		}
		d.deafTo[p.index]--
		d.hear(p)
	})
}

// deafToward reports whether the director takes in nothing but beats of another one.
func (d *director) deafToward(p *director) bool { return d.deaf > 0 || d.deafTo[p.index] > 0 }

// hear takes in what waited while the director was deaf.
func (d *director) hear(p *director) {
	s := d.in[p.index]
	if s == nil || d.deafToward(p) {
		return
	}
	waited := s.unheard
	s.unheard = nil
	if len(waited) > 0 {
		d.w.noted[p.index][d.index] = waited[0].sent - noteEvery // the checker hears of them anew
	}
	for _, f := range waited {
		d.input(s, func() {
			if d.in[p.index] == s {
				s.take(f, f.message)
			}
		})
	}
}

// cutOffByDeafness reports whether the beats that a deaf director takes in count for nothing. Of
// more than two, the deaf one learns that it is the one that must stop, as soon as nobody seems to
// answer it. Of two neither can know: they are as good as partitioned.
func (d *director) cutOffByDeafness() bool { return d.deaf > 0 && d.w.schedule.Directors == 2 }

// noteAsking notes that a deaf director has changed its table, for it then waits until all others
// have confirmed that. A change that goes to one alone is an old one, sent again.
func (d *director) noteAsking(e replica.Send) {
	t, ok := e.Message.(*wire.Table)
	if ok && t.Seq != 0 && len(e.To) > 1 && d.deaf > 0 && d.asked == 0 {
		d.asked = d.w.now
	}
}

// mayNotNotice reports whether a director may be deaf and go on: as long as it asks the others
// nothing it misses no answer. Until then the beats that it takes in do not prove what it knows.
func (d *director) mayNotNotice() bool {
	return d.deaf > 0 && (d.asked == 0 || d.w.now-d.asked <= stopsWithin)
}

// records are what gossip and push/pull carried, as somebody on the network may have recorded it.
type records struct{ all []recorded }

type recorded struct {
	at      time.Duration
	encoded []byte // a delta or a state
}

func (r *records) delta(w *world, d *wire.Delta)    { r.add(w, d) }
func (r *records) state(w *world, s *wire.PushPull) { r.add(w, s) }

func (r *records) add(w *world, m wire.Message) {
	if r == nil {
		return
	}
	encoded, err := wire.Encode(m)
	if err != nil {
		panic(fmt.Sprintf("sim: seed %d: what was gossiped cannot be encoded: %v",
			w.schedule.Seed, err))
	}
	r.all = append(r.all, recorded{w.now, encoded})
}

// replay gives a director once more what was recorded, within a second.
func (w *world) replay(a Action, d *director) {
	for _, r := range w.records.all {
		if r.at < a.Since || r.at >= a.Until {
			continue
		}
		m, err := wire.Decode(r.encoded)
		if err != nil {
			panic(fmt.Sprintf("sim: seed %d: what was recorded cannot be decoded: %v",
				w.schedule.Seed, err))
		}
		w.after(w.between(0, time.Second), d.inLife("packets", func() {
			switch m := m.(type) {
			case *wire.Delta:
				if d.core.Gossip(d.now(), m) {
					d.broadcast(m)
				}
			case *wire.PushPull:
				d.merge(m)
			}
		}))
	}
}

// goBad sends a row or a register of the future to all others, as a director with broken memory
// would.
func (d *director) goBad(a Action) {
	if !d.alive {
		return
	}
	w := d.w
	ahead := d.core.MeshTime(d.now()).Add(a.Extra)
	table := d.core.Table()
	if len(table.Backends) == 0 {
		return
	}
	var clock directory.Clock
	row := table.Backends[w.rand.IntN(len(table.Backends))]
	for _, p := range w.directors {
		s := d.out[p.index]
		if s == nil {
			continue
		}
		var m wire.Message
		if a.Fault == BadRegister {
			row.VHosts.Value, row.VHosts.Stamp, row.VHosts.Origin = 7, clock.Next(ahead), d.name
			table.Backends = []directory.BackendRow{row}
			m = &wire.Delta{Origin: d.name, Boot: d.boot, N: 1<<40 + w.id(), Change: table}
			delta := m.(*wire.Delta)
			p.input("packets", func() { p.core.Gossip(p.now(), delta) })
			continue
		}
		m = &wire.LeafRows{
			Blocks: []wire.Block{wire.Pack(ring.Tag(row.Presence.Value.Tag), []directory.Mapping{{
				Hash: ring.UserHash(w.rand.Uint32()), Backend: row.Addr, Generation: 1,
				Activity: ahead.Tick(), Stamp: ahead.Tick(),
			}})},
		}
		s.send(frame{message: m, sent: w.judgedTime(), echo: d.heard[p.index]})
	}
}
