package replica

import "directormesh/mesh/replica/internal/lookups"

// Counters count what happened since the start, for metrics, and for a simulation that wants to
// know whether it met everything.
type Counters struct {
	HeldLookups        uint64 // lookups that waited for a move
	EndOfLifeWaits     uint64 // … for the end of a mapping
	BarrierWaits       uint64 // … for a table change to be confirmed
	UnsyncedWaits      uint64 // … for this director to be synced
	NoBackendWaits     uint64 // … for a usable backend
	FailedBackendWaits uint64 // … for the user to be moved away from a backend that has failed
	FailedLookups      uint64 // lookups that ended in a temporary failure
	Relayed            uint64 // lookups asked of a synced peer
	Conflicts          uint64 // mappings of one generation with two backends
	LateRows           uint64 // rows dropped because their backend's mappings had been forgotten
	UnknownBackendRows uint64 // rows dropped because their backend is not in the table
	Gaps               uint64
	GapsRepaired       uint64
	RestsWanted        uint64 // logs of directors that are gone of which a peer had more than we
	RestMessages       uint64 // messages of such logs that we got from others
	Pauses             uint64 // own pauses noticed
	Exclusions         uint64 // peers excluded
	Excluded           uint64 // times that a peer excluded us
	StepsOut           uint64 // times that we were out because most peers did not seem to answer
	Lacks              uint64 // peers found to hold what their logs do not bring us
	ClockSteps         uint64
	PeerFailures       uint64
	Kicks              uint64
	MovesTaken         uint64 // moves of directors that were gone, gone on with here
	VacatedMoves       uint64 // moves whose old backend said that no session was left
	UnansweredMoves    uint64 // moves whose old backend did not say so
	FlushesTaken       uint64 // flushes of directors that were gone, gone on with here
	TaskMoves          uint64 // users that drains and rebalances here began to move
	FactorChanges      uint64 // factors of backends that this director changed
	NameChanges        uint64 // backends that this director added, drained or used again by name
	ForgottenHolds     uint64 // users released although no release came
	DigestRounds       uint64 // digests compared
	LeavesRepaired     uint64
	RepeatedDeltas     uint64
	UnprovenPushPulls  uint64 // push/pull states ignored because their sender is not known to run
	IgnoredHints       uint64 // directors that were named and not dialled: there were too many
	UnknownDeltas      uint64 // deltas dropped because their origin is not known to run
	Refused            uint64 // hellos and push/pulls refused, by us or by others
	ValuesAhead        uint64 // rows and stamps dropped because they lay ahead of mesh time
	OtherTime          uint64 // messages of peers dropped because their mesh time is not ours
	RefusedTableRows   uint64 // rows of table changes ignored because the table is full
	Unexpected         uint64 // messages that do not belong on a stream
	UnknownKinds       uint64 // messages of logs that only a later release understands
	// directors refused because their mesh has no backend in common with ours
	MeshesRefused uint64
	MeshesMet     uint64 // meshes met that rank above ours
	ServedAlone   uint64
}

// Counters returns the counts so far.
func (c *Core) Counters() Counters { return c.counters }

// noteWait counts a lookup that begins to wait, or goes on to for another reason.
func (n *Counters) noteWait(why lookups.Verdict) {
	switch why {
	case lookups.BeingMoved:
		n.HeldLookups++
	case lookups.Ending:
		n.EndOfLifeWaits++
	case lookups.RingChanging:
		n.BarrierWaits++
	case lookups.NotSynced:
		n.UnsyncedWaits++
	case lookups.NoBackend:
		n.NoBackendWaits++
	case lookups.OnFailed:
		n.FailedBackendWaits++
	}
}
