package session

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"iter"
	"net/netip"

	"directormesh/ring"
)

// loginHalf is a set of logins of one shard. There may be hundreds of thousands in a director, so
// they have no pointers, which the garbage collector would follow, and are packed: a login is a
// slot of 4 bytes and a record, which has 5 bytes, the hash included, beside the part of the name
// before its "@". Slots and records grow by small parts: a shard is small, but all of them grow at
// about the same time, and doubling would leave half of the memory of all unused.
type loginHalf struct {
	// slots is a hash table with linear probing. A slot has a part of the hash above and the
	// place of the record below; the part spares looking at most records of other hashes.
	slots   []uint32
	records []byte // the first byte is unused: a slot of 0 is empty
	count   int

	mix      uint32                // makes hashes that somebody chose fall anywhere
	domains  map[string]byte       // "@" and what follows, their numbers
	suffixes []string              // by number; 0 is the empty one
	backends map[netip.Addr]uint32 // their places in addrs
	addrs    []netip.Addr
}

const (
	placeBits = 20 // of a slot: enough for maxBytes
	partBits  = 32 - placeBits
	// shardBits are the same in all hashes of a shard.
	shardBits = 6
	keyBits   = 32 - shardBits

	// nameRoom is how many bytes of names there may be for each login that may be, on average.
	nameRoom = 64
	maxHalf  = maxLogins / loginShards
	maxBytes = maxHalf * nameRoom

	maxHeader = 2 + 1 + 2*binary.MaxVarintLen32 // of a record
	// maxDomains bounds the domains that are kept once for all their users.
	maxDomains = 256
)

func newLoginHalf() *loginHalf {
	f := &loginHalf{
		mix:      uint32(maphash.String(maphash.MakeSeed(), "")) | 1,
		domains:  make(map[string]byte),
		backends: make(map[netip.Addr]uint32),
	}
	f.clear()
	return f
}

// clear forgets all. It keeps the memory if most of it was used: the next half will need it.
func (f *loginHalf) clear() {
	if f.count*2 < len(f.slots) {
		f.slots, f.records = nil, nil
	}
	clear(f.slots)
	clear(f.domains)
	clear(f.backends)
	f.records = append(f.records[:0], 0)
	f.suffixes = append(f.suffixes[:0], "")
	f.addrs, f.count = f.addrs[:0], 0
}

// full reports whether there is no room for one more of this name.
func (f *loginHalf) full(user []byte) bool {
	return f.count >= maxHalf || len(f.records)+maxHeader+len(user) > maxBytes
}

// key is the hash mixed, without the bits that all hashes of the shard share: the factor is odd,
// so hashes of a shard that differ have keys that differ.
func (f *loginHalf) key(h ring.UserHash) uint32 { return uint32(h) * f.mix >> shardBits }

// home is the slot where the search for a key begins.
func (f *loginHalf) home(key uint32) int {
	return int(uint64(key) * uint64(len(f.slots)) >> keyBits)
}

func (f *loginHalf) after(slot int) int {
	if slot++; slot < len(f.slots) {
		return slot
	}
	return 0
}

// A slot has the lower bits of the key, its record the upper ones.
func newSlot(key uint32, place int) uint32 { return key<<placeBits | uint32(place) }

func (f *loginHalf) keyOf(slot uint32) uint32 {
	upper := binary.LittleEndian.Uint16(f.records[slot&(1<<placeBits-1):])
	return uint32(upper)<<partBits | slot>>placeBits
}

// login is a login name in two parts, and the number of the backend.
type login struct {
	local   []byte
	suffix  string
	backend uint32
}

// of yields the logins of a key. Their names must not be kept.
func (f *loginHalf) of(key uint32) iter.Seq[login] {
	return func(yield func(login) bool) {
		if f.count == 0 {
			return
		}
		for i := f.home(key); f.slots[i] != 0; i = f.after(i) {
			slot := f.slots[i]
			if slot>>placeBits != key&(1<<partBits-1) || f.keyOf(slot) != key {
				continue
			}
			if !yield(f.login(slot)) {
				return
			}
		}
	}
}

func (f *loginHalf) login(slot uint32) login {
	r := f.records[slot&(1<<placeBits-1)+2:]
	suffix := f.suffixes[r[0]]
	backend, n := binary.Uvarint(r[1:])
	r = r[1+n:]
	size, n := binary.Uvarint(r)
	return login{r[n : n+int(size)], suffix, uint32(backend)}
}

func (l login) is(user []byte) bool {
	n := len(l.local)
	return len(user) == n+len(l.suffix) && bytes.Equal(user[:n], l.local) &&
		string(user[n:]) == l.suffix
}

// add adds a login, unless it is there already. False: there are too many of this hash. There must
// be room for it.
func (f *loginHalf) add(h ring.UserHash, user []byte, backend netip.Addr) bool {
	key := f.key(h)
	count := 0
	for l := range f.of(key) {
		if f.addrs[l.backend] == backend && l.is(user) {
			return true
		}
		if count++; count == maxNames {
			return false
		}
	}
	number, ok := f.backends[backend]
	if !ok {
		number = uint32(len(f.addrs))
		f.backends[backend], f.addrs = number, append(f.addrs, backend)
	}
	local, domain := f.split(user)

	if need := len(f.records) + maxHeader + len(local); need > cap(f.records) {
		f.records = append(make([]byte, 0, need+need/8), f.records...)
	}
	slot := newSlot(key, len(f.records))
	f.records = binary.LittleEndian.AppendUint16(f.records, uint16(key>>partBits))
	f.records = binary.AppendUvarint(append(f.records, domain), uint64(number))
	f.records = binary.AppendUvarint(f.records, uint64(len(local)))
	f.records = append(f.records, local...)
	f.count++
	f.makeRoom()
	f.insert(key, slot)
	return true
}

// split returns the part of a name that its record keeps, and the number of the rest.
func (f *loginHalf) split(user []byte) (local []byte, domain byte) {
	at := bytes.LastIndexByte(user, '@')
	if at < 0 {
		return user, 0
	}
	number, ok := f.domains[string(user[at:])]
	if !ok {
		if len(f.suffixes) == maxDomains || len(user)-at > maxDomains {
			return user, 0
		}
		number = byte(len(f.suffixes))
		suffix := string(user[at:])
		f.domains[suffix], f.suffixes = number, append(f.suffixes, suffix)
	}
	return user[:at], number
}

// makeRoom lets a fifth of the slots be empty.
func (f *loginHalf) makeRoom() {
	if f.count*5 <= len(f.slots)*4 {
		return
	}
	old := f.slots
	f.slots = make([]uint32, max(8, len(old)+len(old)/5))
	for _, slot := range old {
		if slot != 0 {
			f.insert(f.keyOf(slot), slot)
		}
	}
}

func (f *loginHalf) insert(key, slot uint32) {
	i := f.home(key)
	for f.slots[i] != 0 {
		i = f.after(i)
	}
	f.slots[i] = slot
}
