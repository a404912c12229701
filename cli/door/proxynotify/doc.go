// Package proxynotify is the door to which Dovecot's login processes report the users who are still
// connected: a FIFO, one user name a line, from each proxied connection every proxy_refresh
// seconds. So the mappings of long sessions do not expire.
//
// It owns reading and splitting. Names are hashed and not kept. The mesh decides what a report
// does; a report never makes a mapping.
//
// # The FIFO needs a reader
//
// A login process that opens the FIFO for writing blocks, with all its connections, until there is
// a reader. So a process that outlives the director must keep the FIFO open, and this package never
// makes one: Serve reads a FIFO that was handed over (see package handover). Without one, replies
// do not ask login processes to write (proxy_refresh).
package proxynotify
