// Package load drives the doors of one or several directors as many proxies would, times every
// answer and checks it: all directors must give a user the same backend.
//
// It owns the schedule, the users, the requests at each door, and the sums. Package cli owns the
// arguments and the output. It keeps no mapping of its own, so it finds only answers that
// contradict each other.
//
// # Open and closed loop
//
// With Config.Rate the requests of a director are due at fixed moments, even while earlier ones are
// open. The latency of a request counts from the moment at which it was due: a director that hangs
// for a second makes a second's worth of requests slow, not one. Users log in like that, so it is
// the way to judge a mesh. Without a rate each connection keeps Config.Depth requests outstanding
// and sends the next one when an answer comes. That measures the most that a director can do; its
// latencies are those of a director at its limit.
//
// # Cost
//
// A request costs no allocation and, under load, a fraction of a system call: requests that are due
// together are written together, answers that have arrived together are read together. One
// goroutine reads each connection; in the closed loop the same one writes, in the open loop one
// goroutine for each director does.
package load
