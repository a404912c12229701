// Package kicks keeps the books of kicks: the ends of mail sessions.
//
//	Local   the kicks that the kicker of this director has under way, and the results that peers
//	        still have to get
//	ByName  a kick of a user by name, which every director that answers lookups carries out
//	Report  what directors could not do of a kick
//
// The package ends no session and sends nothing. Package replica emits what is to be done, and says
// which directors are live. Not safe for concurrent use.
package kicks
