// Package rawconn makes the reads and writes of connections cheaper: it makes their system calls
// without telling Go's scheduler. All doors accept their connections from here; those before
// Dovecot's auth have package eventloop watch them then.
//
// # Why
//
// Each call that package net makes is announced to the scheduler, in case that it blocks. If the
// process was idle, that wakes a thread (sysmon) to watch the call, and it then looks every 20 µs
// for a while. The calls on a socket cannot block, and the watching costs more than a lookup. What
// a server that only sends lines back uses of a processor for each line, in µs (4 connections, unix
// sockets, one run each, on two busy cores):
//
//	lines a second                                              1,000  5,000  20,000
//	in C, one loop on epoll                                        14      9       5
//	one loop on epoll that waits in Go's poller                    21     13       6
//	this package                                                   23     16      10
//	one loop on epoll that waits in a call                         54     20      10
//	package net                                                    66     48      24
//
// A loop is cheaper still, because it asks to be woken for what can be read, and Go's poller also
// for each answer that the client has taken; package eventloop is one. But it makes owners give
// their connections away whenever they wait, which net/http does not.
//
// # What it promises
//
// A wrapped connection does what one of package net does, to the texts of its errors; package
// conntest holds both to the same suite. It waits in Go's poller, so deadlines and Close end a call
// that waits. Descriptors are used only while package net keeps them open, so none is used after it
// was closed or became another's.
//
// A call takes as long as copying what a socket's buffer holds, and for so long it holds up the
// collector of garbage and the other goroutines of its processor.
//
// # What it does not own
//
// Listening, accepting and closing are package net's; limits are the doors'. Connections that are
// no streams of the system's stay as they are, and so do all on other systems than Linux.
package rawconn
