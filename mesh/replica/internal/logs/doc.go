// Package logs keeps the logs of the mesh's directors, as far as one director has them.
//
// Each life of a director has one log, whose messages are numbered from 1:
//
//	Own       our log: it numbers messages and keeps them for a while, to be replayed
//	Peer      what we have of the log of another life: which numbers, its last messages, since
//	          when its writer is gone, and what we still lack of it then
//	Set       all of those: what to tell the peers of the dead, and what may be forgotten
//	Claims    what one peer says to have of the logs of others
//	LateRows  notes on rows that are older than the moment at which a log brought them
//
// So the core can ask: is anything of this log missing here, which peer has most of what we lack,
// from when on must a snapshot have what was stamped. A number is in a log's spans once its message
// was applied, or was in a snapshot that was.
//
// The package applies no message and sends none, and knows peers by their names alone. Package
// replica decides which life a peer is in, whether a gap keeps this director from answering, and
// which peer to ask. Times are moments of the monotonic clock that goes in, but for LateRows, which
// lives in mesh time. Not safe for concurrent use.
package logs
