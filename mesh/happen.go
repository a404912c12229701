package mesh

import (
	"time"

	"directormesh/mesh/event"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wording"
)

const (
	// eventRound is how often events are handed on, and states looked at.
	eventRound = 100 * time.Millisecond
	// manyDirectors is from how many on states are looked at once a second: beats are rarer then
	// too, and a look takes the core's time.
	manyDirectors = 100
	// changeTopic is that of admin changes, of which directors tell each other. Nobody waits for an
	// answer, and there is none.
	changeTopic = "event-change"
)

// happening collects what happens and hands it on.
type happening struct {
	n       *Node
	queue   event.Queue
	watcher event.Watcher
}

// openEvents makes what collects events, if anybody wants to know of any.
func (n *Node) openEvents() {
	if n.cfg.Happened != nil {
		n.happening = &happening{n: n}
	}
}

// put adds a note to the events of this round. It does not wait. h may be nil.
func (h *happening) put(note wire.Note) {
	if h != nil {
		h.queue.Put(note)
	}
}

// run hands on what happens until the node is closed.
func (h *happening) run() {
	rounds := 0
	h.n.every(eventRound, func() {
		h.round(h.n.members.count() < manyDirectors || rounds%10 == 0)
		rounds++
	})
	h.round(false) // what was noted last
}

func (h *happening) round(looks bool) {
	mesh, wall := h.n.noteTime()
	notes, lost := h.queue.Take()
	events := event.Noted(notes)
	if lost > 0 {
		events = append(events, event.Event{At: mesh, Wall: wall, Lost: lost})
	}
	if looks {
		events = append(events, h.watcher.Changed(h.n.states(), mesh, wall)...)
	}
	if len(events) > 0 {
		h.n.cfg.Happened(events)
	}
}

// states says how this director and all that it sees are now.
func (n *Node) states() event.States {
	s := event.States{
		Self: n.Self(), Peers: n.Peers(), Backends: n.Backends(), Health: n.Health(),
		Flushes: n.Flushes(),
	}
	keys := n.Keys()
	for _, k := range keys.Keys {
		s.Keys = append(s.Keys, event.KeyState{ID: k.ID.String()})
	}
	if r := keys.Rotation; r != nil {
		s.Rotation = &event.RotationState{New: r.New.String(), By: r.By}
	}
	return s
}

// tellChange tells the other directors of an admin change that was asked for here, so that they can
// show who did. It does not wait. A director to which there is no stream misses it.
func (n *Node) tellChange(note *wire.AdminNote) {
	body, err := wire.Encode(note)
	if err == nil && len(body) > wire.MaxQuestionBody {
		short := *note // of very many directors
		short.Failed, short.NotKept = nil, nil
		body, err = wire.Encode(&short)
	}
	if err != nil || len(body) > wire.MaxQuestionBody {
		n.log.Debug().Err(wording.Plain(err)).Msg("other directors cannot be told of a change")
		return
	}
	peers := n.Peers()
	n.input(func(c *replica.Core, _ mono.Time) {
		for _, p := range peers {
			if !p.Self && p.Reachable {
				c.Say(p.Name, &wire.Question{ID: n.asks.newID(), Topic: changeTopic, Body: body})
			}
		}
	})
}

// hearChange takes an admin change that was asked for at another director. The caller has locked
// coreMu.
func (n *Node) hearChange(q *wire.Question) {
	m, err := wire.Decode(q.Body)
	if note, ok := m.(*wire.AdminNote); ok && err == nil {
		n.happening.put(note)
	}
}
