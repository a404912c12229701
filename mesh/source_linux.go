package mesh

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// sourceOption is what is sent along with a packet, to the kernel, that is to leave from an
// address.
func sourceOption(source netip.Addr) []byte {
	if source.Is4() {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: source.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: source.As16()})
}
