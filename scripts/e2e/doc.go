// Package e2e tests the director as an operator meets it: real processes of the built program on
// 127.0.0.x, asked over its command line and its HTTP interface, killed, paused, restarted and fed
// with nonsense. It shares no ring, no hash and no merge law with the program: what a lookup must
// answer it computes by a naive implementation of its own (oracle.go).
//
// The tests carry the build tag e2e ("make e2e") and need Linux, where all of 127.0.0.0/8 is the
// loopback. The program is DIRECTORMESH_BIN, or built first if that is not set. Everything is
// bounded in time, and a test that fails prints the logs of its directors.
package e2e
