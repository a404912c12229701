package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// A director is known by its name, and reached at its address. A host that is renamed, or a new one
// that gets the address of an old one, is another director at that address: the one before is no
// more. But an address that a director only claims is not its own, such as the address of the host
// from which its configuration was copied: only the director that answers there has it.

// addrText is the address of a director in logs and errors.
func addrText(addr netip.AddrPort) string {
	if !addr.IsValid() {
		return "an unknown address"
	}
	return addr.String()
}

// heardAlias takes note that our address is known under another name, and says so once for each.
func (c *Core) heardAlias(now mono.Time, name string, member bool) {
	if c.aliases.Hear(now, name, member) {
		c.logf(LogWarn, "the address of this director is known under another name too",
			Field{"peer", name}, Field{"addr", addrText(c.cfg.Addr)})
	}
}

// addressTaken refuses a director at the address of another one.
func (c *Core) addressTaken(now mono.Time, who wire.Peer) error {
	if !who.Addr.IsValid() || who.Name == c.cfg.Name {
		return nil
	}
	if who.Addr == c.cfg.Addr {
		c.heardAlias(now, who.Name, false)
		return fmt.Errorf("director %s says that it is reached at %s, which is the address of %s; "+
			"give it another --advertise", who.Name, who.Addr, c.cfg.Name)
	}
	if p := c.peers.all.holder(who.Addr); p != nil && p.name != who.Name {
		return fmt.Errorf("director %s says that it is reached at %s, where %s answers; "+
			"give it another --advertise", who.Name, who.Addr, p.name)
	}
	return nil
}

// endFormerNames ends the peers that were reached at an address where another director has answered
// us.
func (c *Core) endFormerNames(now mono.Time, addr netip.AddrPort, name string) {
	c.hints.ForgetAt(addr, name)
	for _, p := range c.peers.all {
		if p.addr != addr || p.name == name || p.left {
			continue
		}
		c.logf(LogInfo, "director is no more: another one answers at its address",
			Field{"peer", p.name}, Field{"addr", addrText(addr)}, Field{"now", name})
		if p.out || p.in != 0 {
			c.emit(CloseStream{Peer: p.name, Reason: "another director answers at its address"})
		}
		c.peerGone(now, p)
		p.left, p.seenAt = true, now
	}
}

// directorNamed returns the address of the director of this name.
func (c *Core) directorNamed(name string) (netip.AddrPort, error) {
	var addr netip.AddrPort
	switch {
	case name == c.cfg.Name:
		addr = c.cfg.Addr
	case c.peers.get(name) != nil:
		addr = c.peers.get(name).addr
	case c.hints.Get(name) != nil:
		addr = c.hints.Get(name).Addr
	}
	if !addr.IsValid() {
		return netip.AddrPort{}, fmt.Errorf(
			"%w: %s is not known by name; give its address", ErrUnknownDirector, name)
	}
	names, holder := c.namesAt(addr), c.peers.all.holder(addr)
	if len(names) > 1 && (holder == nil || holder.name != name) && name != c.cfg.Name {
		return netip.AddrPort{}, fmt.Errorf(
			"%w %s: %s; to mean the one that is there, give the address",
			ErrSharedAddress, addr, strings.Join(names, ", "))
	}
	return addr, nil
}

// namesAt are the names of directors that were seen at an address.
func (c *Core) namesAt(addr netip.AddrPort) []string {
	var names []string
	if addr == c.cfg.Addr {
		names = append(names, c.cfg.Name)
	}
	for _, p := range c.peers.all {
		if p.addr == addr {
			names = append(names, p.name)
		}
	}
	for _, h := range c.hints.Sorted() {
		if h.Addr == addr && c.peers.get(h.Name) == nil {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return names
}
