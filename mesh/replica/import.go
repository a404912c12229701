package replica

import (
	"net/netip"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Import takes mappings over from another director. A user that is mapped elsewhere here gets the
// imported backend: until the switch the other director is the one that is right. It ends at once.
// Outcome.Count is how many mappings were taken or refreshed, the others have a backend that is not
// in the table under their tag, or have expired.
type Import struct {
	Mappings []ImportedMapping
	// Keep lets it end only when the data directories have kept this and all imports before it.
	Keep bool
}

// ImportedMapping is one user of another director.
type ImportedMapping struct {
	Tag      ring.Tag
	Hash     ring.UserHash
	Backend  netip.Addr
	Activity directory.Time // last recorded there
}

func (Import) operation() {}

func (c *Core) doImport(now mono.Time, o *operationState, op Import) {
	t := c.clock.At(now)
	rows := rowset.New()
	for _, in := range op.Mappings {
		if m, ok := c.importedRow(t, in); ok {
			rows.Add(in.Tag, m)
		}
	}
	c.mergedFor = wire.CauseImport
	defer func() { c.mergedFor = wire.CauseOther }()
	c.mergeRows(now, rows.Blocks(), func(u ring.User, in directory.Mapping, out directory.Merged) {
		o.outcome.Count++
		if out.Changed {
			c.outbox.Push(u.Tag, out.Mapping)
		}
	})
	c.flushOutbox(now)
}

// importedRow is the row that gives a user what the other director says: it beats the stored one
// only if the backend differs.
func (c *Core) importedRow(t directory.Time, in ImportedMapping) (directory.Mapping, bool) {
	row, ok := c.table.Row(in.Backend)
	if !ok || !in.Backend.IsValid() {
		return directory.Mapping{}, false
	}
	m := directory.Mapping{
		Hash: in.Hash, Backend: in.Backend, Generation: 1,
		Activity: min(in.Activity, t).Tick(),
		Stamp:    max(t.Tick(), row.Forgotten.Tick()+1),
	}
	switch stored, status := c.dir.Find(in.Tag, in.Hash, t); {
	case status == directory.Live && stored.Backend == in.Backend:
		activity := m.Activity
		m = stored
		m.Activity = max(m.Activity, activity)
	case status == directory.Live && stored.Moving:
		return directory.Mapping{}, false
	case status != directory.None:
		m.Generation = directory.NextGeneration(stored.Generation)
	}
	return m, true
}
