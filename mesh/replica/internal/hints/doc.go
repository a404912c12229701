// Package hints keeps what a director was told and no stream has proven.
//
//	Set       directors that somebody named: whom to dial, when, and when to forget them
//	Aliases   names, other than its own, under which a director's own address was heard
//
// Who a hint names, where that is and that it runs may be invented, or of years ago. All it can
// bring about is a dial. Whether a name is worth a hint (it is no peer, was not removed, and nobody
// else answers at its address), and the dialling itself, is up to package replica. Not safe for
// concurrent use.
package hints
