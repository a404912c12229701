// Package sim runs meshes of directors without a network, a process or a clock, and has package
// check judge what they did.
//
// A [Schedule] says everything about one run: the directors, backends and users, how the network
// behaves, what is asked and ordered when, and which faults come. [Generate] makes one from a seed.
// [Run] carries it out: each director is the core of mesh/replica with a directory, as in
// production; this package plays all the rest of the world around it in one goroutine and in
// virtual time: streams, gossip and push/pull with delay, loss, repetition and cuts, the shell that
// dials and ticks, kickers, flush hooks, operators and users. Equal schedules run equally, so a
// seed is enough to see a failure again.
//
// What is left out: memberlist (directors learn of each other by a simple model of it), sockets,
// and concurrency inside a director.
package sim
