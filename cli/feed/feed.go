// Package feed owns what a director has to say of what happens, for any number of readers: events,
// numbered, as server-sent events, and so many of the last ones that a reader who is held up for a
// moment loses none. What the events mean is no matter of this package.
//
// Each event is encoded once. Readers share the bytes, each at a pace of its own; Add waits for
// none of them. Events that a reader was too slow for are counted, and it is told how many they
// were.
package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"directormesh/cli/api"
)

// How much is kept. A reader is slow when it is further behind than that.
const (
	maxEvents = 20_000
	maxBytes  = 8 << 20
)

// readBytes is about how much one Read returns.
const readBytes = 64 << 10

// Feed is the events of one director. It is safe for concurrent use.
type Feed struct {
	cfg  Config
	life string // begins the ids

	mu      sync.Mutex
	kept    []frame // oldest first
	bytes   int     // of kept
	next    uint64  // number of the next event; the first one is 1
	more    chan struct{}
	missed  uint64 // by slow readers, all together
	readers int
}

// frame is an event as it is sent.
type frame struct {
	kind string
	data []byte
}

// Config is what a Feed needs.
type Config struct {
	Director string           // its name
	Life     uint64           // another one for each start: a restart begins to count anew
	Now      func() time.Time // the wall clock
}

// New returns a feed without events.
func New(cfg Config) *Feed {
	return &Feed{
		cfg: cfg, life: strconv.FormatUint(cfg.Life, 36), next: 1, more: make(chan struct{}),
	}
}

// Add adds events and gives them their ids. It does not wait for readers.
func (f *Feed) Add(events []api.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		e.ID = f.idLocked(f.next)
		f.next++
		data := encode(e)
		f.kept = append(f.kept, frame{e.Kind, data})
		f.bytes += len(data)
	}
	drop := 0
	for len(f.kept)-drop > maxEvents || f.bytes > maxBytes {
		f.bytes -= len(f.kept[drop].data)
		drop++
	}
	f.kept = f.kept[drop:] // not cleared: readers may be reading there
	close(f.more)
	f.more = make(chan struct{})
}

func (f *Feed) idLocked(number uint64) string {
	return f.life + "-" + strconv.FormatUint(number, 10)
}

// encode makes a server-sent event.
func encode(e api.Event) []byte {
	data, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("feed: an event is no JSON: %v", err)) // its types make that impossible
	}
	var b []byte
	if e.ID != "" {
		b = append(append(append(b, "id: "...), e.ID...), '\n')
	}
	b = append(append(append(b, "event: "...), e.Kind...), '\n')
	b = append(append(append(b, "data: "...), data...), '\n', '\n')
	return b
}

// missedEvent says that a reader has missed so many events.
func (f *Feed) missedEvent(what string, n uint64) *api.Event {
	now := f.cfg.Now().UTC()
	return &api.Event{
		At: now, WallAt: now, Director: f.cfg.Director, Kind: api.KindMissed, What: what,
		Missed: &n,
	}
}

// Status returns how many read, and how many events slow readers have missed.
func (f *Feed) Status() (readers int, missed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readers, f.missed
}

// Reader reads a feed. It is for one goroutine.
type Reader struct {
	feed  *Feed
	kinds map[string]bool // nil: all
	next  uint64          // number of the event to be read
	said  *api.Event      // that comes first
}

// Open returns a reader of what the query asks for. The caller closes it.
func (f *Feed) Open(q api.EventQuery) *Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers++
	r := &Reader{feed: f, next: f.next}
	if len(q.Kinds) > 0 {
		r.kinds = map[string]bool{api.KindMissed: true}
		for _, k := range q.Kinds {
			r.kinds[k] = true
		}
	}
	if q.After == "" {
		for i, left := len(f.kept)-1, q.Last; i >= 0 && left > 0; i-- {
			if r.wants(f.kept[i].kind) {
				left--
				r.next = f.next - uint64(len(f.kept)-i)
			}
		}
		return r
	}
	life, text, _ := strings.Cut(q.After, "-")
	number, err := strconv.ParseUint(text, 10, 64)
	if err == nil && life == f.life && number < f.next {
		r.next = number + 1
		return r
	}
	r.next = f.next - uint64(len(f.kept))
	r.said = f.missedEvent(api.MissedRestarted, 0)
	return r
}

// Close ends the reading.
func (r *Reader) Close() {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	r.feed.readers--
}

func (r *Reader) wants(kind string) bool { return r.kinds == nil || r.kinds[kind] }

// Read appends events that were not read yet to b, as server-sent events. more is closed when there
// are others; nil: there are already.
func (r *Reader) Read(b []byte) (_ []byte, more <-chan struct{}) {
	if r.said != nil {
		b = append(b, encode(*r.said)...)
		r.said = nil
	}
	f := r.feed
	f.mu.Lock()
	oldest := f.next - uint64(len(f.kept))
	missed := uint64(0)
	if r.next < oldest {
		missed = oldest - r.next
		f.missed += missed
		r.next = oldest
	}
	frames := f.kept[r.next-oldest:] // is not written to any more
	more = f.more
	f.mu.Unlock()

	if missed > 0 {
		b = append(b, encode(*f.missedEvent(api.MissedSlow, missed))...)
	}
	for i, frame := range frames {
		if len(b) >= readBytes {
			frames, more = frames[:i], nil
			break
		}
		if r.wants(frame.kind) {
			b = append(b, frame.data...)
		}
	}
	r.next += uint64(len(frames))
	return b, more
}

// Last returns past events that the query asks for, oldest first.
func (f *Feed) Last(q api.EventQuery) (events []api.Event) {
	r := f.Open(q)
	defer r.Close()
	var more <-chan struct{}
	for more == nil {
		var frames []byte
		frames, more = r.Read(nil)
		for data := range bytes.SplitSeq(frames, []byte("\n")) {
			data, ok := bytes.CutPrefix(data, []byte("data: "))
			var e api.Event
			if ok && json.Unmarshal(data, &e) == nil { // we have encoded it
				events = append(events, e)
			}
		}
	}
	return events
}
