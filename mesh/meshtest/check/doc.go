// Package check judges what a mesh of directors did. It is given the history of a run (who was asked what and when, what was
// answered, what operators ordered, which director lived, slept or could not be reached, and what everybody held in the end) and
// reports every breach of the guarantees:
//
//	G1  at the end all directors hold the same table and the same mappings
//	G2  no user is answered two backends within the expire window, unless a listed cause allows it
//	G3  after a fault the mesh agrees on one backend again, and the sessions on any other are kicked
//	G4  a lookup that nothing puts in question is answered at once, and every wait ends
//	G5  what was acknowledged is applied everywhere and holds
//	G6  concurrent changes of different registers all hold
//
// The checker shares no code with what it checks: it hashes with its own naive ring, and it knows backends, users and
// operations only by the types of this package. It never asks a director why it did something; directors are believed in
// nothing but what they answered, ordered and finally hold.
//
// # Time
//
// Every event carries the true time since the start of the run. Directors have clocks of their own, which are within about a
// second of each other once they belong to the mesh; the share of the expire time that every mapping lives longer than it must
// covers that, so no tolerance is needed for G2.
//
// # Causes
//
// For every user the checker keeps the lines that may be answered: normally one, the backend answered last. An answer with
// another backend must have a cause, which then is used up: a move or flush of this user, a forget or removal of the old
// backend, a down backend whose mapping could not be prolonged, expiry, or a fault. A fault is a cause only for the directors
// that it concerns: the one that answers must be unable to know of the old line, because the director that answered it was out of
// its reach for five seconds ([Frame] events tell), or died before its answer had reached everybody. Two lines that a fault made
// live side by side until the mesh has been calm for [Rules.RepairWithin]; from then on there is one again.
package check
