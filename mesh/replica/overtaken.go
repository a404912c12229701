package replica

import (
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// overtaken reports whether the table does not say what an operation wrote into it, since a later
// change of the same is known by now. Two operators may have been at it at once. Or our host stood
// still with its clocks: what we wrote when it went on has a stamp of before, and lost against what
// the others did meanwhile.
//
// A forget cannot be overtaken: of two marks the later one does for both. Nor can a reset of
// factors: no other command writes them, and what balancing writes afterwards begins from there.
func (c *Core) overtaken(op Operation) bool {
	switch op := op.(type) {
	case AddBackend:
		row, _ := c.table.Row(op.Addr)
		has := row.Presence.Value
		return !has.Present || op.Tag != "" && has.Tag != op.Tag ||
			op.Name != "" && has.Name != op.Name ||
			op.VHosts != nil && row.VHosts.Value != *op.VHosts ||
			op.Standby != nil && row.Standby.Value != *op.Standby ||
			startsOtherwise(row, op.SlowStart)
	case UpdateBackend:
		row, _ := c.table.Row(op.Addr)
		return !row.Presence.Value.Present || row.VHosts.Value != op.VHosts ||
			startsOtherwise(row, op.SlowStart)
	case RemoveBackend:
		row, _ := c.table.Row(op.Addr)
		return row.Presence.Value.Present
	case SetDown:
		row, _ := c.table.Row(op.Addr)
		return !row.Presence.Value.Present || row.State.Value.Down != op.Down ||
			startsOtherwise(row, op.SlowStart)
	case Drain:
		row, _ := c.table.Row(op.Addr)
		return !row.Presence.Value.Present || !row.Drain.Value.On
	case Undrain:
		row, _ := c.table.Row(op.Addr)
		return row.Presence.Value.Present && row.Drained() ||
			startsOtherwise(row, op.SlowStart)
	case Pin:
		row, _ := c.table.Row(op.Backend)
		pin, _ := c.table.Pin(ring.User{Tag: row.Presence.Value.Tag, Hash: op.Hash})
		return pin.Backend.Value != op.Backend
	case Unpin:
		pin, _ := c.table.Pin(op.User)
		return pin.Pinned()
	case SetDirectorRemoved:
		return c.table.Removed(op.Addr) != op.Removed
	}
	return false
}

// startsOtherwise reports whether a backend starts, or started, otherwise than an operation gave.
func startsOtherwise(row directory.BackendRow, given *time.Duration) bool {
	return given != nil && row.Start.Value.Over != given.Truncate(time.Millisecond)
}
