//go:build scale

// Command scale measures a mesh of real director processes that hold millions of users: joins,
// memory, flushes, starts from disk, the cost of logins and how long lookups take meanwhile.
// `make bench-mesh` runs it; it prints a table and is no test, since what it prints depends on the
// machine.
//
// Directors are this program itself, run again as "director serve" with nothing changed but a
// socket at which memory can be asked for after a garbage collection, and profiles be taken. They
// get their users from a director in this process, which founds the mesh with a directory made up
// beforehand, and leaves when the first ones have taken its snapshot.
package main
