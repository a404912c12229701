package hints

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

const (
	// Max is how many hints are kept.
	Max = wire.MaxDirectors
	// KeptFor is how long a hint is kept that is not repeated, unless memberlist holds the director
	// alive.
	KeptFor = 30 * time.Second

	firstTry = 250 * time.Millisecond // pause after the first dial; each one is twice the last
	lastTry  = 10 * time.Second       // the longest
)

// Trust is what speaks for a director being where it is said to be.
type Trust int

// The kinds of trust, least first.
const (
	Heard  Trust = iota // anybody may have said so, and years ago: one dial now and then
	Named               // a live peer or an operator said so
	Proven              // a stream has proven it: no hint has this
)

// Hint is a director that was named to us.
type Hint struct {
	Name       string
	Addr       netip.AddrPort // valid
	Trust      Trust          // Heard or Named
	Member     bool           // memberlist holds it alive
	LastFailed directory.Time // when a dial last failed; 0: never

	heardAt mono.Time     // when it was last given
	dialAt  mono.Time     // when it is to be dialled next
	pause   time.Duration // between that dial and the one after; lastTry at most
}

// due reports whether a hint is to be dialled now, and takes it that it is.
func (h *Hint) due(now mono.Time) bool {
	if now < h.dialAt {
		return false
	}
	h.dialAt = now.Add(h.pause)
	h.pause = min(2*h.pause, lastTry)
	return true
}

// Set is the hints by name. The zero value holds none.
type Set struct {
	byName map[string]*Hint // Max at most
}

// Len is how many there are.
func (s *Set) Len() int { return len(s.byName) }

// Get returns the hint of a name, or nil.
func (s *Set) Get(name string) *Hint { return s.byName[name] }

// Sorted are the hints by name.
func (s *Set) Sorted() []*Hint {
	sorted := make([]*Hint, 0, len(s.byName))
	for _, h := range s.byName {
		sorted = append(sorted, h)
	}
	slices.SortFunc(sorted, func(a, b *Hint) int { return strings.Compare(a.Name, b.Name) })
	return sorted
}

// Hear takes note that a director was named to us, and returns it if it is to be dialled now.
// A new address counts if it is trusted as much as the one that is known. False means that there is
// no room.
func (s *Set) Hear(now mono.Time, h Hint) (dial *Hint, ok bool) {
	known := s.byName[h.Name]
	switch {
	case known == nil:
		if len(s.byName) >= Max && !s.makeRoom(h.Trust) {
			return nil, false
		}
		known = &h
		known.dialAt, known.pause = now, firstTry
		if s.byName == nil {
			s.byName = make(map[string]*Hint)
		}
		s.byName[h.Name] = known
	case known.Addr != h.Addr && known.Trust > h.Trust:
		return nil, true
	case known.Addr != h.Addr:
		h.LastFailed = known.LastFailed
		*known = h
		known.dialAt, known.pause = now, firstTry
	}
	known.heardAt = now
	known.Trust = max(known.Trust, h.Trust)
	known.Member = known.Member || h.Member
	if known.due(now) {
		return known, true
	}
	return nil, true
}

// makeRoom forgets the hint that was heard of longest ago, if one is trusted less.
func (s *Set) makeRoom(trust Trust) bool {
	var oldest *Hint
	for _, h := range s.byName {
		if h.Trust < trust && (oldest == nil || compareAge(h, oldest) < 0) {
			oldest = h
		}
	}
	if oldest == nil {
		return false
	}
	delete(s.byName, oldest.Name)
	return true
}

// compareAge puts the hint that was heard of longest ago first.
func compareAge(a, b *Hint) int {
	return cmp.Or(cmp.Compare(a.heardAt, b.heardAt), strings.Compare(a.Name, b.Name))
}

// Review returns, by name, the hints that are to be dialled now. It forgets hints that were not
// repeated for long, and hints of directors that were removed.
func (s *Set) Review(now mono.Time, removed func(netip.AddrPort) bool) (dial []*Hint) {
	if len(s.byName) == 0 {
		return nil
	}
	for _, h := range s.Sorted() {
		if !h.Member && now.Sub(h.heardAt) > KeptFor || removed(h.Addr) {
			delete(s.byName, h.Name)
		} else if h.due(now) {
			dial = append(dial, h)
		}
	}
	return dial
}

// Forget forgets a hint, if there is one of this name.
func (s *Set) Forget(name string) { delete(s.byName, name) }

// ForgetMember forgets a hint that memberlist held alive, and does no longer.
func (s *Set) ForgetMember(name string) {
	if h := s.byName[name]; h != nil && h.Member {
		delete(s.byName, name)
	}
}

// ForgetAt forgets the hints at an address, but for that of one name: it answers there.
func (s *Set) ForgetAt(addr netip.AddrPort, but string) {
	for name, h := range s.byName {
		if h.Addr == addr && name != but {
			delete(s.byName, name)
		}
	}
}

// Failed notes that a dial failed.
func (s *Set) Failed(name string, t directory.Time) {
	if h := s.byName[name]; h != nil {
		h.LastFailed = t
	}
}
