package sim

import (
	"strings"
	"testing"
)

// Disks that lose what they reported as synced are noticed, in the table and in the mappings.
func TestLyingDisksAreNoticed(t *testing.T) {
	var table, users int
	for seed := range uint64(20) {
		s := allOnDisks(seed + 1)
		s.Disks.Lies = true
		for i := range s.Actions {
			s.Actions[i].Power = true
		}
		for _, b := range Run(s, nil).Breaches {
			switch {
			case !strings.Contains(b.Text, "after a start of all"):
			case b.User.Hash != 0:
				users++
			default:
				table++
			}
		}
	}
	if table == 0 || users == 0 {
		t.Errorf("%d breaches about the table, %d about users", table, users)
	}
}

// A mesh without data directories begins anew when all have died, which the same look notices.
func TestDiskless(t *testing.T) {
	found := false
	for seed := range uint64(5) {
		s := allOnDisks(seed + 1)
		s.Disks.On = false
		for _, b := range Run(s, nil).Breaches {
			found = found || strings.Contains(b.Text, "after a start of all")
		}
	}
	if !found {
		t.Error("nothing is missed of a mesh that keeps nothing")
	}
}
