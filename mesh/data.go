package mesh

import (
	"errors"
	"fmt"
	"iter"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

// snapshotRows is how many rows a message of a snapshot for the data directory has, about.
const snapshotRows = 8192

// dataDir is the data directory of a node.
type dataDir struct {
	store *store.Store
	found *store.Contents // what is to be loaded; nil: nothing
	disk  *replica.Disk   // what of it the core begins with
}

// openData opens the data directory, if there is one, and reads what the core begins with.
func (n *Node) openData() error {
	if n.cfg.Data == nil {
		return nil
	}
	ours := store.Identity{Mesh: n.cfg.Mesh, Director: n.cfg.Name}
	s, found, err := store.Open(store.Config{FS: n.cfg.Data, Identity: ours})
	if err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	n.data = &dataDir{store: s}
	n.reportFound(found)
	disk := &replica.Disk{Damaged: len(found.Damaged) > 0, GoOn: n.cfg.DataGoOn}
	if found.Mark == nil && !disk.Damaged {
		return nil // there was no time to agree on anything
	}
	if found.Mark != nil {
		disk.Mark = *found.Mark
	}
	first := func(k wire.Kind) bool {
		return k == wire.KindTable || k == wire.KindMark || k == wire.KindFlushProgress
	}
	_, err = found.Each(first, func(m wire.Message) {
		switch m := m.(type) {
		case *wire.Table:
			disk.Changes = append(disk.Changes, m.Change)
		case *wire.Mark:
			if disk.First.MeshTime == 0 && m.Noted != 0 {
				disk.First = *m
			}
		case *wire.FlushProgress:
			disk.Flushes = append(disk.Flushes, *m)
		}
	})
	if err != nil {
		n.log.Error().AnErr("error", wording.Plain(err)).
			Msg("cannot read the data directory to its end")
		disk.Damaged = true
	}
	if disk.Damaged && !disk.GoOn && len(n.seeds) == 0 {
		return ErrDataDamaged
	}
	n.data.found, n.data.disk = found, disk
	return nil
}

// ErrDataDamaged is returned for a data directory that has lost something, where there is no peer
// that could have it, and nobody said to go on with the rest.
var ErrDataDamaged = errors.New("data-dir: it is damaged, and there is no director to join that " +
	"could have what is lost; to go on with what is left, start with --data-dir-damaged=continue")

// reportFound reports to the operator what is odd about a data directory.
func (n *Node) reportFound(c *store.Contents) {
	if len(c.Later) > 0 {
		n.log.Error().Strs("files", c.Later).
			Msg("the data directory is of a later release, its files are put aside and not used")
	}
	if len(c.Damaged) > 0 {
		n.log.Error().Strs("files", c.Damaged).
			Msg("the data directory is damaged, something that was kept is lost")
	}
	if c.Identity.Director != "" && c.Identity.Director != n.cfg.Name {
		n.log.Warn().Str("other", c.Identity.Director).
			Msg("the data directory was that of another director, and is taken over")
	}
	if c.Torn {
		n.log.Info().Msg("the end of the data directory was not written whole, as after a crash")
	}
}

// diskFound is what the core begins with.
func (n *Node) diskFound() *replica.Disk {
	if n.data == nil {
		return nil
	}
	return n.data.disk
}

// load gives the core what the data directory holds, and then begins to keep.
func (n *Node) load() {
	d := n.data
	if d.found != nil {
		rows := func(k wire.Kind) bool { return k == wire.KindRows }
		_, err := d.found.Each(rows, func(m wire.Message) {
			n.input(func(c *replica.Core, now mono.Time) { c.Load(now, m.(*wire.Rows)) })
		})
		n.input(func(c *replica.Core, now mono.Time) { c.Loaded(now, err) })
		d.found, d.disk = nil, nil
	}
	if n.ctx.Err() == nil {
		d.store.Start(n.allHeld, n.dataChanged)
	}
}

// allHeld gives the data directory all that this director holds.
func (n *Node) allHeld() iter.Seq[wire.Message] {
	var first []wire.Message
	var t directory.Time
	n.input(func(c *replica.Core, now mono.Time) { first, t = c.Held(now), c.MeshTime(now) })
	return func(yield func(wire.Message) bool) {
		for _, m := range first {
			if !yield(m) {
				return
			}
		}
		var rows []directory.Mapping
		for _, tag := range n.dir.Tags() {
			for leaf := range 1 << 16 {
				rows = n.dir.LeafToSend(tag, uint16(leaf), t, rows)
				if len(rows) < snapshotRows && leaf < 1<<16-1 || len(rows) == 0 {
					continue
				}
				m := &wire.Rows{Blocks: []wire.Block{wire.Pack(tag, rows)}}
				if rows = rows[:0]; !yield(m) {
					return
				}
			}
		}
	}
}

// dataChanged reports to the core and the operator how the data directory does.
func (n *Node) dataChanged(s store.Status) {
	n.input(func(c *replica.Core, now mono.Time) { c.Kept(now, s.Kept) })
	n.dataMu.Lock()
	was := n.dataProblem
	n.dataProblem = s.Problem
	n.dataMu.Unlock()
	switch {
	case s.Problem != nil && (was == nil || was.Error() != s.Problem.Error()):
		n.limited("data directory").Error().AnErr("error", wording.Plain(s.Problem)).
			Msg("the data directory keeps nothing; trying again")
	case s.Problem == nil && was != nil:
		n.log.Info().Msg("the data directory keeps again what it is given")
	}
}

// DataStatus is how the data directory of a node does.
type DataStatus struct {
	On      bool  // there is one
	Problem error // why nothing is kept at present; nil: it is, or will be in a moment
	Bytes   int64 // of its files
	Dropped uint64
	Gaps    uint64
}

// Data returns how the data directory does.
func (n *Node) Data() DataStatus {
	if n.data == nil {
		return DataStatus{}
	}
	s := n.data.store.Status()
	return DataStatus{
		On: true, Problem: s.Problem, Bytes: s.Bytes, Dropped: s.Dropped, Gaps: s.Gaps,
	}
}

// closeData ends the data directory, behind all that was given to it.
func (n *Node) closeData() {
	if n.data == nil {
		return
	}
	if err := n.data.store.Close(); err != nil {
		n.log.Error().AnErr("error", wording.Plain(err)).
			Msg("the data directory lacks what was changed last")
	}
}
