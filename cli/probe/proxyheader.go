package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
)

// proxySignature begins a header of version 2 of HAProxy's PROXY protocol.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// proxyHeader returns the header of the PROXY protocol for a connection of our own: source and
// destination are its two ends, so that the server's log says who asked.
func proxyHeader(version int, c net.Conn) []byte {
	source, destination := endpoint(c.LocalAddr()), endpoint(c.RemoteAddr())
	if version == 1 {
		family := "TCP4"
		if source.Addr().Is6() {
			family = "TCP6"
		}
		return []byte("PROXY " + family + " " + source.Addr().String() + " " +
			destination.Addr().String() + " " + strconv.Itoa(int(source.Port())) + " " +
			strconv.Itoa(int(destination.Port())) + "\r\n")
	}
	const proxied, tcp4, tcp6 = 0x21, 0x11, 0x21
	family := byte(tcp4)
	if source.Addr().Is6() {
		family = tcp6
	}
	var ends []byte
	ends = append(ends, source.Addr().AsSlice()...)
	ends = append(ends, destination.Addr().AsSlice()...)
	ends = binary.BigEndian.AppendUint16(ends, source.Port())
	ends = binary.BigEndian.AppendUint16(ends, destination.Port())
	header := append([]byte(proxySignature), proxied, family)
	header = binary.BigEndian.AppendUint16(header, uint16(len(ends)))
	return append(header, ends...)
}

func endpoint(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
