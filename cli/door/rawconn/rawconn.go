package rawconn

import "net"

// Wrap returns a connection that does the same as c for less processor time; c itself if c is not a
// TCP or unix stream. Like c it may be used by several goroutines. Its errors are those of package
// net.
func Wrap(c net.Conn) net.Conn { return wrap(c) }

// Listener wraps the connections that it accepts.
type Listener struct{ net.Listener }

// Accept implements net.Listener.
func (l Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Wrap(c), nil
}

// Innermost returns the connection inside those that wrap it as tls.Conn does.
func Innermost(c net.Conn) net.Conn {
	for {
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = outer.NetConn()
	}
}
