//go:build !linux

package mesh

import "net/netip"

// sourceOption is only known for Linux; elsewhere the kernel chooses.
func sourceOption(netip.Addr) []byte { return nil }
