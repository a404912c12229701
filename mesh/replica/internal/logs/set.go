package logs

import (
	"cmp"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

const (
	// GoneReported is how long ago a director may have gone for its log to be reported to a peer
	// that was out of touch.
	GoneReported = goneKept / 2

	goneNews = time.Minute // logs that ended within it are reported at each death
	// then a log is forgotten, unless a director is away that may ask
	goneKept   = 10 * time.Minute
	MaxGone    = 256                    // logs that are remembered, beside those of the peers
	tellEvery  = 250 * time.Millisecond // at most
	cleanEvery = time.Second

	// tailBytes bounds what is kept of all logs together. Sixty thousand logins a second in the
	// mesh take a third of it.
	tailBytes = 128 << 20
	// minTailBytes is what each log may take, however many there are.
	minTailBytes = 1 << 20
)

// Set is what we have of the logs of all other lives.
type Set struct {
	byID      map[ID]*Peer
	sorted    []*Peer   // of byID, by ID; nil: to be made
	behind    []*Peer   // logs whose rest is wanted, in the order in which we noticed
	news      bool      // what we have of the logs of gone directors is news to the peers
	newsAt    mono.Time // when the peers last got the news
	cleanedAt mono.Time
}

// NewSet returns an empty set.
func NewSet() *Set { return &Set{byID: make(map[ID]*Peer)} }

// Len is how many logs there are.
func (s *Set) Len() int { return len(s.byID) }

// Get returns the log of a life, nil if nothing is known of it.
func (s *Set) Get(id ID) *Peer { return s.byID[id] }

// All returns the logs in order. The slice is made anew when a log comes or goes, so it can be kept
// while ranging over it.
func (s *Set) All() []*Peer {
	if s.sorted == nil {
		for _, log := range s.byID {
			s.sorted = append(s.sorted, log)
		}
		slices.SortFunc(s.sorted, func(a, b *Peer) int { return compareIDs(a.id, b.id) })
	}
	return s.sorted
}

// Open returns the log of a life, a new one if need be.
func (s *Set) Open(id ID) *Peer {
	log := s.byID[id]
	if log == nil {
		log = &Peer{id: id}
		s.byID[id] = log
		s.sorted = nil
	}
	return log
}

// OpenGone begins to remember a log of which we only hear when its writer is gone. It returns the
// one to be forgotten for it, nil if there is room. Logs that are attached, those of our peers, do
// not count.
func (s *Set) OpenGone(id ID, at mono.Time, attached func(*Peer) bool) (log, excess *Peer) {
	log = s.Open(id)
	log.went(at)
	var first *Peer // to have gone
	n := 0
	for _, l := range s.All() {
		if attached(l) {
			continue
		}
		n++
		if first == nil || l.goneAt < first.goneAt {
			first = l
		}
	}
	if n > MaxGone {
		return log, first
	}
	return log, nil
}

// Forget drops a log.
func (s *Set) Forget(log *Peer) {
	delete(s.byID, log.id)
	s.sorted = nil
	s.Want(0, log, false)
}

// Went notes that the writer of a log is no longer live here, which is news to the peers. It
// reports false if that was known.
func (s *Set) Went(now mono.Time, log *Peer) bool {
	if log.Gone() {
		return false
	}
	log.went(now)
	s.news = true
	return true
}

// Ended notes that a life of our own has ended, whose log goes up to a number. That is like the log
// of any other director that is gone, and we have all of it. Its messages are not kept, they were
// stamped by a clock that was wrong: who lacks some gets a snapshot.
func (s *Set) Ended(now mono.Time, id ID, last uint64) {
	if last == 0 {
		return
	}
	log := s.Open(id)
	log.Gained(Spans{}.Add(1, last))
	s.Went(now, log)
}

// Changed notes that there is news of a log whose writer is gone.
func (s *Set) Changed() { s.news = true }

// News is what is to be reported to the peers now of the logs that ended lately, and of those of
// which we have got more since: the end of one may come long after its writer went out of touch.
func (s *Set) News(now mono.Time) []wire.Position {
	if !s.news || now.Sub(s.newsAt) < tellEvery {
		return nil
	}
	s.news, s.newsAt = false, now
	var news []wire.Position
	for _, log := range s.All() {
		ago := log.goneFor(now)
		if log.Gone() && (ago <= goneNews || log.grown && ago <= GoneReported) {
			news = append(news, log.Position(now))
		}
		log.grown = false
	}
	return news
}

// Gone is what we have of the logs that ended within a time.
func (s *Set) Gone(now mono.Time, within time.Duration) []wire.Position {
	var gone []wire.Position
	for _, log := range s.All() {
		if log.Gone() && log.goneFor(now) <= within {
			gone = append(gone, log.Position(now))
		}
	}
	return gone
}

// Want notes whether the rest of a log is wanted, and reports whether it is from now on.
func (s *Set) Want(now mono.Time, log *Peer, wanted bool) (begins bool) {
	r := &log.rest
	switch {
	case wanted && !r.wanted:
		s.behind = append(s.behind, log)
		r.progressAt, begins = now, true
	case !wanted && r.wanted:
		s.behind = slices.DeleteFunc(s.behind, func(l *Peer) bool { return l == log })
		r.asked, r.short = "", nil
	}
	r.wanted = wanted
	return begins
}

// Behind are the logs whose rest is wanted, in the order in which we noticed. It must not be
// changed; Want changes it.
func (s *Set) Behind() []*Peer { return s.behind }

// Postpone gives peers so much more time to give what we lack.
func (s *Set) Postpone(late time.Duration) {
	for _, log := range s.behind {
		log.rest.progressAt = log.rest.progressAt.Add(late)
	}
}

// DropMessages drops all messages that are kept for others. Those that lack some need a snapshot,
// or another director that keeps them.
func (s *Set) DropMessages() {
	for _, log := range s.byID {
		log.tail, log.bytes = nil, 0
	}
}

// Clean drops messages that need no longer be kept, and returns the logs that may be forgotten: not
// those that are attached, to a peer. Away says that a director has failed and may come back: it
// may ask for them. Of those that are kept for it alone there are MaxGone at most: a director that
// ends and begins anew all the time leaves one each time. What it does takes time, so it does it
// once a second.
func (s *Set) Clean(now mono.Time, away func() bool, attached func(*Peer) bool) (old []*Peer) {
	if now.Sub(s.cleanedAt) < cleanEvery {
		return nil
	}
	s.cleanedAt = now
	kept := goneKept
	if away() {
		kept = LongestGone
	}
	limit := max(tailBytes/max(1, len(s.byID)), minTailBytes)
	var late []*Peer
	for _, log := range s.All() {
		log.prune(now, limit)
		switch {
		case !log.Gone() || attached(log):
		case log.goneFor(now) > kept:
			old = append(old, log)
		case log.goneFor(now) > goneKept:
			late = append(late, log)
		}
	}
	if excess := len(late) - MaxGone; excess > 0 {
		slices.SortStableFunc(late, func(a, b *Peer) int { return cmp.Compare(a.goneAt, b.goneAt) })
		old = append(old, late[:excess]...)
	}
	return old
}
