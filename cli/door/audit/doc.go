// Package audit writes the log line that every admin change leaves behind: who asked for what at
// which door, what came of it and how long it took. The lines are the same whatever the door. It
// decides nothing and does not carry changes out.
//
// User names stay out of the log; their hashes go in.
package audit
