// Package kick ends users' sessions. A Kicker knows one way to do that; the mesh decides when and
// whose. This package owns the ways (IPC and Anvil for the sessions that Dovecot 2.3 and 2.4 proxy,
// Command for a program of the operator's) and knows nothing of moves, mappings or peers. Package
// kicktest has the tests that all of them pass.
//
// # Sessions of Dovecot
//
// A kick by hash asks Dovecot for its sessions, chooses those of the user on backends of the tag,
// ends them, and asks again: only the second list tells whether it worked, and makes the result
// Known. Kicks at the same time share their lists. A list of the last seconds does for the first
// one, unless the user has logged in lately: so a user without any session costs nothing but a look
// at it, and the sessions of one who stays logged in end at once.
//
// So ten thousand kicks may wait for a list together; --max-parallel-kicks bounds how many of them
// ask Dovecot for something of their own at a time. A kick that has not ended after ten seconds, or
// failed, is left to Late, which goes on for half a minute.
//
// Logins that were answered shortly before the kick may still be on their way to the backend.
// Dovecot 2.3 lists these as well, but for the first one of each login process; 2.4 does not, so
// its login processes are told the names under which the user has logged in lately. Both are given
// half a second to appear, and ended then; Late ends what takes longer.
//
// Without a list kicks are blind: a login process that hangs delays the list for ever, and the
// others must be told all the same.
//
// Dovecot ends sessions by login name, all that the name has; where some are to be kept the kickers
// find a narrower way, and if there is none too many end, not too few. The mark in a session
// (package session) is such a way: by it a user is found whose login name is not the name that was
// looked up, and with tags, where one name may be several users, the right one. Sessions from
// before there were tags have none. On the way to a backend, marks do not help in 2.4: a login
// process with a session of another user of the name is left alone, and what it had on the way is
// ended when it has arrived.
//
// # The kick command
//
// The command given with --kick-command is split at blanks and run directly, without a shell, with
// these arguments added:
//
//	TAG HASH KEEP          sessions of the user with this hash, but not those on the backend KEEP ("" if none is kept);
//	                       only sessions on backends of TAG
//	--backend TAG IP       all sessions on a backend
//	--user NAME            all sessions of a user by name
//	--field FIELD VALUE    all sessions with this value in an auth field
//
// HASH is decimal, as everywhere in Dovecot. The command prints how many sessions it ended. A
// number means that these were all there were; anything else on its output, or nothing, means that
// it does not know. An exit status other than 0 is a failure, which is logged and counts as not
// knowing. After ten seconds the command and its children are killed. No more than
// --max-parallel-kicks run at a time; the others wait for as long as it takes, since the sessions
// must end, even if late.
package kick
