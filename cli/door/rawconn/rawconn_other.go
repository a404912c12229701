//go:build !linux

package rawconn

import "net"

// wrap returns c: only Linux is known to need more.
func wrap(c net.Conn) net.Conn { return c }
