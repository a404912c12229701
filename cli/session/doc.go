// Package session lists the sessions that the Dovecot beside a director proxies. It keeps a recent
// list for the kickers, remembers recently answered logins, and prolongs the mappings of users who
// have sessions.
//
//	Dovecot ── list ──→ Source ──→ kickers
//	                       └─────→ Keeper ──→ mesh: these users are still there
//	login door ────────→ Logins ──→ kickers: these may be on the way
//
// It ends no session and decides nothing about mappings.
//
// # The user of a session
//
// The hash of a session's login name gives its user, with two exceptions. The passdb may return
// another name to look up (destuser). With tags, one name may be two users, whose sessions Dovecot
// would end together. So the login door adds a field to the auth reply of such users: MarkField,
// with the value that Mark returns. Dovecot keeps the field with the session and lists it. The
// field outlives a restart of the director, and Dovecot's own commands can kick by it.
package session
