package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Receive takes the next message of a session; messages of a session that ended are ignored.
func (c *Core) Receive(now mono.Time, session uint64, m wire.Message) {
	leave := c.enter(now)
	p := c.sessions[session]
	if beat, ok := m.(*wire.Beat); ok && p != nil {
		c.heardTime(now, p, beat.MeshTime)
		if !c.isNews(p, beat) {
			p.seenAt = now
			c.gotBeat(now, p, beat)
			return
		}
	}
	defer leave()
	if p == nil || p.left {
		return
	}
	p.seenAt = now
	if !p.clock.Near() && !handlerOf(m).timeless {
		c.counters.OtherTime++
		return
	}
	c.watchAhead(now, p, func() { c.take(now, p, m) })
}

// take takes in a message of a peer.
func (c *Core) take(now mono.Time, p *peer, m wire.Message) {
	h := handlerOf(m)
	if c.strange(p) && !h.aboutMeshes {
		return
	}
	if seq, ok := wire.LogSeq(m); ok && seq != 0 {
		c.takeSeq(now, p, seq, m)
	}
	if h.take == nil {
		c.counters.Unexpected++
		return
	}
	h.take(c, now, p, m)
}

// handler is what becomes of a kind of message.
type handler struct {
	take func(c *Core, now mono.Time, p *peer, m wire.Message) // nil: not one of a stream
	// timeless: it means the same whatever the clocks of the two directors say, or nearly: the
	// times in it are since when something is so. What is said once on a stream must be timeless if
	// nobody asks for it: a director whose log is empty steps its clock and keeps its streams.
	timeless bool
	// aboutMeshes: it may come from a director of another cluster.
	aboutMeshes bool
}

// handlers take the messages of streams, by kind. All other messages belong to handshakes, or to
// memberlist.
var handlers = [...]handler{
	wire.KindBeat:            {take: by((*Core).gotBeat), timeless: true, aboutMeshes: true},
	wire.KindMeeting:         {take: by((*Core).gotMeeting), timeless: true, aboutMeshes: true},
	wire.KindLeaving:         {take: by((*Core).gotLeaving), timeless: true, aboutMeshes: true},
	wire.KindExclude:         {take: by((*Core).gotExclude), timeless: true},
	wire.KindTable:           {take: by((*Core).gotTable)},
	wire.KindRows:            {take: by((*Core).gotRows)},
	wire.KindLoads:           {take: by((*Core).gotLoads), timeless: true},
	wire.KindNames:           {take: by((*Core).gotNames), timeless: true},
	wire.KindHold:            {take: by((*Core).gotHold)},
	wire.KindHeld:            {take: by((*Core).gotHeld)},
	wire.KindKicked:          {take: by((*Core).gotKicked)},
	wire.KindAdmitRequest:    {take: by((*Core).gotAdmitRequest)},
	wire.KindAdmitted:        {take: by((*Core).gotAdmitted)},
	wire.KindWaiting:         {take: by((*Core).gotWaiting)},
	wire.KindSnapshotRequest: {take: by((*Core).gotSnapshotRequest)},
	wire.KindSnapshotChunk:   {take: by((*Core).gotChunk)},
	wire.KindSnapshotAck:     {take: by((*Core).gotChunkAck)},
	wire.KindLookupRequest:   {take: by((*Core).gotLookupRequest)},
	wire.KindLookupReply:     {take: by((*Core).gotLookupReply)},
	wire.KindKickUser:        {take: by((*Core).gotKickUser)},
	wire.KindKickUserDone:    {take: by((*Core).gotKickUserDone)},
	wire.KindLeafDigests:     {take: by((*Core).gotLeafDigests)},
	wire.KindLeafRequest:     {take: by((*Core).gotLeafRequest)},
	wire.KindLeafRows:        {take: by((*Core).gotLeafRows)},
	wire.KindFlushProgress:   {take: by((*Core).gotFlushProgress)},
	wire.KindFlushCancel:     {take: by((*Core).gotFlushCancel)},
	wire.KindCounting:        {take: by((*Core).gotCounting), timeless: true},
	wire.KindGonePositions:   {take: by((*Core).gotGonePositions)},
	wire.KindLogRequest:      {take: by((*Core).gotLogRequest)},
	wire.KindLogPart:         {take: by((*Core).gotLogPart)},
	wire.KindObservations:    {take: by((*Core).gotObservations), timeless: true},
	wire.KindQuestion:        {take: by((*Core).gotQuestion), timeless: true},
	wire.KindAnswerPart:      {take: by((*Core).gotAnswerPart), timeless: true},
}

// handlerOf returns the handler of a message; one without take if it does not belong on a stream.
func handlerOf(m wire.Message) handler {
	if _, later := m.(*wire.Unknown); later {
		return handler{take: by((*Core).gotUnknown)}
	}
	if k := int(m.Kind()); k < len(handlers) {
		return handlers[k]
	}
	return handler{}
}

// by makes a handler of all kinds of one that takes its own kind.
func by[M wire.Message](
	take func(c *Core, now mono.Time, p *peer, m M),
) func(c *Core, now mono.Time, p *peer, m wire.Message) {
	return func(c *Core, now mono.Time, p *peer, m wire.Message) { take(c, now, p, m.(M)) }
}
