package daemon

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"directormesh/mesh"
	"directormesh/ring"
)

func checkName(s string) error {
	if err := ring.CheckWord(s); err != nil {
		return fmt.Errorf("%q %w", s, err)
	}
	return nil
}

// parseAddrPort reads IP or IP:PORT. Short forms of addresses that Dovecot takes for mail servers
// are refused: 9090 is a port that stands where an address should be, not 0.0.35.130.
func parseAddrPort(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a.Unmap(), mesh.DefaultPort), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not IP or IP:PORT", s)
	}
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is not IP or IP:PORT", s)
	}
	a = a.Unmap()
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q is not from 0 to 65535", port)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q is not from 1 to 65535", s)
	}
	return uint16(n), nil
}

// parseJoin splits a list of host[:port]. Names are resolved when they are contacted, so only the
// form is checked here.
func parseJoin(s string) ([]string, error) {
	var peers []string
	for item := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		host := item
		if _, err := ring.ParseAddr(item); err != nil && strings.Contains(item, ":") {
			h, port, err := net.SplitHostPort(item)
			if err != nil {
				return nil, fmt.Errorf("%q is not HOST or HOST:PORT", item)
			}
			if _, err := parsePort(port); err != nil {
				return nil, fmt.Errorf("%q: %w", item, err)
			}
			host = h
		}
		if strings.Trim(host, "0123456789") == "" || strings.ContainsAny(host, "/@") {
			return nil, fmt.Errorf("%q is not HOST or HOST:PORT", item)
		}
		peers = append(peers, item)
	}
	return peers, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a number from 1", s)
	}
	return int(n), nil
}

// parseBytes reads a number of bytes, which may end with k, M or G: 1,024 and its powers.
func parseBytes(s string) (int64, error) {
	digits, shift := s, 0
	for i, unit := range []string{"k", "M", "G"} {
		if cut, ok := strings.CutSuffix(strings.TrimSuffix(s, "B"), unit); ok {
			digits, shift = cut, 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a number of bytes such as 64M", s)
	}
	return int64(n) << shift, nil
}

// checkAddress refuses what is no address to listen at. Without an IP it is all of this host.
func checkAddress(s string) error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not IP:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not from 0 to 65535", port)
	}
	if host == "" || host == "localhost" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q is not IP:PORT", s)
	}
	return nil
}

// checkLoopback refuses addresses that others can reach: nothing checks there who asks.
func checkLoopback(s string) error {
	if s == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not IP:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not from 0 to 65535", port)
	}
	if host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
		return fmt.Errorf("%q is not a loopback address, and nothing checks there who asks; "+
			"use 127.0.0.1, ::1 or the socket", s)
	}
	return nil
}

// parseDuration reads Go's durations (15m, 1m30s) and Dovecot's (15 mins, 30 secs).
func parseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz ")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err == nil {
		switch strings.TrimSpace(strings.TrimPrefix(s, digits)) {
		case "ms", "msec", "msecs":
			return time.Duration(n) * time.Millisecond, nil
		case "s", "sec", "secs", "second", "seconds":
			return time.Duration(n) * time.Second, nil
		case "m", "min", "mins", "minute", "minutes":
			return time.Duration(n) * time.Minute, nil
		case "h", "hour", "hours":
			return time.Duration(n) * time.Hour, nil
		case "d", "day", "days":
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	return 0, fmt.Errorf("%q is not a duration such as 90s or 15m", s)
}

func yesOrNo(s string) (bool, error) {
	switch s {
	case "yes", "true":
		return true, nil
	case "no", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is not yes or no", s)
}
