// Package netns gives tests hosts of their own on one machine: each is a Linux network namespace,
// and all are on one switch, whose ports can drop what a test names. Nothing leaves the machine,
// and all is gone with the test.
//
// It needs root, iproute2, and a kernel with veth, bridge, and the bpf filter of tc; where one of
// these is missing, New skips the test and says which. Like its users it carries the build tag e2e.
package netns
