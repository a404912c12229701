// Package audit writes the log line of each admin change: client, door, change, result and
// duration. All doors write the same line. The package decides nothing and carries out no change.
//
// User names stay out of the log; their hashes go in.
package audit
