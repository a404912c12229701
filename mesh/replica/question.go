package replica

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// Questions and their answers are the shell's. They come here first, as all that streams bring,
// since it is decided here whom this director listens to: a director of another cluster is told
// nothing.

// Say sends a peer a question, or a part of an answer. It reports whether there is a stream to it.
func (c *Core) Say(peer string, m wire.Message) bool {
	p := c.peers.get(peer)
	if p == nil || !p.out || c.strange(p) {
		return false
	}
	c.send(p, m)
	return true
}

func (c *Core) gotQuestion(_ mono.Time, p *peer, m *wire.Question) {
	c.emit(Asked{Peer: p.name, Question: m})
}

func (c *Core) gotAnswerPart(_ mono.Time, p *peer, m *wire.AnswerPart) {
	c.emit(Answered{Peer: p.name, Part: m})
}
