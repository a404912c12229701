// Package mesh is one director's part in the mesh: the shell around the protocol core.
//
// The core (package replica) decides and has no socket, goroutine or clock; this package has them.
// It owns memberlist (membership, failure detection, gossip, push/pull), the streams between
// directors, their encryption, the clocks, and every goroutine. It does not depend on the doors,
// and no other package imports memberlist.
//
//	cli/daemon ─ Lookup, Do, queries ─► Node ─ input ─► replica.Core
//	                                     │                │ effects, in order
//	             memberlist ◄─ delegate ─┤                ▼
//	             streams   ◄─ links, inStreams ─ Send, Gossip, Kick, Answer, …
//
// # Goroutines
//
// The core is guarded by one mutex. Node.input takes it, calls the core, carries out the effects in
// their order, and never waits while it holds the mutex: messages to send go into a bounded queue,
// kicks and hooks go to workers, log lines are written after the mutex is free. Lookups of users
// that have a mapping do not take it at all.
//
// memberlist's callbacks only copy their arguments and hand them over: events (join, leave, failed
// probe, conflict) to one goroutine, gossiped deltas to another. So memberlist's own locks are free
// while our code runs.
//
// Each peer has a link: one goroutine that dials it, keeps the outgoing stream, and dials again
// with backoff. Each incoming stream is an inStream with one goroutine that reads it. A link's
// queue is bounded in bytes; when a peer does not drain it, its stream is closed. Other peers are
// not affected.
//
// The keeper (keykeeper.go) has the mesh's keyring, in a goroutine of its own, because it writes to
// the disk: it merges what peers say, keeps it in the data directory, puts it in force, reports
// what this director has, and takes the steps of rotations. The core knows nothing of keys. Streams
// and memberlist read the keys in force without a lock.
//
// # Locks
//
// coreMu guards the core and all that only its inputs and effects touch. The other locks (of a
// link's queue, the gossip queues, the member list, the kicker's queue, the rate limiter) are
// leaves: they may be taken while coreMu is locked, and no lock is taken while a leaf is locked.
// linksMu is taken only without coreMu. The lock of keys is taken only without coreMu, which may be
// taken while it is locked.
//
// # On the network
//
// One port for all: memberlist's packets over UDP, and over TCP both memberlist's streams and ours,
// distinguished by their first byte. Our streams open with a preamble that names the mesh; with a
// key set, a Noise NNpsk0 handshake follows, and only what it encrypts is accepted. Without a key
// all traffic is in the clear, and any host that reaches the port can join.
package mesh
