package phrase

import (
	"testing"

	"directormesh/cli/api"
	"directormesh/mesh/replica"
)

func TestWaits(t *testing.T) {
	got := Waits([]api.Wait{{Reason: "no_backend", Lookups: 12}, {Reason: "moving", Lookups: 2}})
	if want := "12 for a usable backend, 2 until their users are moved"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, reason := range replica.WaitReasons() {
		if waitsFor(reason) == reason {
			t.Errorf("there are no words for lookups that wait for %q", reason)
		}
	}
}
