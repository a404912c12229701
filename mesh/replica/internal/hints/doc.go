// Package hints keeps what a director heard of others and no stream has proven.
//
//	Set       directors that were named to us: when to dial them, and when to forget them
//	Aliases   names, other than its own, under which a director's own address was heard
//
// The director of a hint, its address and that it runs may be invented, or of years ago. All that a
// hint can bring about is a dial. Package replica decides whether a name is worth a hint (it is no
// peer, was not removed, and no other director answers at its address), and dials. Not safe for
// concurrent use.
package hints
