// Package eventloop watches connections on which nothing happens, so that none of them needs a
// goroutine. The doors that carry the load, those before Dovecot's auth, have their clients and
// their connections to auth in it.
//
// # Why
//
// Go's poller wakes the process for each line that comes, and once more for each answer that the
// client has taken: it cannot be asked for lines alone. So half of the wake-ups of a server that
// answers lone lines are for nothing, and a wake-up is most of what such a line costs. A loop asks
// for lines alone, and all that have come are answered in one wake-up, without switching
// goroutines.
//
// What a server that does nothing but answer lines uses of the processor for each line, in µs (4
// connections, unix sockets, medians of three interleaved runs on two cores that others used too):
//
//	lines a second                                  1,000  5,000  20,000
//	package rawconn, a goroutine for each              70     29      21
//	a loop that waits in Go's poller                   45     20      16
//	a loop that waits in a call                       106     29      15
//
// The second one is this package: the epoll descriptor of a loop is itself in Go's poller.
//
// # How
//
// The owner of a connection reads from it, and when there is nothing, gives it to Watch and
// returns. When something comes a loop calls the owner, who reads, answers and watches again, and
// never waits. An owner that has to wait, for a peer that does not read, a lock or a deadline, goes
// on in a goroutine: Read, Write and the deadlines are those of a net.Conn. So all that is rare or
// hard is ordinary code, and a connection without trouble has no goroutine.
//
// One loop has all connections. If it has no rest it lets other goroutines run, and gives half of
// its busy connections to another loop, up to one for each processor.
//
// # What it promises
//
// A connection does what one of package net does, to the texts of its errors; the tests hold both
// to the same suite. A descriptor is used only while the connection is open, and a report about a
// connection that was closed meanwhile does not reach another one that has got its descriptor.
//
// On other systems than Linux, and for connections that are no streams of the system's, Watch
// returns false, and owners read in goroutines.
//
// # What it does not own
//
// Listening is package net's; limits, lines and time are the doors'.
package eventloop
