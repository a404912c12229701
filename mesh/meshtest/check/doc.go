// Package check judges what a mesh of directors did. Its input is the history of a run: each lookup
// with its time and answer, each operator's command, which directors were running, paused or
// unreachable, and the final state of each. It reports every breach of the guarantees:
//
//	G1  at the end all directors hold the same table and the same mappings
//	G2  no user is answered two backends within the expire window, unless a listed cause allows it
//	G3  after a fault the mesh agrees on one backend again, and kicks the sessions on any other
//	G4  a lookup that nothing puts in question is answered at once, every wait ends, and every
//	    director is synced soon after a fault
//	G5  what was acknowledged is applied everywhere and holds
//	G6  concurrent changes of different registers all hold
//
// The checker shares no code with what it checks: it hashes with its own naive ring, and it knows
// backends, users and operations only by the types of this package. From a director it takes only
// its answers, its operators' commands, its final state, and whether it is synced. A synced
// director is judged by its own knowledge. One that is not synced is judged by the knowledge of the
// directors that it could ask, and must not stay so for long.
//
// # Time
//
// Every event carries the true time since the start of the run. Directors have clocks of their own,
// which are within about a second of each other once they belong to the mesh; the share of the
// expire time that every mapping lives longer than it must covers that, so no tolerance is needed
// for G2.
//
// # Knowledge
//
// Each answer is judged by what its director could have known, not by whether there was a fault
// somewhere. What a director announced (a mapping, activity) is known
//
//   - to a director that received a frame of the announcer's stream which was sent later by
//     [Rules.BatchLag] or more,
//   - to a director that is in contact with the announcer: G2 holds wherever frames flow both ways,
//     and none overtakes others for long,
//   - when the announcer has died, to all that have been in touch for [Rules.KnownWithin] with one
//     that surely knows it: they have noticed the death, compared what they have of the dead one's
//     log, and asked for what they lack. So it goes on from one to the next, but not to one that is
//     not synced: a snapshot may take longer. The same holds while the announcer lives and all of
//     them have counted it as failed for so long.
//
// A director that starts from its disk knows again what its former lives had said and that disk
// had, and those that it is together with know it likewise.
//
// What no live director knows is lost; an answer against it is no breach. A table change is known
// to all directors that its acknowledgement does not name as failed, and to all that have been in
// touch with one of these for a while; see [scope]. One that was not acknowledged may come back
// with a director that starts from its disk.
//
// # Causes
//
// For every user the checker keeps the lines that may be answered: normally one, the backend
// answered last. An answer with another backend must have a cause, which then is used up: a move or
// flush of this user, a forget or removal of the old backend, a down backend whose mapping could
// not be prolonged, expiry, or a fault. A flush with which another director may have gone on is
// used up only by an answer that shows what both did; one that would put the user where a conflict
// may have done so, only by an answer after its end. A fault is a cause only for a director that
// need not know the old line. After a fault two lines may be valid side by side, until a director
// that must know both answers with one of them. From then on that line has won, for this director
// and for all others that must know of its answer.
//
// Where all directors have died, and gone on from their disks, a new Checker goes on. Its first
// lines are what all of them hold when they are synced again: nobody need have been answered that.
package check
