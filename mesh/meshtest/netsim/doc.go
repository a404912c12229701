// Package netsim is a network in memory for directors under test. Packets are lost, delayed or
// duplicated; streams stall and break; partitions have any shape; links have a limited bandwidth.
// It implements mesh.Network and is meant for bubbles of testing/synctest, where its delays cost no
// time; it uses only the time package, channels and short locks.
//
// A packet behaves like UDP: it is copied, and what cannot be delivered is lost in silence. A
// stream behaves like TCP with buffers: what is written while the way is blocked waits and arrives
// after it is free again, in order; the writer blocks when the buffers are full; a connection to a
// host that has gone meanwhile is reset. A connection that is closed delivers what was written
// before. Dialling over a blocked way ends with the caller's deadline, dialling an address where
// nobody listens at once.
//
// All random choices come from the seed. Since memberlist makes choices of its own and goroutines
// run in any order, equal seeds give equal faults, but not equal runs.
package netsim
