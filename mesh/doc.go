// Package mesh is one director's part in the mesh: the shell around the protocol core.
//
// The core (package replica) decides everything and does nothing: it has no socket, goroutine or
// clock. This package gives it those. It owns memberlist (membership, failure detection, gossip,
// push/pull), the streams between directors, their encryption, the clocks, and every goroutine; it
// knows nothing of the doors, and no other package imports memberlist.
//
//	cli/daemon ─ Lookup, Do, queries ─► Node ─ input ─► replica.Core
//	                                     │                │ effects, in order
//	             memberlist ◄─ delegate ─┤                ▼
//	             streams   ◄─ links, sessions ─ Send, Gossip, Kick, Answer, …
//
// # Who runs where
//
// The core is guarded by one mutex. Node.input takes it, calls the core, carries out the effects in
// their order, and never waits while it holds it: sending is putting into a bounded queue, kicks
// and hooks go to workers, log lines are written after the mutex is free. Lookups of users that
// have a mapping do not take it at all.
//
// memberlist's callbacks only copy and hand over: events (join, leave, failed probe, conflict) go
// to one goroutine, gossiped deltas to another, so that memberlist's own locks are never held while
// something of ours runs.
//
// Each peer has a link: one goroutine that dials it, keeps the outgoing stream, and dials again
// with backoff. Each incoming stream is a session with one goroutine that reads it. A link's queue
// is bounded in bytes; when a peer does not drain it, its stream is closed and nobody else notices.
//
// # Locks
//
// coreMu guards the core and everything only its inputs and effects touch. The others (of a link's
// queue, the gossip queues, the member list, the kicker's queue, the rate limiter) are leaves: they
// may be taken while coreMu is held, and nothing is taken while one of them is. linksMu is taken
// without coreMu only.
//
// # On the network
//
// One port for all: memberlist's packets over UDP, and over TCP both memberlist's streams and ours,
// told apart by their first byte. Our streams open with a preamble that names the mesh; with a key
// set, a Noise NNpsk0 handshake follows, and nothing is believed that is not encrypted by it.
// Without a key everything is in the clear and anybody may join.
package mesh
