// Package session knows the sessions that the Dovecot beside a director proxies: it keeps a recent
// list of them for the kickers, remembers which logins were answered lately, and keeps the mappings
// of living sessions alive.
//
//	Dovecot ── list ──→ Source ──→ kickers
//	                       └─────→ Keeper ──→ mesh: these users are still there
//	login door ────────→ Logins ──→ kickers: these may be on the way
//
// It owns the knowledge. It ends no session and decides nothing about mappings.
//
// # Whose session it is
//
// A session belongs to the user whose hash its login name has. That is wrong where the passdb gave
// another name to look up (destuser), and not enough where there are tags: one name may be two
// users then, whose sessions Dovecot would end together. So the login door adds a field to the
// auth reply of such users, which Dovecot keeps with the session and lists: MarkField, with the
// value that Mark returns. It outlives a restart of the director, and Dovecot's own commands can
// kick by it.
package session
