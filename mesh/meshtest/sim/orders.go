package sim

import (
	"fmt"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/meshtest/check"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// runningFlush is a flush whose end is to be reported to the checker.
type runningFlush struct {
	operation uint64
	director  *director
	id        replica.FlushID
	unknown   int // how often nobody who lives knew of it
}

// order gives the director an operation.
func (d *director) order(op check.Op) {
	if !d.alive || d.leaving || d.removed {
		return
	}
	d.input("doors", func() {
		w := d.w
		if d.removed {
			return
		}
		id := w.id()
		w.record(check.Admin{At: w.when(), ID: id, Director: d.name, Op: op})
		w.tracef("%s: operation %d: %v", d.name, id, op)
		d.orders[id] = d.turn + 1
		d.core.Do(d.now(), id, operation(op, d.core.MeshTime(d.now())))
	})
}

// operation is what a core is asked for, now by its mesh time.
func operation(op check.Op, now directory.Time) replica.Operation {
	switch op.Kind {
	case check.OpImport:
		return replica.Import{Mappings: []replica.ImportedMapping{
			{
				Tag: ring.Tag(
					op.User.Tag,
				),
				Hash:     ring.UserHash(op.User.Hash),
				Backend:  op.Backend,
				Activity: now,
			},
		}}
	case check.OpAdd:
		add := replica.AddBackend{Addr: op.Backend, Tag: ring.Tag(op.Tag)}
		if op.VHosts >= 0 {
			add.VHosts = &op.VHosts
		}
		if op.Standby {
			add.Standby = &op.Standby
		}
		add.SlowStart = slowStart(op)
		return add
	case check.OpUpdate:
		return replica.UpdateBackend{
			Addr: op.Backend, VHosts: op.VHosts, SlowStart: slowStart(op),
		}
	case check.OpRemove:
		return replica.RemoveBackend{Addr: op.Backend}
	case check.OpDown:
		return replica.SetDown{Addr: op.Backend, Down: true}
	case check.OpUp:
		return replica.SetDown{Addr: op.Backend, SlowStart: slowStart(op)}
	case check.OpForget:
		return replica.Forget{Addr: op.Backend}
	case check.OpMove:
		return replica.Move{Hash: ring.UserHash(op.User.Hash), Backend: op.Backend, Wait: op.Wait}
	case check.OpFlush:
		return replica.Flush{Addr: op.Backend}
	case check.OpCancel:
		return replica.CancelFlush{Addr: op.Backend}
	case check.OpDrain:
		return replica.Drain{Addr: op.Backend, Pace: pace(op), Force: true}
	case check.OpUndrain:
		return replica.Undrain{Addr: op.Backend, SlowStart: slowStart(op)}
	case check.OpRebalance:
		return replica.Rebalance{Pace: pace(op)}
	case check.OpPin:
		return replica.Pin{Hash: ring.UserHash(op.User.Hash), Backend: op.Backend, Wait: op.Wait}
	case check.OpUnpin:
		return replica.Unpin{User: ring.User{
			Tag: ring.Tag(op.User.Tag), Hash: ring.UserHash(op.User.Hash),
		}}
	case check.OpReset:
		return replica.ResetFactors{}
	case check.OpKick:
		return replica.KickUser{Value: op.Name}
	}
	panic(fmt.Sprintf("sim: unknown operation %v", op.Kind))
}

// slowStart is that which an operation gives, nil if it leaves that to the settings.
func slowStart(op check.Op) *time.Duration {
	if op.Slow == 0 {
		return nil
	}
	over := max(op.Slow, 0)
	return &over
}

// pace is that of a drain or rebalance in which no user waits for another one.
func pace(op check.Op) replica.Pace { return replica.Pace{Over: op.Over, MaxParallel: 1000} }

// operationDone takes the end of an operation. What failed at once changed nothing; a move that
// fails later lost against another change.
func (d *director) operationDone(e replica.AdminDone) {
	w := d.w
	begun, ordered := d.orders[e.ID]
	if !ordered || d.removed {
		w.tracef("%s: operation %d done: %+v, error %v", d.name, e.ID, e.Outcome, e.Err)
		return
	}
	delete(d.orders, e.ID)
	done := check.Done{At: w.when(), ID: e.ID, Failed: e.Outcome.FailedPeers}
	done.Tables, done.Pins = w.tables()
	if e.Outcome.KeptByNone {
		done.Error = "applied, and kept by none"
	}
	if e.Err != nil {
		done.Error = e.Err.Error()
		done.NoEffect = d.turn == begun
	}
	w.tracef("%s: operation %d done: %+v, error %v", d.name, e.ID, e.Outcome, e.Err)
	w.record(done)
	if e.Err == nil && e.Outcome.Flush != (replica.FlushID{}) {
		f := &runningFlush{operation: e.ID, director: d, id: e.Outcome.Flush}
		w.watchFlush(f)
	}
}

// watchFlush reports to the checker when a flush is over, whoever has gone on with it. One that
// nobody who lives knows of is over too: its last moves end by themselves.
func (w *world) watchFlush(f *runningFlush) {
	w.after(200*time.Millisecond, func() {
		known, over := false, true
		for _, d := range w.directors {
			if !d.alive || d.removed {
				continue
			}
			for _, s := range d.core.Flushes() {
				if s.ID == f.id {
					known = true
					over = over && s.Ended != 0
				}
			}
		}
		switch {
		case !known:
			f.unknown++
		case over:
			w.tracef("%s: flush of operation %d ended", f.director.name, f.operation)
			w.record(check.FlushEnded{At: w.when(), ID: f.operation})
			return
		}
		if f.unknown < unknownFlush {
			w.watchFlush(f)
		}
	})
}

// unknownFlush is how often nobody must know of a flush until it is not asked for any more.
const unknownFlush = 300

// tables is what every living director's table says now.
func (w *world) tables() (tables map[string]check.Table, pins map[string]check.Pins) {
	tables, pins = make(map[string]check.Table), make(map[string]check.Pins)
	for _, d := range w.directors {
		if d.alive && !d.removed {
			all := d.core.Table()
			tables[d.name], pins[d.name] = tableOf(all), pinsOf(all)
		}
	}
	return tables, pins
}

func pinsOf(c directory.Change) check.Pins {
	pins := make(check.Pins)
	for _, r := range c.Pins {
		u := check.User{Tag: string(r.User.Tag), Hash: uint32(r.User.Hash)}
		pins[u] = check.Pin{Backend: r.Backend.Value, Register: fmt.Sprintf("%+v", r.Backend)}
	}
	return pins
}

func tableOf(c directory.Change) check.Table {
	t := make(check.Table)
	for _, r := range c.Backends {
		vhosts := r.VHosts.Value
		if r.VHosts == (directory.Register[int]{}) {
			vhosts = ring.DefaultVHosts // only its presence is known yet
		}
		t[r.Addr] = check.Row{
			Present: r.Presence.Value.Present, Tag: string(r.Presence.Value.Tag),
			VHosts: vhosts, Down: r.State.Value.Down, Forgotten: uint64(r.Forgotten),
			Standby: r.Standby.Value, Gone: r.Listing.Value.Gone,
			Drained: r.Drain.Value.On, Rebalanced: r.Rebalance.Value.On,
			Failed: r.Verdict.Value.Failed, Factor: int(r.Factor.Value),
			Start: r.Start.Value.Percent,
		}
	}
	return t
}

// finalState is what all living directors hold.
func (w *world) finalState() check.Final {
	f := check.Final{At: w.when(), Directors: make(map[string]check.State)}
	for _, d := range w.directors {
		if !d.alive || d.removed {
			continue
		}
		change := d.core.Table()
		s := check.State{Table: tableOf(change), Pins: pinsOf(change)}
		for _, r := range change.Backends {
			row := s.Table[r.Addr]
			row.StartLeft = r.Start.Value.Ends().Sub(d.core.MeshTime(d.now()))
			row.Registers = fmt.Sprintf("%+v", r)
			s.Table[r.Addr] = row
		}
		s.Mappings = d.mappings()
		f.Directors[d.name] = s
	}
	return f
}

// mappings are all live ones, in order of tag and hash.
func (d *director) mappings() (all []check.Mapping) {
	now := d.core.MeshTime(d.now())
	for tag, m := range d.dir.All(now) {
		all = append(all, check.Mapping{
			User:    check.User{Tag: string(tag), Hash: uint32(m.Hash)},
			Backend: m.Backend, Activity: uint32(m.Activity), Stamp: uint32(m.Stamp),
			Generation: m.Generation, Moving: m.Moving,
			Ends: d.w.judgedTime() + d.dir.Ends(m).Sub(now),
		})
	}
	return all
}

// backend is the i-th backend of runs.
func backend(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}) }
