package ring

import "net/netip"

// Lookup is one of several lookups that are made together: who is asked for and, when they are
// done, the answer.
type Lookup struct {
	Tag     Tag
	Hash    UserHash
	Backend netip.Addr // the zero Addr: not answered
}
