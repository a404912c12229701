// Package audit notes each admin change in the log and in the history: client, door, change, result
// and duration. All doors note the same. The package decides nothing and carries out no change.
//
// User names stay out of both; their hashes go in.
package audit
