package doveadm

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"directormesh/ring"
)

// userEntry is a mapping in a list that is put in order: 16 bytes, for there may be millions.
type userEntry struct {
	expires int64 // Unix milliseconds
	hash    uint32
	backend uint32 // index in userList.backends
}

// userList is the part of a list of users that belongs to one tag.
type userList struct {
	entries  []userEntry
	backends []string
	index    map[netip.Addr]uint32
}

// add puts a mapping into the list.
func (l *userList) add(hash uint32, backend netip.Addr, expires time.Time) {
	i, ok := l.index[backend]
	if !ok {
		i = uint32(len(l.backends))
		l.index[backend] = i
		l.backends = append(l.backends, ring.AddrText(backend))
	}
	l.entries = append(l.entries, userEntry{expires: expires.UnixMilli(), hash: hash, backend: i})
}

// sort puts the least recently refreshed users first.
func (l *userList) sort() {
	slices.SortFunc(l.entries, func(a, b userEntry) int {
		return cmp.Or(cmp.Compare(a.expires, b.expires), cmp.Compare(a.hash, b.hash))
	})
}

// userList lists mappings, all or those to one backend: hash, when the mapping expires, address.
// They come by tag, and within a tag those first that were refreshed longest ago. It holds the list
// of one tag at a time.
func (c *connection) userList(args []string) error {
	ip, err := (&arguments{args}).optionalIP()
	if err != nil {
		return err
	}
	select {
	case c.lists <- struct{}{}:
	case <-c.ctx.Done():
		return errStopping
	}
	defer func() { <-c.lists }()

	list := userList{index: make(map[netip.Addr]uint32)}
	tag := ""
	for m := range c.director.Mappings() {
		if c.sink.gone {
			return nil // nobody reads it
		}
		if m.Tag != tag {
			c.writeUsers(&list)
			tag = m.Tag
		}
		if !ip.IsValid() || m.Backend == ip {
			list.add(m.UserHash, m.Backend.Addr, m.ExpiresAt)
		}
	}
	c.writeUsers(&list)
	c.line("")
	c.flush()
	return nil
}

// writeUsers writes the list and empties it.
func (c *connection) writeUsers(l *userList) {
	l.sort()
	for _, e := range l.entries {
		line := strconv.AppendUint(c.out.AvailableBuffer(), uint64(e.hash), 10)
		line = append(line, '\t')
		line = strconv.AppendInt(line, e.expires/1000, 10)
		line = append(line, '\t')
		line = append(line, l.backends[e.backend]...)
		c.out.Write(append(line, '\n'))
		if c.sink.gone {
			break
		}
	}
	l.entries = l.entries[:0]
}
