// Package wiretest has sample messages for the tests of packages that handle
// messages of package wire.
package wiretest

import "directormesh/mesh/wire"

// Samples returns one message of every kind, in the order of the kinds. No field of them is zero
// where another value is possible: what was added after version 1 is set here. The messages are the
// caller's.
func Samples() []wire.Message { return V1() }
