// Package ring gives a user without a mapping a backend: it hashes user names, hashes backends onto
// a ring, and finds the backend of a hash. From the same backends and vhost counts every director
// computes the same answer, which is the answer of Dovecot 2.3's director.
//
// # The algorithm
//
// A user's hash is the first four bytes, big endian, of the MD5 of the normalised user name; zero
// becomes one. A backend has as many points as its vhost count; point i is the first four bytes of
// the MD5 of its address in text form, "-" and i. A user belongs to the backend of the first point
// at or after the user's hash, wrapping round at the end:
//
//	hash   0         a0      b0   a1         b1       2³²-1
//	       |---------*-------*----*----------*--------|
//	owner   aaaaaaaaa bbbbbbb aaaa bbbbbbbbbb aaaaaaaa
//
// So a change to one backend moves only users to it or away from it, and a backend's share follows
// its vhost count. Each tag has a ring of its own. Backends that are down or have no vhosts are on
// no ring. Users who are already mapped are not this package's concern.
//
// # What callers may rely on
//
// Every function is a pure function of its arguments: no I/O, no clock, no randomness, no
// goroutine, no state of the package. Ring, Rings and HashFormat never change once made, so any
// number of goroutines may use them without locks. A change of the backends makes new Rings, which
// share the unchanged parts with the old ones:
//
//	format, err := ring.ParseHashFormat("%Lu")
//	backends, err := ring.ParseMailServers("192.0.2.1-192.0.2.9 192.0.2.20@ssd", resolve)
//	rings := ring.Build(backends, nil)
//	addr, ok := rings.Lookup("", format.Hash("Alice@example.org"))
//	rings = ring.Build(changed, rings)
//
// Mappings, stamps and the replicated table are in package directory.
package ring
