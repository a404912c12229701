package session

import (
	"iter"
	"net/netip"

	"directormesh/ring"
)

// loginHalf is a set of logins. There may be hundreds of thousands in a director, so they have no
// pointers, which the garbage collector would follow, and the memory of a half is used again by the
// next one.
type loginHalf struct {
	last     map[ring.UserHash]int32 // the latest login of each hash, by its index in logins
	logins   []login
	names    []byte
	backends map[netip.Addr]int32 // their places in addrs
	addrs    []netip.Addr
}

// login is a login name and where it was sent.
type login struct {
	earlier int32 // one of the same hash, -1: there is none
	start   int32 // of the name
	end     int32
	backend int32
}

func newLoginHalf() *loginHalf {
	return &loginHalf{last: make(map[ring.UserHash]int32), backends: make(map[netip.Addr]int32)}
}

func (f *loginHalf) clear() {
	clear(f.last)
	clear(f.backends)
	f.logins, f.names, f.addrs = f.logins[:0], f.names[:0], f.addrs[:0]
}

// nameRoom is how many bytes of names there may be for each login that may be, on average.
const nameRoom = 64

// full reports whether there is no room for one more of this name.
func (f *loginHalf) full(user []byte) bool {
	const most = maxLogins / loginShards
	return len(f.logins) >= most || len(f.names)+len(user) > most*nameRoom
}

func (f *loginHalf) name(l login) []byte { return f.names[l.start:l.end] }

// add adds a login, unless it is there already. False: there are too many of this hash.
func (f *loginHalf) add(h ring.UserHash, user []byte, backend netip.Addr) bool {
	last, ok := f.last[h]
	if !ok {
		last = -1
	}
	count := 0
	for i := last; i >= 0; i = f.logins[i].earlier {
		if l := f.logins[i]; f.addrs[l.backend] == backend && string(f.name(l)) == string(user) {
			return true
		}
		if count++; count == maxNames {
			return false
		}
	}
	index, ok := f.backends[backend]
	if !ok {
		index = int32(len(f.addrs))
		f.backends[backend], f.addrs = index, append(f.addrs, backend)
	}
	start := int32(len(f.names))
	f.names = append(f.names, user...)
	f.last[h] = int32(len(f.logins))
	f.logins = append(f.logins, login{last, start, int32(len(f.names)), index})
	return true
}

// of yields the logins of a hash. Their names must not be kept.
func (f *loginHalf) of(h ring.UserHash) iter.Seq2[[]byte, netip.Addr] {
	return func(yield func([]byte, netip.Addr) bool) {
		last, ok := f.last[h]
		for i := last; ok && i >= 0; i = f.logins[i].earlier {
			if l := f.logins[i]; !yield(f.name(l), f.addrs[l.backend]) {
				return
			}
		}
	}
}
