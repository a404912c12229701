// Package admission keeps the books of admission and exclusion: which directors count each other.
//
//	Peer    where this director and one peer stand: which of the two counts the other, what each
//	        has asked, and whether the peer is barred
//	Named   directors that others named, with which this director must be in contact before it
//	        answers
//
// A director asks a peer to be counted, and the peer answers when it has what the director holds.
// The question keeps its nonce until it is answered, so that an answer that took long still counts.
// A probe is the same message, asked of a peer that counts us already, to see whether it answers.
//
//	from               by                              to
//	in good standing   Fail                            failed
//	in good standing   Exclude                         excluded, its confirmations awaited
//	failed             Return, Readmit, TakeRequest    in good standing
//	excluded           Readmit, TakeRequest            in good standing
//	excluded           ForgetExclusion: it is silent   failed
//	excluded, awaited  TakeRequest if it owes us an    excluded, not awaited
//	                   answer, EndContact
//
// A peer that failed or is excluded is barred: it cannot keep this director from answering, until
// it has asked to be admitted. The package sends nothing, and does not know which peers are live or
// of our mesh: package replica does, and draws the nonces. Not safe for concurrent use.
package admission
