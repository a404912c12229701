// Package rawconn makes the reads and writes of connections cheaper: it makes their system calls
// without telling Go's scheduler. All doors have their connections from here, and login and userdb
// those to Dovecot's auth.
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
// A loop would be cheaper still, because it asks to be woken for what can be read, and Go's poller
// also for each answer that the client has taken. But it turns all that doors do into steps of a
// state machine, and must redo deadlines, back pressure and closing. This package goes most of the
// way without that. At the authreply door it saves, for each lookup over four connections (medians
// of four interleaved runs of director bench): 62 to 38 µs at 5,000 a second, 38 to 31 at 20,000.
// Pipelined lookups cost what they did.
//
// # What it promises
//
// A wrapped connection does what one of package net does, to the texts of its errors; the tests
// hold both to the same suite. It waits in Go's poller, so deadlines and Close end a call that
// waits. Descriptors are used only while package net keeps them open, so none is used after it was
// closed or became another's.
//
// A call takes as long as copying what a socket's buffer holds, and for so long it holds up the
// collector of garbage and the other goroutines of its processor.
//
// # What it does not own
//
// Listening, accepting and closing are package net's; limits are the doors'. Connections that are
// no streams of the system's stay as they are, and so do all on other systems than Linux.
package rawconn
