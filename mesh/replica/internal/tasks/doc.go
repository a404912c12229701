// Package tasks keeps the books of what moves users away from backends for as long as the table
// says so: drains, and the rebalancing of a tag.
//
//	Task     one that this director runs: what is still to be looked through, the users that were
//	         found, how many are under way, and how many may begin now
//	Set      the tasks that run here
//
// A task has no state that matters beyond this director: who is still mapped to the backend is all
// that another director must know to go on with it. The package finds no users and moves none. Not
// safe for concurrent use.
package tasks
