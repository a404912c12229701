package mesh

import (
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// input calls the core with the time of now, carries out what it wants done, in order, and then
// pushes the streams to which it added and writes the core's log lines. f may also read and change
// what coreMu guards. Nothing here waits for anybody but other inputs: what is sent waits in a
// queue for as long as its connection does not take it.
func (n *Node) input(f func(c *replica.Core, now mono.Time)) {
	var r effectRun
	n.coreMu.Lock()
	n.last = max(n.last, n.clock())
	f(n.core, n.last)
	for effects := n.core.Take(); len(effects) > 0 && !n.stopped; effects = n.core.Take() {
		for _, e := range effects {
			n.carryOut(e, &r)
		}
		// What carrying out brought about are inputs themselves.
		for _, next := range r.inputs {
			next(n.core, n.last)
		}
		r.inputs = nil
	}
	n.coreMu.Unlock()
	var room []byte
	for _, o := range r.streams {
		room = o.push(room)
	}
	for _, l := range r.lines {
		n.writeLine(l)
	}
}

// effectRun collects what must wait until the effects before it are done.
type effectRun struct {
	inputs  []func(c *replica.Core, now mono.Time)
	streams []*outStream // to be pushed
	lines   []replica.Log
}

func (n *Node) carryOut(e replica.Effect, r *effectRun) {
	switch e := e.(type) {
	case replica.Send:
		n.send(e, r)
	case replica.Gossip:
		n.spread(e)
	case replica.Answer:
		if ch := n.waits[e.ID]; ch != nil {
			delete(n.waits, e.ID)
			ch <- e // buffered, used once
		}
	case replica.AdminDone:
		if ch := n.admin[e.ID]; ch != nil {
			delete(n.admin, e.ID)
			ch <- e
		}
	case replica.Kick:
		if n.cfg.Kicker == nil {
			r.inputs = append(r.inputs, func(c *replica.Core, now mono.Time) {
				c.KickDone(now, e.ID, replica.KickResult{Blind: true}, nil)
			})
		} else {
			n.kicks.add(e)
		}
	case replica.RunHook:
		n.runHook(e)
	case replica.AskVacant:
		n.askVacant(e)
	case replica.Keep:
		n.data.store.Put(e.N, e.Message)
	case replica.Noted:
		n.history.Add(e.Note)
		n.happening.put(e.Note)
		n.metrics.moves.note(n.cfg.Name, e.Note)
	case replica.Asked:
		n.serve(e.Peer, e.Question, r)
	case replica.Answered:
		n.asks.take(e.Peer, e.Part)
	case replica.NewLife:
		n.boot.Store(e.Boot)
		n.events.put(memberEvent{kind: newLife})
	case replica.CloseStream:
		n.closeStreams(e, r)
	case replica.Dial:
		if e.Trust == replica.Proven {
			n.ensureLink(e.Name, e.Addr, 0, true)
		} else {
			n.contacts.add(e)
		}
	case replica.Log:
		r.lines = append(r.lines, e)
	}
}

// send encodes a message once for all its receivers.
func (n *Node) send(e replica.Send, r *effectRun) {
	encoded, err := wire.Encode(e.Message)
	if err != nil {
		// A message that our own limits forbid must not be lost in silence: the peers repair what
		// is missing.
		n.metrics.drop(dropUnencodable)
		r.lines = append(r.lines, replica.Log{
			Level: replica.LogError, Text: "message cannot be sent",
			Fields: []replica.Field{{Key: "err", Value: err}},
		})
		return
	}
	for _, peer := range e.To {
		o := n.out[peer]
		if o == nil {
			n.metrics.drop(dropNoStream)
			continue
		}
		if err := o.add(encoded); err != nil {
			if err == errQueueFull {
				n.metrics.drop(dropOverflow)
			}
			delete(n.out, peer)
			r.inputs = append(r.inputs, func(c *replica.Core, now mono.Time) {
				c.OutClosed(now, peer, err)
			})
			continue
		}
		r.streams = append(r.streams, o)
	}
}

// closeStreams drops the streams from and to a peer.
func (n *Node) closeStreams(e replica.CloseStream, r *effectRun) {
	cause := closedBecause(e.Reason)
	if o := n.out[e.Peer]; o != nil && e.Only != replica.TheirStream {
		delete(n.out, e.Peer)
		o.close(cause)
		r.inputs = append(r.inputs, func(c *replica.Core, now mono.Time) {
			c.OutClosed(now, e.Peer, cause)
		})
	}
	for id, in := range n.in {
		if in.peer == e.Peer && e.Only != replica.OurStream {
			delete(n.in, id)
			_ = in.s.conn.Close() // its reader ends it
			r.inputs = append(r.inputs, func(c *replica.Core, now mono.Time) {
				c.InClosed(now, id, cause)
			})
		}
	}
}

// closedBecause is the error of a stream that the core closed.
type closedBecause string

func (c closedBecause) Error() string { return "closed: " + string(c) }
