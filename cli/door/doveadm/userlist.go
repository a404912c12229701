package doveadm

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/bulk"
	"directormesh/ring"
)

// errUnread ends a list that nobody reads.
var errUnread = errors.New("the client does not read the list")

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

// userLists makes the lists of all tags, one after the other.
type userLists struct {
	ip    api.IP // of the only backend whose users are listed; zero: all are
	tag   string
	list  *userList // of this tag, being made
	ended *userList // in order, to be written; nil: none
}

func newUserLists(ip api.IP) *userLists { return &userLists{ip: ip, list: newUserList()} }

func newUserList() *userList { return &userList{index: make(map[netip.Addr]uint32)} }

// add takes the next mapping. It reports whether one of a new tag has ended a list.
func (l *userLists) add(m api.Mapping) bool {
	begins := m.Tag != l.tag
	if begins {
		l.end()
		l.tag = m.Tag
	}
	if !l.ip.IsValid() || m.Backend == l.ip {
		l.list.add(m.UserHash, m.Backend.Addr, m.ExpiresAt)
	}
	return begins
}

// end puts the list of a tag in order.
func (l *userLists) end() {
	l.list.sort()
	l.ended, l.list = l.list, newUserList()
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
	case c.orders <- struct{}{}:
	case <-c.ctx.Done():
		return errStopping
	}
	defer func() { <-c.orders }()

	lists := newUserLists(ip)
	write := func() error {
		c.writeUsers(lists.ended)
		lists.ended = nil
		if c.sink.gone {
			return errUnread
		}
		return nil
	}
	err = bulk.Walk(c.ctx, c.lists, c.director.Mappings(), lists.add, write)
	if err == nil {
		err = c.lists.Do(c.ctx, lists.end)
	}
	switch {
	case errors.Is(err, errUnread):
		return nil
	case err != nil:
		return errStopping
	}
	_ = write()
	c.line("")
	c.flush()
	return nil
}

// writeUsers writes a list, nil: none.
func (c *connection) writeUsers(l *userList) {
	if l == nil {
		return
	}
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
}
