// Package balance says by how much the weights of backends should differ from their vhost counts so
// that load is even. It has no clock and no I/O, and sends no messages: loads, weights and the time
// go in, factors come out. Package replica decides which director asks it, when a factor may
// change, and writes it.
//
// # The law
//
// A backend gets new users in proportion to its weight: its vhost count times its factor. What they
// cost it differs: it may be slow, have the users with the most sessions, or have more of the ring
// than its weight says. With loads and weights averaged over hours, as parts of those of the tag,
//
//	cost   = load / weight
//	factor = the middle one of all costs / cost, 0.5 to 1.5
//
// and it is changed when it is off by 0.1, or by 0.15 where it goes back towards 1. The middle one,
// so that a few backends that no factor can help, with users as large as a backend, do not shift
// all others.
//
// Load answers to a factor hours later, as sessions end. So a factor that follows from the load
// alone goes too far, then back, for ever; one that is changed step by step, as long as the load is
// off, does too. Here the weight that a load was brought about by is averaged as the load is: as
// long as sessions do not live for longer than what is averaged over, the cost stays the same when
// the weight changes, and nothing swings. An operator's change of the count does as little harm.
// TestRest compares the three.
//
// Not safe for concurrent use.
package balance
