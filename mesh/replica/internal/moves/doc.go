// Package moves keeps the books of users on their way to another backend.
//
//	Set      the moves that this director runs, by user and by the Hold that announced them
//	Held     the users that are held here: for moves of this director, and of others
//	Kick     the end of a held user's sessions
//	Move     one user: its moving row, which peers reported, and how far it is
//	Batch    the moves that one Hold announced, and which peers confirmed it
//	Answers  what this director did for the Holds of others, in case they come again
//
// A move is named by its user, generation, stamp and backend: an answer that is about another row
// of the user does not touch it. A peer that fails has neither confirmed nor reported anything.
//
// So the core can ask: which moves may go on, what has a peer not answered, which Hold waits for
// too long. The package writes no row, sends nothing and ends no session. Package replica says
// which peers count, and what the directory has of a user. Not safe for concurrent use.
package moves
