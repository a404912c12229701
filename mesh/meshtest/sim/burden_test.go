package sim

import "testing"

// A run does not end while what balance has just written is on its way. In this schedule d1 does so
// in the last moment.
func TestEndBesideBalance(t *testing.T) {
	for _, b := range Run(unevenLoads(10600000492), nil).Breaches {
		t.Error(b)
	}
}
