package audit

import (
	"fmt"
	"net/netip"
	"testing"
)

// No client may have all of a door, and each may have something.
func TestShare(t *testing.T) {
	addr := Client{addr: netip.MustParseAddr("192.0.2.1")}
	for _, test := range []struct {
		client Client
		most   int
		want   int
	}{
		{addr, 400, 100},
		{addr, 2, 1},
		{Client{kind: process, id: 7}, 20_000, 5_000},
		{Client{kind: process, id: 7}, 137, 72}, // for scripts
		{Client{kind: process, id: 7}, 16, 12},
		{Client{kind: process, id: 7}, 1, 1},
		{Client{kind: user, id: 7}, 20_000, 15_000},
		{Client{kind: user, id: 7}, 137, 102},
		{Client{kind: user, id: 7}, 1, 1},
	} {
		if got := test.client.Share(test.most); got != test.want {
			t.Errorf("%s of %d: %d, want %d", test.client, test.most, got, test.want)
		}
	}
	if fmt.Sprint(Client{kind: user}) == fmt.Sprint(Client{kind: process}) {
		t.Error("a user and a process have one name")
	}
}
