package replica

import (
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/rowset"
	"directormesh/mesh/wire"
)

// ownLog writes this director's log.
type ownLog struct {
	*output
	ownLogPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	dir       *directory.Directory
	hlc       *directory.Clock
	late      *logs.LateRows
	log       *logs.Own
	lookups   *lookups.Answers
	outbox    *rowset.Outbox
	table     *directory.Table
}

// ownLogPort is what ownLog needs of the other parts of the core.
type ownLogPort interface {
	mergeRows(now mono.Time, blocks []wire.Block, each eachMerged)
	observe(now mono.Time, s directory.Stamp)
}

// write numbers a message, keeps it and sends it to every peer with a stream.
func (ol *ownLog) write(now mono.Time, m wire.Message) {
	ol.log.Append(now, m)
	if rows, ok := m.(*wire.Rows); ok {
		ol.late.Note(ol.clock.At(now), rows.Blocks)
	}
	ol.keepLog(m)
	ol.sendAll(m)
}

// replay sends a peer what is kept of the log after seq. One that is in no mesh yet, or has nothing
// of a member's log, takes a snapshot anyway; old rows would only bring it what the snapshot no
// longer has, one by one. It gets the last moment, which the donor may not have had yet, unless the
// donor can only be this director. A member that meets a new one gets all that there ever was, so
// that it needs no snapshot.
func (ol *ownLog) replay(now mono.Time, p *peer, seq uint64) {
	joins := seq == 0 && ol.admission.bootstrapped && (p.mesh.ID == 0 || !ol.log.Whole())
	if joins && p.mesh.ID == 0 && ol.peers.all.live() == 0 {
		return
	}
	for m := range ol.log.Replay(now, seq, joins) {
		ol.send(p, ol.asOfNow(m))
	}
}

// asOfNow gives a message of the log the present rows of its directors. A peer that has no table
// yet would act on a removal that has been taken back since: it would part with the removed
// director, perhaps with us, and not hear the rest.
func (ol *ownLog) asOfNow(m wire.Message) wire.Message {
	t, ok := m.(*wire.Table)
	if !ok || len(t.Change.Directors) == 0 {
		return m
	}
	again := *t
	again.Change.Directors = slices.Clone(t.Change.Directors)
	for i, row := range again.Change.Directors {
		if now, ok := ol.table.Director(row.Addr); ok {
			again.Change.Directors[i] = now
		}
	}
	return &again
}

// sendMarks sends a peer up to when which backends' mappings are forgotten, before it gets the log
// again. In the log that stands behind rows that it concerns. Where such a row met one made after
// it, the older would win, and then be forgotten. As it stands before what we answered it confirms
// nothing.
func (ol *ownLog) sendMarks(p *peer) {
	m := &wire.Table{}
	for _, row := range ol.table.Snapshot().Backends {
		if row.Forgotten != 0 {
			marks := directory.BackendRow{Addr: row.Addr, Forgotten: row.Forgotten}
			m.Change.Backends = append(m.Change.Backends, marks)
		}
	}
	if len(m.Change.Backends) > 0 && !ol.cfg.Guards.NoMarksFirst {
		ol.send(p, m)
	}
}

// onlyMarks reports whether a message is one of sendMarks.
func onlyMarks(m *wire.Table) bool {
	if m.Seq != 0 || m.Change.Mesh != 0 || len(m.Change.Directors) > 0 || len(m.Change.Pins) > 0 ||
		len(m.Change.Backends) == 0 {
		return false
	}
	for _, row := range m.Change.Backends {
		if row != (directory.BackendRow{Addr: row.Addr, Forgotten: row.Forgotten}) {
			return false
		}
	}
	return true
}

// flushOutbox writes the collected rows into the log.
func (ol *ownLog) flushOutbox(now mono.Time) {
	for block := range ol.outbox.Take() {
		if ol.notes {
			ol.noteLogins(now, block)
		}
		ol.write(now, &wire.Rows{Stamp: ol.hlc.Next(ol.clock.At(now)), Blocks: []wire.Block{block}})
	}
	ol.noteReplaced(now)
}

// gotRows takes the rows of a peer's log.
func (ol *ownLog) gotRows(now mono.Time, _ *peer, m *wire.Rows) { ol.takeRows(now, m) }

// takeRows merges the rows of a log message.
func (ol *ownLog) takeRows(now mono.Time, m *wire.Rows) {
	ol.observe(now, m.Stamp)
	ol.late.Note(ol.clock.At(now), m.Blocks)
	ol.mergeRows(now, m.Blocks, nil)
}

// gotUnknown takes note of a message of a log that only a later release understands. It has its
// place in the log, so it opens no gap, and is kept for others that may understand it.
func (ol *ownLog) gotUnknown(_ mono.Time, p *peer, m *wire.Unknown) { ol.takeUnknown(p.name, m) }

// takeUnknown does so for a message that another director, its writer, may not have sent itself.
func (ol *ownLog) takeUnknown(writer string, m *wire.Unknown) {
	ol.counters.UnknownKinds++
	ol.logf(
		LogWarn, "message of an unknown kind in a director's log skipped; is that director newer?",
		Field{"director", writer}, Field{"kind", m.Number.String()})
}
