package ring

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestAddrText(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"2001:DB8:0:0:0:0:0:9", "2001:db8::9"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}, // of two equal runs the first
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"::", "::"},
		{"::1", "::1"},
		{"::102", "::102"},
		{"::ffff", "::ffff"},
		{"::1:0", "::0.1.0.0"},
		{"::c633:6407", "::198.51.100.7"},
		{"::ffff:c000:205", "::ffff:192.0.2.5"},
		{"::ffff:0:0", "::ffff:0.0.0.0"},
		{"::fffe:c000:205", "::fffe:c000:205"},
		{"::ffff:0:c000:205", "::ffff:0:c000:205"},
		{"64:ff9b::c000:205", "64:ff9b::c000:205"},
		{"fe80::1%eth0", "fe80::1"},
	} {
		if got := AddrText(netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s: text %q, want %q", c.addr, got, c.want)
		}
	}
	if got := AddrText(netip.Addr{}); got != "" {
		t.Errorf("zero address: text %q, want none", got)
	}
	if got := string(AppendAddrText([]byte("at "), netip.MustParseAddr("::1"))); got != "at ::1" {
		t.Errorf("appended to %q", got)
	}
}

// naiveText follows the description of inet_ntop step by step.
func naiveText(a netip.Addr) string {
	if a.Is4() {
		b := a.As4()
		return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3])
	}
	b := a.As16()
	dotted := fmt.Sprintf("%d.%d.%d.%d", b[12], b[13], b[14], b[15])
	var groups []string
	for i := 0; i < 16; i += 2 {
		groups = append(groups, strconv.FormatUint(uint64(binary.BigEndian.Uint16(b[i:])), 16))
	}
	bestStart, bestLen := -1, 1
	for start := range groups {
		length := 0
		for start+length < 8 && groups[start+length] == "0" {
			length++
		}
		if length > bestLen {
			bestStart, bestLen = start, length
		}
	}
	switch {
	case bestStart == 0 && bestLen == 6:
		return "::" + dotted
	case bestStart == 0 && bestLen == 5 && groups[5] == "ffff":
		return "::ffff:" + dotted
	case bestStart < 0:
		return strings.Join(groups, ":")
	}
	return strings.Join(groups[:bestStart], ":") + "::" +
		strings.Join(groups[bestStart+bestLen:], ":")
}

// drawAddr draws addresses of both families, rich in zero groups.
func drawAddr(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "IPv4") {
		address := rapid.Uint32().Draw(t, "address")
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, address)))
	}
	group := rapid.OneOf(rapid.SampledFrom([]uint16{0, 0, 0, 1, 0xffff}), rapid.Uint16())
	var b []byte
	for _, g := range rapid.SliceOfN(group, 8, 8).Draw(t, "groups") {
		b = binary.BigEndian.AppendUint16(b, g)
	}
	return netip.AddrFrom16([16]byte(b))
}

func TestAddrTextEqualsNaiveAndParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAddr(t)
		text := AddrText(a)
		if want := naiveText(a); text != want {
			t.Errorf("%v: text %q, want %q", a, text, want)
		}
		if back, err := ParseAddr(text); err != nil || back != a {
			t.Errorf("%q parses as %v (%v), want %v", text, back, err, a)
		}
	})
}

func TestParseAddr(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"192.0.2.1", "192.0.2.1"},
		{"7", "0.0.0.7"},
		{"4294967295", "255.255.255.255"},
		{"127.1", "127.0.0.1"},
		{"10.1.65535", "10.1.255.255"},
		{"0x7f.1", "127.0.0.1"},
		{"0X7F000001", "127.0.0.1"},
		{"010.0.0.1", "8.0.0.1"},
		{"00.0.0.0", "0.0.0.0"},
		{"fd00::5", "fd00::5"},
		{"[fd00::5]", "fd00::5"},
		{"FD00::5", "fd00::5"},
		{"::198.51.100.7", "::198.51.100.7"},
		{"::ffff:192.0.2.5", "::ffff:192.0.2.5"},
	} {
		got, err := ParseAddr(c.text)
		if err != nil || AddrText(got) != c.want {
			t.Errorf("%q parses as %q (%v), want %q", c.text, AddrText(got), err, c.want)
		}
	}
	if mapped, err := ParseAddr("::ffff:192.0.2.5"); err != nil || !mapped.Is4In6() {
		t.Errorf("::ffff:192.0.2.5 parses as %v (%v), want an IPv6 address", mapped, err)
	}
}

func TestParseAddrErrors(t *testing.T) {
	for _, c := range []struct{ text, problem string }{
		{"", "is empty"},
		{" ", "not an IP address"},
		{"192.0.2.1 ", "not an IP address"},
		{"192.0.2", ""}, // the short form of 192.0.0.2
		{"192.0.2.", "not an IP address"},
		{"192.0.2.1.", "not an IP address"},
		{"192.0.2.1.5", "not an IP address"},
		{"192.0.2.256", "not an IP address"},
		{"256.1", "not an IP address"},
		{"1.2.65536", "not an IP address"},
		{"1.16777216", "not an IP address"},
		{"4294967296", "not an IP address"},
		{"-1", "not an IP address"},
		{"+1", "not an IP address"},
		{"1_0", "not an IP address"},
		{"08", "not an IP address"},
		{"0x", "not an IP address"},
		{"[192.0.2.1]", "not an IP address"},
		{"mail.example.org", "not an IP address"},
		{"192.0.2.1:143", "not an IPv6 address"},
		{"[fd00::5", "not an IPv6 address"},
		{"[fd00::5]:143", "not an IPv6 address"},
		{"fd00:::5", "not an IPv6 address"},
		{"fe80::1%eth0", `has a zone; give it without "%eth0"`},
	} {
		a, err := ParseAddr(c.text)
		if c.problem == "" {
			if err != nil {
				t.Errorf("%q: %v", c.text, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q was accepted as %v", c.text, a)
			continue
		}
		if !strings.Contains(err.Error(), strconv.Quote(c.text)) ||
			!strings.Contains(err.Error(), c.problem) {
			t.Errorf("%q: error %q, want it to quote the input and to contain %q",
				c.text, err, c.problem)
		}
	}
}

func TestCompareAddr(t *testing.T) {
	want := []string{
		"0.0.0.7", "192.0.2.1", "192.0.2.10", "203.0.113.1", "::1", "::ffff:192.0.2.1",
		"2001:db8::9", "2001:db8::10", "fd00::1",
	}
	var addrs []netip.Addr
	for _, s := range want {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	slices.Reverse(addrs)
	slices.SortFunc(addrs, CompareAddr)
	var got []string
	for _, a := range addrs {
		got = append(got, AddrText(a))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of addresses (-want +got):\n%s", diff)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "7", "127.1", "0x7f.1", "010.0.0.1", "[fd00::5]", "::ffff:192.0.2.5",
		"::198.51.100.7", "fe80::1%eth0", "1.2.3.4.5", "[::1", "[]", ":", "4294967296",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddr(s)
		if err != nil {
			if a.IsValid() {
				t.Errorf("%q: both an address, %v, and an error, %v", s, a, err)
			}
			return
		}
		if !a.IsValid() || a.Zone() != "" || a.Is4() == strings.Contains(s, ":") {
			t.Errorf("%q parses as %v", s, a)
		}
		// What Go's stricter parser takes means the same here.
		if strict, err := netip.ParseAddr(s); err == nil && strict != a {
			t.Errorf("%q parses as %v, in net/netip as %v", s, a, strict)
		}
		if back, err := ParseAddr(AddrText(a)); err != nil || back != a {
			t.Errorf("%q parses as %v, whose text %q parses as %v (%v)",
				s, a, AddrText(a), back, err)
		}
	})
}
