// Package flushes keeps the books of flushes, which move all users of a backend to where they hash
// now.
//
//	Flush    one that this director runs: what is still to be looked through, the users that were
//	         found, how many are under way and what became of the others
//	Set      the flushes that run here, and what is known of all in the mesh
//
// The package finds no users and moves none. Package replica says what a mapping is, where a user
// belongs and when a move has ended. Not safe for concurrent use.
package flushes
