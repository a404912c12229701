// Package kick ends users' sessions. A Kicker knows one way to do that; the mesh decides when and whose. This package owns
// the ways (so far: none, and a command of the operator's) and knows nothing of moves, mappings or peers.
//
// # The kick command
//
// The command given with --kick-command is split at blanks and run directly, without a shell, with these arguments added:
//
//	TAG HASH KEEP          sessions of the user with this hash, but not those on the backend KEEP ("" if none is kept);
//	                       only sessions on backends of TAG
//	--backend TAG IP       all sessions on a backend
//	--user NAME            all sessions of a user by name
//	--field FIELD VALUE    all sessions with this value in an auth field
//
// HASH is decimal, as everywhere in Dovecot. The command prints how many sessions it ended. A number means that these were
// all there were; anything else on its output, or nothing, means that it does not know. An exit status other than 0 is a
// failure, which is logged and counts as not knowing. After ten seconds the command and its children are killed.
package kick
