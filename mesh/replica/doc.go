// Package replica is the core of the mesh: it decides what a director answers, replicates and waits
// for.
//
// The core does no I/O. It owns no socket, no goroutine and no clock: messages and the time go in,
// effects come out (see Effect), and equal inputs give equal outputs. Package mesh ties it to
// memberlist and to the network; the simulation drives it from a seed.
//
// Time comes in as a moment of the director's monotonic clock, a mono.Time, always named now. What
// is kept of it in fields is a mono.Time too; limits and waits are a time.Duration. Two moments
// differ by a Duration (now.Sub(p.echoAt) > failAfter), and zero is long ago. Stamps, activity and
// expiry are by another clock, see Mesh time below.
//
// A Core is not safe for concurrent use, except for the few methods that say so. The most important
// of these is TryLookup, which answers nearly all lookups straight from the directory.
//
// # Structures
//
// State that has an invariant of its own is in a package below internal. These structures are
// passive: they are given facts and the time, answer questions, and list what is to be done. They
// send nothing. The parts of the Core (parts.go) ask the structures, decide, and emit effects; the
// Core decides which part works when. Received messages are dispatched by one table, see
// dispatch.go.
//
//	admission where this director and a peer stand: which one counts the other, what each asked
//	logs      our log, what we have of the logs of others, and what is missing
//	lookups   the answers of lookups: the part of a Core that is safe for concurrent use
//	snapshots the snapshot that is taken, donors that did not work out, and those that are given
//	digests   where the rows of two directors differ
//	hints     directors that others named and no stream has proven, other names of our address
//	waiters   lookups that wait
//	rowset    rows on their way into messages: the outbox, the rows of one message
//	deltas    which deltas of the gossip were seen, and which wait for a proof of their origin
//	meshtime  mesh time, and what we know of the peers' clocks
//	rank      which of two meshes that meet stays
//	barrier   table changes that not all peers have confirmed, and the rings from before them
//	moves     moves, Holds, answers to Holds, and the users that are held
//	kicks     kicks that run here, kicks by name, and reports
//	flushes   flushes that run here, and what is known of all
//	tasks     drains and rebalances that run here
//
// # The log
//
// Each director writes one log: table changes, rows (new mappings and recorded activity) and holds.
// The messages are numbered from 1, are the same for all peers, and are kept for a while. The
// stream to a peer carries the log in order, with the messages for this peer alone in their places
// between. After a reconnect the log is replayed from the peer's position.
//
// A jump in the numbers is a gap. A director with a gap in the log of a live peer does not answer
// by itself until a snapshot has repaired the gap. Any director whose own position covers the gap
// can give the snapshot.
//
//	d1's log:  1 rows | 2 rows | 3 table | 4 rows | 5 hold | 6 rows …
//	to d2:     ───────────────────────────────▲ (sent)         d2 has all up to 4
//	to d3:     ─────────▲ (stream broke)  replay from 3, or a gap if 3 is no longer kept
//
// The log of a director that failed or left can have a gap too: a live peer has a part of it that
// this director lacks. See gone.go.
//
// # Which peers count
//
// Directors send each other beats on the streams. A beat echoes the receiver's clock. A peer has
// failed when its last echo is older than failAfter. So both ends of a broken path give each other
// up at about the same time, whichever direction broke.
//
// A director counts a peer once one of the two has admitted the other: the peer has asked this
// director to admit it, or has admitted this director. A director waits for the confirmations of
// the peers that it counts, and for no others. It is synced, and answers by itself, only while all
// live peers count it.
//
// # Admission
//
// One procedure serves all absences: joining, waking up from a pause, being excluded, coming back
// from a split, and stepping mesh time. It has two roles, the comer and the member. At its end both
// have the same rows.
//
//	comer      stops answering, then asks; all that it ever answered stands before the question
//	           on the stream
//	member     takes what the comer holds and it lacks, by a snapshot if need be; then counts the
//	           comer, and answers with its table and its held users
//	comer      takes what the members hold and it lacks; answers again when all of them count it
//
// Nothing is lost. What one director lacks of another is one of four kinds:
//
//   - A part of the other's log. It is asked for by number, or as a snapshot since the log was
//     whole.
//   - A part of the log of a director that failed, left or stepped mesh time; positions tell that
//     it is missing (gone.go). It is asked for in the same way. So is the log of the life before a
//     start from a data directory.
//   - Rows from a time further back than positions reach. They come in a snapshot since the two
//     directors were last together.
//   - Rows that the comer has from outside the mesh, as it says in its question. They come in such
//     a snapshot too.
//
// So no director rewrites what others hold, and each is sent what it lacks once. A director that
// was away for a moment is sent only what changed since. Recorded activity is part of all four.
//
// No answer is wrong. The comer answers nothing until all live peers count it, and each peer that
// counts it has its rows. The member needs no admission: the comer answers nothing before it has
// the member's answer, and from then on it counts the member.
//
// After a split two directors have answered apart from each other. The member is the one that is in
// touch with more than half of all directors. If neither is, both stop answering; if both are, the
// one with the higher name stops.
//
// A joiner waits for each director that its donor names, and for each one that an admission names.
// Then no member is left that answers without counting it: each member tells the second of two
// joiners about the first.
//
// # Exclusion
//
// No director can hold up the others for ever. A live peer that does not admit, confirm or answer
// within confirmWithin is excluded. No director waits for a peer that was excluded or has failed,
// until it has asked to be admitted and has answered what it was asked.
//
// A director looks for the fault in itself when it would exclude two peers or more, and more than
// half of those that it counts. It then goes out instead.
//
// A joiner excludes no peer. It reports to the members which director it waits for. They ask that
// director, and exclude it if it does not answer them either. In the end the joiner goes on without
// it.
//
// # Two meshes
//
// A director that finds no other one founds a mesh with its configured backends. Where two meshes
// meet, all directors of the lower one join the higher one; rank.go says which is higher. Each
// joins by a peer with which frames flow both ways. It takes that peer's whole table at once, and a
// snapshot. The configured backends of the lower mesh go, and the sessions on them end. Commands
// that were given in either mesh hold; of two that conflict, the later by mesh time does.
//
// # Strangers
//
// Two meshes that have no backend in common are two clusters, and one wrong --join must not make
// them one. Removed backends count as well. A table without any backend belongs to no stranger.
// Where directors of both meshes meet, they compare whole tables. If these have nothing in common,
// both sides say so in an error, close the streams, and apply nothing of each other, be it from
// streams, gossip or push/pull. For a minute they then refuse each other at once.
//
// An operator who means it gives `ring add` at the mesh that stays, with a director of the other
// mesh. That command decides instead of the rank. The director leaves its cluster, begins a new
// life and joins with nothing: it does not bring backends or users of its old cluster. See
// strangers.go.
//
// # Replayed packets
//
// A handshake cannot be recorded and sent again; memberlist's packets and states can. So only a
// stream proves that a life of a director (name and boot id) goes on: the stream is up here, or a
// live peer counts that life. Directors report to their peers which lives they count (counting.go).
// What arrives by memberlist from a life without proof has little effect:
//
//	a delta    is kept for 5 s, in case its stream is still being opened; then it is applied and
//	           passed on, or dropped. Until then it counts as not seen
//	a state    changes nothing, not even an address
//	a name     is a hint, from whatever source: its only effect is a dial (hints.go)
//
// # Mesh time
//
// Stamps, activity, expiry and epochs use mesh time: the monotonic clock of each director plus an
// offset, which is slewed towards the median of all wall clocks. Synced directors are within a
// second of each other. See clock.go, step.go and ahead.go.
//
//	slew       towards the median wall clock, 5 ms a second at most, within 200 ms of the median
//	           mesh time
//	0.5 s off  not synced; a step, a new boot id and log, then admission
//	2 s off    a peer is not counted, nothing of it is merged, no gap opens
//	5 s ahead  a value is dropped, the peer that sent it is excluded
//
// # The table barrier
//
// A director that applies a table change does three things. It closes the batch of rows that were
// answered before. It writes the change into its log, also when another director made the change.
// It keeps the old ring beside the new one. The same change in a peer's log is the peer's
// confirmation: what that peer answered earlier stands before it. Until all counted peers have
// confirmed, a user without a mapping is answered only if all kept rings give the same backend.
//
// # Moves
//
// The originator replaces the mapping (next generation, marked moving) and sends a Hold. Each
// director holds the user's lookups, confirms, kicks and reports. When all counted peers have, and
// the kick delay has passed, the originator releases the user: the same row, no longer moving.
// Generation, stamp and backend name the move. When the originator fails or leaves, the director
// that acts for all goes on; see origin.go. A user who is there already is not held: peers confirm
// the mapping, or answer with a better one.
//
// # Tasks
//
// A drain or rebalance is a register of a backend in the table. The synced director with the lowest
// name carries it out, unless it is in contact with fewer than half of the directors that it knows.
// It needs no state for that but the mappings: who is still there is to be moved. Flushes of a
// director that is gone are gone on with by the same director. See task.go.
package replica
