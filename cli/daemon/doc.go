// Package daemon is a running director: it reads the settings, wires the mesh, the kicker and the
// doors together, and stops them in the right order. It owns precedence and validation of settings,
// the run directory, signals and the messages to the service manager. Package mesh and those below
// it decide about users, backends and peers.
//
// # Settings
//
// Each setting exists as a flag (--user-expire), as an environment variable (DIRECTOR_USER_EXPIRE)
// and as a key of the YAML file (user-expire, underscores will do), and counts in that order. The
// list is in settings.go, except the settings of doors. Unknown keys are refused. Load reports all
// problems at once.
//
// # Doors
//
// A door is a package with a server, a kind in package handover, and a row in doortable.go, from
// which its settings, sockets, limits and metrics follow. The tests then name the rest: the unit of
// its socket in scripts/packaging, a question for TestCrowdedDoors, and the documents, which
// "go test ./cli/... -update" makes.
//
// # Life
//
//	Load → New → Run ──────────────────────────────────────→ Close
//	             │ serves; SIGHUP: Load again, apply all or nothing
//	             └ SIGTERM: /readyz says 503, the mesh is left in good order, requests end;
//	               a second signal cuts that short
package daemon
