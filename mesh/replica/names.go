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
func (ab *addressBook) heardAlias(now mono.Time, name string, member bool) {
	if ab.aliases.Hear(now, name, member) {
		ab.logf(LogWarn, "the address of this director is known under another name too",
			Field{"peer", name}, Field{"addr", addrText(ab.cfg.Addr)})
	}
}

// addressTaken refuses a director at the address of another one.
func (ab *addressBook) addressTaken(now mono.Time, who wire.Peer) error {
	if !who.Addr.IsValid() || who.Name == ab.cfg.Name {
		return nil
	}
	if who.Addr == ab.cfg.Addr {
		ab.heardAlias(now, who.Name, false)
		return fmt.Errorf("director %s says that it is reached at %s, which is the address of %s; "+
			"give it another --advertise", who.Name, who.Addr, ab.cfg.Name)
	}
	if p := ab.peers.all.holder(who.Addr); p != nil && p.name != who.Name {
		return fmt.Errorf("director %s says that it is reached at %s, where %s answers; "+
			"give it another --advertise", who.Name, who.Addr, p.name)
	}
	return nil
}

// endFormerNames ends the peers that were reached at an address where another director has answered
// us.
func (ab *addressBook) endFormerNames(now mono.Time, addr netip.AddrPort, name string) {
	ab.hints.ForgetAt(addr, name)
	for _, p := range ab.peers.all {
		if p.addr != addr || p.name == name || p.left {
			continue
		}
		ab.logf(LogInfo, "director is no more: another one answers at its address",
			Field{"peer", p.name}, Field{"addr", addrText(addr)}, Field{"now", name})
		if p.out || p.in != 0 {
			ab.emit(CloseStream{Peer: p.name, Reason: "another director answers at its address"})
		}
		ab.peerGone(now, p)
		p.left, p.seenAt = true, now
	}
}

// directorNamed returns the address of the director of this name.
func (ab *addressBook) directorNamed(name string) (netip.AddrPort, error) {
	var addr netip.AddrPort
	switch {
	case name == ab.cfg.Name:
		addr = ab.cfg.Addr
	case ab.peers.get(name) != nil:
		addr = ab.peers.get(name).addr
	case ab.hints.Get(name) != nil:
		addr = ab.hints.Get(name).Addr
	}
	if !addr.IsValid() {
		return netip.AddrPort{}, fmt.Errorf(
			"%w: %s is not known by name; give its address", ErrUnknownDirector, name)
	}
	names, holder := ab.namesAt(addr), ab.peers.all.holder(addr)
	if len(names) > 1 && (holder == nil || holder.name != name) && name != ab.cfg.Name {
		return netip.AddrPort{}, fmt.Errorf(
			"%w %s: %s; to mean the one that is there, give the address",
			ErrSharedAddress, addr, strings.Join(names, ", "))
	}
	return addr, nil
}

// namesAt are the names of directors that were seen at an address.
func (ab *addressBook) namesAt(addr netip.AddrPort) []string {
	var names []string
	if addr == ab.cfg.Addr {
		names = append(names, ab.cfg.Name)
	}
	for _, p := range ab.peers.all {
		if p.addr == addr {
			names = append(names, p.name)
		}
	}
	for _, h := range ab.hints.Sorted() {
		if h.Addr == addr && ab.peers.get(h.Name) == nil {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return names
}
