package replica

import "directormesh/mesh/wire"

// output collects what an input makes this director do. All parts of a core share one.
type output struct {
	peers    *peers
	effects  []Effect // since the last Take, in order
	keeps    bool     // there is a data directory
	notes    bool     // there is a history
	lastKeep uint64   // number of the last Keep
	hurry    bool     // somebody may wait for what was kept last to be synced
	lastID   uint64   // given to a delta, kick, hold or snapshot of this process
}

// Take returns the effects since the last call, in order.
func (o *output) Take() []Effect {
	effects := o.effects
	o.effects = nil
	return effects
}

// newID returns a number for a delta, kick, hold or snapshot that this process has not used yet.
func (o *output) newID() uint64 {
	o.lastID++
	return o.lastID
}

// send emits a direct message to one peer, if there is a stream to it.
func (o *output) send(p *peer, m wire.Message) {
	if p.out {
		o.effects = append(o.effects, Send{To: p.to, Message: m})
	}
}

// sendAll emits a direct message to every peer with a stream.
func (o *output) sendAll(m wire.Message) {
	if to := o.peers.all.streams(); len(to) > 0 {
		o.effects = append(o.effects, Send{To: to, Message: m})
	}
}

func (o *output) emit(e Effect) { o.effects = append(o.effects, e) }

func (o *output) logf(level LogLevel, text string, fields ...Field) {
	o.emit(Log{Level: level, Text: text, Fields: fields})
}
