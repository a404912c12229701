package mesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

const (
	// answerWithin is how long a director has for its answer, and how long nobody waits for more.
	answerWithin = 5 * time.Second
	// MaxAnswer bounds the bytes of one director's answer.
	MaxAnswer = 16 << 20
	// maxServed is how many questions of one peer are answered at a time.
	maxServed = 4
	// answerAhead is how much of an answer may wait in the queue of a stream. What else goes to the
	// peer stands behind it.
	answerAhead = 4 * wire.MaxPartBody
)

// Why a director does not answer.
var (
	errUnreachable = errors.New("it cannot be reached")
	errSilent      = fmt.Errorf("it did not answer within %s, or is of an older release",
		answerWithin)
	errBusy       = errors.New("it is busy with other questions")
	errAnswerSize = fmt.Errorf("its answer has more than %d bytes", MaxAnswer)
	errAnswerGap  = errors.New("a part of its answer is missing")
)

// A Topic answers questions. It is called on a goroutine of its own, must obey ctx, and returns at
// most MaxAnswer bytes. The question may come from any director that has the mesh's key.
type Topic func(ctx context.Context, question []byte) (answer []byte, err error)

// Answer is what one director answered to a question, or why it did not.
type Answer struct {
	Director string // its name, or its address where that is all that is known
	Body     []byte
	Err      error
}

// asking asks other directors, and answers them.
type asking struct {
	mu     sync.Mutex
	topics map[string]Topic
	lastID uint64
	waits  map[uint64]*asked // by id of the question
	served map[string]int    // questions of a peer that are being answered; none is 0
}

// asked is a question that has not been answered yet, guarded by the mutex of its asking.
type asked struct {
	peer string
	next uint32 // index of the part that is to come
	body []byte
	done chan Answer // gets one
}

// Handle has questions about a topic answered, from other directors and from this one. A topic must
// not change.
func (n *Node) Handle(topic string, t Topic) {
	n.asks.mu.Lock()
	defer n.asks.mu.Unlock()
	if n.asks.topics == nil {
		n.asks.topics = make(map[string]Topic)
	}
	n.asks.topics[topic] = t
}

// Ask asks all directors of the mesh at once, this one among them, and returns their answers in the
// order of their names: one for each director that has neither left nor been removed. It returns
// after five seconds at the latest. A director that is away, slow or broken costs nothing but its
// own answer.
func (n *Node) Ask(ctx context.Context, topic string, question []byte) []Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, errSilent)
	defer cancel()
	var waits []*asked
	var own sync.WaitGroup
	for _, p := range n.Peers() {
		if p.Left || p.Removed && !p.Self {
			continue
		}
		w := &asked{peer: p.Name, done: make(chan Answer, 1)}
		if w.peer == "" {
			w.peer = p.Addr.String()
		}
		waits = append(waits, w)
		switch {
		case p.Self:
			own.Go(func() {
				body, err := n.answer(ctx, topic, question)
				w.done <- Answer{Director: w.peer, Body: body, Err: err}
			})
		case !p.Reachable:
			w.done <- Answer{Director: w.peer, Err: errUnreachable}
		default:
			n.askPeer(w, topic, question)
		}
	}
	answers := make([]Answer, len(waits))
	for i, w := range waits {
		answers[i] = n.await(ctx, w)
	}
	own.Wait()
	slices.SortFunc(answers, func(a, b Answer) int {
		return strings.Compare(a.Director, b.Director)
	})
	return answers
}

// askPeer sends a question to a peer.
func (n *Node) askPeer(w *asked, topic string, question []byte) {
	id := n.asks.newID()
	n.asks.mu.Lock()
	if n.asks.waits == nil {
		n.asks.waits = make(map[uint64]*asked)
	}
	n.asks.waits[id] = w
	n.asks.mu.Unlock()
	if n.say(w.peer, &wire.Question{
		ID: id, Topic: topic, Within: uint32(answerWithin.Milliseconds()), Body: question,
	}) == nil {
		n.asks.mu.Lock()
		defer n.asks.mu.Unlock()
		n.asks.endLocked(id, w, Answer{Director: w.peer, Err: errUnreachable})
	}
}

// newID returns a number for a question that this node has not used yet.
func (a *asking) newID() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lastID++
	return a.lastID
}

// await waits for an answer, or until ctx ends.
func (n *Node) await(ctx context.Context, w *asked) Answer {
	select {
	case a := <-w.done:
		return a
	case <-ctx.Done():
	}
	n.asks.mu.Lock()
	for id, other := range n.asks.waits {
		if other == w {
			delete(n.asks.waits, id)
		}
	}
	n.asks.mu.Unlock()
	select {
	case a := <-w.done: // it has come at the last moment
		return a
	default:
		return Answer{Director: w.peer, Err: context.Cause(ctx)}
	}
}

// endLocked ends a question. The caller has locked mu.
func (a *asking) endLocked(id uint64, w *asked, answer Answer) {
	if a.waits[id] == w {
		delete(a.waits, id)
		w.done <- answer
	}
}

// take takes a part of an answer. It does not wait.
func (a *asking) take(peer string, part *wire.AnswerPart) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.waits[part.ID]
	if w == nil || w.peer != peer {
		return // nobody waits for it any more
	}
	answer := Answer{Director: peer}
	switch {
	case part.Index != w.next:
		answer.Err = errAnswerGap
	case len(w.body)+len(part.Body) > MaxAnswer:
		answer.Err = errAnswerSize
	case part.Last && part.Error != "":
		answer.Err = errors.New(part.Error)
	default:
		w.body = append(w.body, part.Body...)
		w.next++
		if !part.Last {
			return
		}
		answer.Body = w.body
	}
	a.endLocked(part.ID, w, answer)
}

// beginServing reports whether one more question of a peer may be answered now.
func (a *asking) beginServing(peer string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.served[peer] >= maxServed {
		return false
	}
	if a.served == nil {
		a.served = make(map[string]int)
	}
	a.served[peer]++
	return true
}

func (a *asking) endServing(peer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.served[peer]--; a.served[peer] == 0 {
		delete(a.served, peer)
	}
}

// answer answers a question here.
func (n *Node) answer(ctx context.Context, topic string, question []byte) ([]byte, error) {
	n.asks.mu.Lock()
	t := n.asks.topics[topic]
	n.asks.mu.Unlock()
	if t == nil {
		return nil, fmt.Errorf("it does not know about %q", topic)
	}
	body, err := t(ctx, question)
	if err == nil && len(body) > MaxAnswer {
		return nil, errAnswerSize
	}
	return body, err
}

// serve begins to answer a question of a peer. The caller has locked coreMu.
func (n *Node) serve(peer string, q *wire.Question, r *effectRun) {
	if q.Topic == changeTopic {
		n.hearChange(q)
		return
	}
	if !n.asks.beginServing(peer) {
		r.inputs = append(r.inputs, func(c *replica.Core, _ mono.Time) {
			c.Say(peer, &wire.AnswerPart{ID: q.ID, Last: true, Error: errBusy.Error()})
		})
		return
	}
	n.wg.Go(func() {
		defer n.asks.endServing(peer)
		within := min(time.Duration(q.Within)*time.Millisecond, answerWithin)
		ctx, cancel := context.WithTimeout(n.ctx, within)
		defer cancel()
		body, err := n.answer(ctx, q.Topic, q.Body)
		if ctx.Err() != nil {
			return // nobody waits any more
		}
		n.sendAnswer(ctx, peer, q.ID, body, err)
	})
}

// sendAnswer sends an answer in parts, no faster than the peer reads.
func (n *Node) sendAnswer(ctx context.Context, peer string, id uint64, body []byte, err error) {
	if err != nil {
		n.say(peer, &wire.AnswerPart{ID: id, Last: true, Error: err.Error()})
		return
	}
	for index := uint32(0); ; index++ {
		part := body[:min(len(body), wire.MaxPartBody)]
		body = body[len(part):]
		o := n.say(peer, &wire.AnswerPart{
			ID: id, Index: index, Last: len(body) == 0, Body: part,
		})
		if o == nil || len(body) == 0 {
			return
		}
		if o.size() < answerAhead {
			continue
		}
		select {
		case <-o.emptied():
		case <-ctx.Done():
			return
		}
	}
}

// say sends a message that the core knows nothing about. It returns the stream in whose queue the
// message is; nil if there is none.
func (n *Node) say(peer string, m wire.Message) (o *outStream) {
	n.input(func(c *replica.Core, _ mono.Time) {
		if c.Say(peer, m) {
			o = n.out[peer]
		}
	})
	return o
}
