//go:build !unix

package mesh

import "net"

// eager has no way to write without waiting: goroutines write everything.
func eager(conn net.Conn) net.Conn { return conn }
