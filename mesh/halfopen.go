package mesh

import (
	"net"
	"net/netip"
	"sync"
)

// siteBits is how much of an IPv6 address names its owner's network, of which one host can use
// every address.
const siteBits = 64

// halfOpen bounds the connections that have not proved anything yet. When there are too many, the
// oldest of the address that has most of them is closed: an honest peer is done in milliseconds and
// has few, so a flood from some addresses closes its own connections, not those of directors
// elsewhere.
type halfOpen struct {
	max     int
	evicted func()

	mu    sync.Mutex
	sites map[netip.Addr][]entered // by address they come from, oldest first; none is empty
	total int
	next  uint64
}

// entered is a connection with its place in the order in which all came.
type entered struct {
	net.Conn
	order uint64
}

func (h *halfOpen) init(most int, evicted func()) { h.max, h.evicted = most, evicted }

// add enters conn, which must be ready to be closed by then. It stays until remove.
func (h *halfOpen) add(conn net.Conn) {
	site := siteOf(conn)
	h.mu.Lock()
	var evicted net.Conn
	if h.total >= h.max {
		evicted = h.takeOldest()
	}
	if h.sites == nil {
		h.sites = make(map[netip.Addr][]entered)
	}
	h.sites[site] = append(h.sites[site], entered{conn, h.next})
	h.next++
	h.total++
	h.mu.Unlock()
	if evicted != nil {
		h.evicted()
		// Its reader sees the error and cleans up.
		_ = evicted.Close()
	}
}

// takeOldest takes out the oldest connection of the address that has most; of several such
// addresses, the oldest of all theirs.
func (h *halfOpen) takeOldest() net.Conn {
	var from netip.Addr
	var most []entered
	for site, conns := range h.sites {
		if len(conns) > len(most) || len(conns) == len(most) && conns[0].order < most[0].order {
			from, most = site, conns
		}
	}
	evicted := most[0].Conn
	h.takeLocked(from, 0)
	return evicted
}

// remove takes conn out if it is there.
func (h *halfOpen) remove(conn net.Conn) {
	site := siteOf(conn)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, c := range h.sites[site] {
		if c.Conn == conn {
			h.takeLocked(site, i)
			return
		}
	}
}

func (h *halfOpen) takeLocked(site netip.Addr, i int) {
	conns := h.sites[site]
	copy(conns[i:], conns[i+1:])
	conns[len(conns)-1] = entered{}
	if len(conns) == 1 {
		delete(h.sites, site)
	} else {
		h.sites[site] = conns[:len(conns)-1]
	}
	h.total--
}

// count returns how many there are.
func (h *halfOpen) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

// siteOf returns what connections of one stranger have in common; the zero address where none is
// known.
func siteOf(conn net.Conn) netip.Addr {
	from, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	addr := from.Addr().Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	site, err := addr.Prefix(siteBits)
	if err != nil {
		return addr
	}
	return site.Addr()
}
