// Package barrier tracks which table changes not all peers have confirmed, and keeps the rings from
// before them.
//
// A director that applied a change may no longer answer by it alone: a peer that has not applied it
// yet answers by the ring of before. So the ring of before each change is kept until all peers that
// count have confirmed the change. What a peer says of a row confirms a change of that row if it
// covers it.
//
//	Barrier  the changes under way, oldest first, and the kept rings: one before each, today's
//	Change   one change: which rows of it which peers have confirmed, which peers failed first
//	Peer     what must be known of a peer to say whether it is waited for
//
// So the core can ask: by which rings may a director still answer, which peers still owe a
// confirmation, what has been waited for for too long. Confirmations are kept by the names of
// peers, for all of their lives: what a peer confirmed it does not take back, since it hands its
// table on to its next life.
//
// The package merges no table and builds no ring. What a director says, which peers it counts
// and excludes, and that lookups see the kept rings is up to package replica. Not safe for
// concurrent use.
package barrier
