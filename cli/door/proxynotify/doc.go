// Package proxynotify is the door to which Dovecot's login processes report who is still connected:
// a FIFO, one user name a line, from each proxied connection every proxy_refresh seconds. So the
// mappings of long sessions do not expire.
//
// It owns reading and splitting. Names are hashed and forgotten; what a report does is for the mesh
// to decide, and it never makes a mapping.
//
// # The FIFO needs a reader
//
// A login process opens the FIFO for writing and waits until somebody reads, with all its
// connections. So a FIFO must be held open by something that outlives the director, and this
// package never makes one: Serve reads a FIFO that was handed over (see package handover). Login
// processes are not told to write (proxy_refresh) unless there is one.
package proxynotify
