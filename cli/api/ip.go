package api

import (
	"net/netip"

	"directormesh/ring"
)

// IP is an address in the text form that all outputs use (ring.AddrText). The zero IP is no
// address; its text is "".
type IP struct{ netip.Addr }

// String returns the text form, which is not always that of netip.Addr.
func (ip IP) String() string { return ring.AddrText(ip.Addr) }

// MarshalText implements encoding.TextMarshaler.
func (ip IP) MarshalText() ([]byte, error) { return ring.AppendAddrText(nil, ip.Addr), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes what ring.ParseAddr takes, and "" for
// no address.
func (ip *IP) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*ip = IP{}
		return nil
	}
	a, err := ring.ParseAddr(string(text))
	if err != nil {
		return err
	}
	ip.Addr = a
	return nil
}
