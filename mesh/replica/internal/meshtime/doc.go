// Package meshtime keeps mesh time, the clock of stamps, activity, expiry and epochs.
//
// Mesh time runs on the monotonic clock of each director plus an offset. Wall clocks only vote: a
// director slews its offset towards the median vote, so mesh time follows the wall clocks and
// cannot run away. Votes and mesh times are compared in microseconds; what is cut off at each
// exchange would add up.
//
//	Clock   our mesh time, our wall clock, and how far the mesh's median is ahead of us
//	Peer    what we know of a peer's clocks: its mesh time less ours, how sure that is, its vote,
//	        and until when it and we had one mesh time
//	Stamps  the stamps that commands got here, which a step of mesh time moves along
//
// Everything that is known of a peer's clock is relative to our mesh time. So a caller that moves
// the Clock must Shift every Peer by as much.
//
// Package replica decides which peers belong to the mesh whose time we follow, when to slew or to
// step, and what a step does to rows and tables. A Clock can be read by several goroutines at once;
// all else is for one at a time.
package meshtime
