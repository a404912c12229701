package eventloop

import "net"

// Conn is a connection that a loop can watch while nobody reads from it. All methods of net.Conn do
// what those of package net do, and may be called by several goroutines.
type Conn interface {
	net.Conn

	// Watch has ready called, once, when there is something to read: bytes, an end or an error. It
	// returns false if the connection cannot be watched at the moment, or at all; then the caller
	// goes on as if there were no loops, and reads. One goroutine reads at a time, and it must not
	// read between a Watch that has returned true and ready.
	//
	// A loop calls ready with true, and serves nobody else until it returns: ready must not wait,
	// and so not Read or Write, for anything. A goroutine of its own calls it with false if the
	// connection was closed, has got a deadline for reads, or has to be waited for in another way;
	// then ready goes on as if there were no loops. It may call Watch again in both cases.
	Watch(ready func(onLoop bool)) bool

	// TryRead reads what is there, whatever the deadline is. (0, nil) means that there is nothing
	// yet.
	TryRead(p []byte) (int, error)

	// TryWrite writes what there is room for, which may be nothing, whatever the deadline is.
	TryWrite(p []byte) (int, error)

	// CloseRead lets nothing more in, where the connection can do that.
	CloseRead() error
}

// Adopt returns a connection that does what c did, and can be watched if it is a stream of the
// system's: then c must not be used any more. A connection of another kind stays as it is, and
// Watch returns false.
func (l *Loops) Adopt(c net.Conn) Conn {
	if adopted := l.adopt(c); adopted != nil {
		return adopted
	}
	return plain{c}
}
