package ring

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// CompareAddr orders backends: IPv4 before IPv6 (to which ::ffff:192.0.2.1 belongs), then bytewise.
// Tables are listed in this order, and equal points on a ring are too.
func CompareAddr(a, b netip.Addr) int {
	return a.Compare(b)
}

// AddrText returns the text form of a that backends are hashed by and that every output uses. It is
// that of glibc's inet_ntop: lower case, the first of the longest runs of zero groups compressed,
// and a dotted quad at the end of ::ffff:192.0.2.1 and also of ::192.0.2.1, which netip.Addr prints
// as ::c000:201. A zone is left out; the text of the zero Addr is "".
func AddrText(a netip.Addr) string {
	var room [len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]byte
	return string(AppendAddrText(room[:0], a))
}

// AppendAddrText appends AddrText(a) to b.
func AppendAddrText(b []byte, a netip.Addr) []byte {
	a = a.WithZone("")
	if a.Is6() {
		// inet_ntop takes an address for an old "IPv4-compatible" one when exactly the first six
		// groups are its run of zeros. With the seventh zero as well, the run is longer and the
		// rest is printed in hex: ::1, ::102.
		bytes := a.As16()
		head, seventh := bytes[:12], binary.BigEndian.Uint16(bytes[12:])
		if [12]byte(head) == [12]byte{} && seventh != 0 {
			b = append(b, "::"...)
			return netip.AddrFrom4([4]byte(bytes[12:])).AppendTo(b)
		}
	}
	return a.AppendTo(b)
}

// ParseAddr reads an address as Dovecot does: IPv6 with or without brackets; IPv4 as a dotted quad
// or in one of inet_aton's other forms, a plain number (7 is 0.0.0.7) or fewer than four parts of
// which the last fills the rest (127.1). A part with a leading 0x is hexadecimal, one with a
// leading 0 octal. Zones are refused; ::ffff:192.0.2.1 stays an IPv6 address, distinct from
// 192.0.2.1. Host names are never resolved.
func ParseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, fmt.Errorf(
			`address "" is empty; give one such as 192.0.2.1 or 2001:db8::1`)
	}
	if !strings.Contains(s, ":") {
		a, ok := parseIPv4(s)
		if !ok {
			return netip.Addr{}, fmt.Errorf(
				"address %q is not an IP address; give one such as 192.0.2.1 or 2001:db8::1", s)
		}
		return a, nil
	}
	inner := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		inner = s[1 : len(s)-1]
	}
	a, err := netip.ParseAddr(inner)
	switch {
	case err != nil || a.Is4():
		return netip.Addr{}, fmt.Errorf(
			"address %q is not an IPv6 address; give one such as 2001:db8::1, without a port", s)
	case a.Zone() != "":
		return netip.Addr{}, fmt.Errorf("address %q has a zone; give it without %q",
			s, "%"+a.Zone())
	}
	return a, nil
}

// parseIPv4 reads what inet_aton reads, except that nothing may follow the address.
func parseIPv4(s string) (netip.Addr, bool) {
	var value uint64
	for filled := 0; filled < 32; filled += 8 {
		part, rest, more := strings.Cut(s, ".")
		n, err := parsePart(part)
		if err != nil {
			return netip.Addr{}, false
		}
		if !more {
			if n > 0xffffffff>>filled {
				return netip.Addr{}, false
			}
			value |= n
			return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(value)))), true
		}
		if n > 0xff {
			return netip.Addr{}, false
		}
		value |= n << (24 - filled)
		s = rest
	}
	return netip.Addr{}, false // a fifth part
}

// parsePart reads one number of an IPv4 address in the base that its first characters tell, as in
// C.
func parsePart(s string) (uint64, error) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	return strconv.ParseUint(s, base, 32)
}
