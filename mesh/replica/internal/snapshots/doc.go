// Package snapshots keeps track of snapshots: all rows of a directory, or those that changed since
// a moment, on their way from one director to another in chunks.
//
//	Receiver   the snapshot that this director takes, and the donors that did not work out
//	Donations  the snapshots that it gives
//	Donation   one of these: what has been sent and acknowledged, and the next chunk
//
// A directory goes on changing while its snapshot is under way; what changes is in the logs too.
//
// Package replica decides from which donor a snapshot is to be taken and since when, what its rows
// and positions change here, and what is sent. Not safe for concurrent use.
package snapshots
