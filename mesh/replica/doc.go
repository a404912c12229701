// Package replica is the core of the mesh: it decides what a director answers, replicates and waits
// for.
//
// The core does no I/O. It owns no socket, no goroutine and no clock: messages and the time go in,
// effects come out (see Effect), and equal inputs give equal outputs. Package mesh ties it to
// memberlist and to the network; the simulation drives it from a seed. A Core is not safe for
// concurrent use, except for the few methods that say so: TryLookup is the one that matters, it
// answers nearly all lookups straight from the directory.
//
// # The log
//
// Each director has one log: table changes, rows (new mappings and recorded activity) and holds,
// numbered from 1, the same for all peers, kept for a while. The stream to a peer carries the log
// in order, with direct messages in their places between. After a reconnect the log is replayed
// from where the peer has it. A jump in the numbers is a gap, and a director with a gap in the log
// of a live peer does not answer by itself: a snapshot repairs it, taken from any director whose
// own position covers the gap.
//
// What the others have of the log of a director that is gone, and we do not, is a gap as well:
// see gone.go.
//
//	d1's log:  1 rows | 2 rows | 3 table | 4 rows | 5 hold | 6 rows …
//	to d2:     ───────────────────────────────▲ (sent)         d2 has all up to 4
//	to d3:     ─────────▲ (stream broke)  replay from 3, or a gap if 3 is no longer kept
//
// # Who counts
//
// Beats run both ways on the streams and echo the sender's clock. A peer whose echo is older than
// failAfter has failed; so both ends of a broken path give each other up at about the same time,
// whichever direction broke. A director counts a peer once the peer has asked to be admitted, or
// has admitted it; it waits for the confirmations of the peers that it counts, and only for those.
// It answers by itself (it is synced) only while all live peers count it.
//
// # Admission
//
// Joining, waking up from a pause, being excluded, coming back from a split and stepping mesh time
// are one procedure, by which two directors have in the end the same rows, both ways:
//
//	comes      stops answering, then asks; all that it ever answered stands before the question on the stream
//	goes on    takes what the one that comes holds and it lacks, if need be by a snapshot; then counts it, and
//	           answers with its table and its held users
//	comes      takes what the others hold and it lacks, and answers again when all have counted it
//
// Why nothing is lost: what a director lacks of another stands in that one's log, or in a log whose
// writer is gone, of which positions tell (gone.go), or it is what the two have not had in common
// for longer than positions tell, or what the one that comes has from outside the mesh, and says
// so. The first two are asked for by number, or by a snapshot since the log was whole. The last two
// are a snapshot since the two were together. So nobody rewrites what others hold, each director is
// sent what it lacks once, and of a director that was away for a moment only what changed since.
// Recorded activity is part of all of these.
//
// Why nobody answers wrongly: the one that comes answers nothing until all live peers count it, and
// whoever counts it has its rows. The one that goes on needs no admission: the other does not
// answer before it has the answer, and with that it counts the one that goes on. Of two that
// answered apart from each other, the one that is in touch with most directors goes on; if neither
// or both are, both stop, or the one with the higher name. When a joiner has been admitted by all
// whom its donor or any other that admitted it names, no member is left that answers without
// counting it: of two joiners each member tells the second of the first.
//
// # Nobody stops others for ever
//
// A live peer that does not admit, confirm or answer within confirmWithin is excluded. It, and one
// that has failed, hinders nobody until it has asked to be admitted, and answered what it was
// asked. Whoever would exclude two or more and more than half of those that it counts is out
// itself: then the fault is its own. A joiner excludes nobody. It tells the members for whom it
// waits; they ask that one, and exclude it if it does not answer them either; in the end the joiner
// goes on without it.
//
// # Two meshes
//
// A director that finds nobody founds a mesh with its configured backends. Where two meshes meet,
// all directors of the one that ranks lower join the other; see rank.go for what a mesh ranks by.
// Each joins by a peer with which frames flow both ways, with that one's whole table at once, and a
// snapshot. The configured backends of the mesh that is given up go, the sessions on them end; what
// was commanded in either mesh holds, the last command by mesh time.
//
// # Strangers
//
// Two meshes that have no backend in common are two clusters, and one wrong --join must not make
// them one. Removed backends count; a table without any is no stranger's. Where directors of both
// meet they compare whole tables, say so in an error on both sides, close the streams, and apply
// nothing of each other, be it from streams, gossip or push/pull. For a minute they then refuse
// each other at once.
//
// `ring add`, at the mesh that stays, of a director of the other one decides in place of the rank.
// That director leaves its cluster, begins a new life and joins as one that knows nothing: backends
// and users of the cluster that it left are not the other's. See strangers.go.
//
// # Fresh only
//
// A handshake cannot be recorded and sent again; memberlist's packets and states can. So a stream
// alone proves that a life of a director (name and boot id) is going on: its stream is up here, or
// a live peer counts it. Directors tell their peers whom they count (counting.go). What comes
// otherwise, of a life that nothing proves:
//
//	a delta    is kept for 5 s, in case its stream is still being opened; then applied and passed on, or
//	           dropped. Meanwhile it counts as not seen
//	a state    changes nothing, not even an address
//	a name     is a hint, whoever told it: all that it brings about is a dial (hints.go)
//
// # Mesh time
//
// Stamps, activity, expiry and epochs are told by mesh time: the monotonic clock of each director
// plus an offset, which is slewed towards the median of all wall clocks. Synced directors are
// within a second of each other. See clock.go, step.go and ahead.go.
//
//	slew       towards the median wall clock, 5 ms a second at most, within 200 ms of the median mesh time
//	0.5 s off  not synced; a step, a new boot id and log, then admission
//	2 s off    a peer is not counted, nothing of it is merged, no gap opens
//	5 s ahead  a value is dropped, the peer that sent it is excluded
//
// # The table barrier
//
// A director that applies a table change closes the rows answered before, writes the change into
// its log (to all, whoever made it) and keeps the ring of before. The same change in a peer's log
// is the peer's confirmation: what that peer answered earlier stands before it. Until all counted
// peers have confirmed, a user without a mapping is answered only if all kept rings agree on its
// place.
//
// # Moves
//
// The originator supersedes the mapping (next generation, marked moving) and sends a Hold. Each
// director holds the user's lookups, confirms, kicks and reports. When all counted peers have,
// and the kick delay has passed, the originator releases: the same row, no longer moving.
// Generation, stamp and backend name the move. When the originator is gone, the lowest of the
// others goes on; see origin.go.
package replica
