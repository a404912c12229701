// Package event says what happens in a mesh, as one director sees it. It owns which things count as
// events, and what they are made of; it has no goroutine and no clock. Package mesh collects the
// facts and hands the events on, ten times a second at most.
//
// # Where events come from
//
//	notes    what the core and the doors note for the history: changes of the table, admin
//	         changes, users that got another backend
//	states   what a director says of itself, its peers, backends, flushes and keys: looked at in
//	         each round, and compared with the round before
//
// Notes are complete: each becomes an event, or a part of one. States show what was so at the end
// of a round; what began and ended within one is not seen. First logins are no events: there may be
// tens of thousands a second, and the history has them.
//
// # Users
//
// Users who go the same way for the same reason in one round are one event, with all their hashes.
// So a flush of ten thousand users a second is a few events in each round, and loses nothing. No
// event has the name of a user.
package event
