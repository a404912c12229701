// Package kick ends users' sessions. A Kicker is one way to do that; the mesh decides when, and for
// which users. There are three: IPC and Anvil for the sessions that Dovecot 2.3 and 2.4 proxy, and
// Command for a program of the operator. The package does not use moves, mappings or peers. Package
// kicktest has the tests that all kickers pass.
//
// # Sessions of Dovecot
//
// A kick by hash asks Dovecot for its sessions, chooses those of the user on backends of the tag,
// ends them, and asks again: only the second list shows whether it worked, and makes the result
// Known. Kicks at the same time share their lists. The first list may be one of the last seconds,
// unless the user has logged in lately. So a kick of a user without sessions costs only a search in
// that list, and the sessions of a user who stays logged in end at once.
//
// Ten thousand kicks may wait for one list together; --max-parallel-kicks bounds how many of them
// send requests of their own to Dovecot at a time. A kick that has failed, or has not ended after
// ten seconds, is left to Late, which goes on for half a minute.
//
// Logins that were answered shortly before the kick may still be on their way to the backend.
// Dovecot 2.3 lists these as well, except the first one of each login process. Dovecot 2.4 does not
// list them, so its login processes are asked to end the names under which the user has logged in
// lately. Both get half a second to appear in the list, and are ended then; Late ends later ones.
//
// Without a list kicks are blind: a login process that hangs delays the list for ever, and the
// other login processes must end the user's sessions nevertheless.
//
// Dovecot ends all sessions of a login name. Where some sessions are to stay, the kickers use a
// narrower way; if there is none, too many end, not too few. The mark in a session (package
// session) is such a way. It finds a user whose login name is not the name that was looked up. With
// tags, where one name may be several users, it finds the right one. Sessions that began before
// there were tags have no mark. In 2.4 marks do not help for sessions on the way to a backend: a
// login process with a session of another user of the name is left alone, and its sessions on the
// way are ended when they have arrived.
//
// # The kick command
//
// The command given with --kick-command is split at blanks and run directly, without a shell, with
// these arguments added:
//
//	TAG HASH KEEP          sessions of the user with this hash on backends of TAG, but not those
//	                       on the backend KEEP ("": all of them)
//	--backend TAG IP       all sessions on a backend
//	--user NAME            all sessions of a user by name
//	--field FIELD VALUE    all sessions with this value in an auth field
//
// HASH is decimal, as everywhere in Dovecot. The command prints how many sessions it ended. A
// number means that the user had no other sessions; any other output, or none, means that the
// command does not know. An exit status other than 0 is a failure, which is logged and counts as
// not known. After ten seconds the command and its children are killed. No more than
// --max-parallel-kicks run at a time; the others wait for as long as it takes, since the sessions
// must end, even if late.
package kick
