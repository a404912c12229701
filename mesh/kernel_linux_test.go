package mesh

import (
	"testing"

	"golang.org/x/sys/unix"
)

// What does not get through is as large as the packets that were sent several times, by the bytes
// that are under way; nothing, where the kernel has not tried often or nothing is under way.
func TestStuckSize(t *testing.T) {
	for _, test := range []struct {
		retransmits uint8
		unacked     uint32
		queued      int
		notSent     uint32
		want        int
	}{
		{3, 1, 1000, 0, 1000 + headers},
		{3, 1, 1000, 300, 700 + headers},
		{3, 4, 1000, 200, 200 + headers},
		{3, 1, 9000, 0, 1448 + headers}, // as far as a packet goes
		{3, 1, 1, 0, 1 + headers},
		{2, 1, 1000, 0, 0},
		{3, 0, 1000, 0, 0},
		{3, 1, 1000, 1000, 0},
		{3, 1, 300, 1000, 0},
	} {
		info := &unix.TCPInfo{Retransmits: test.retransmits, Unacked: test.unacked,
			Notsent_bytes: test.notSent, Snd_mss: 1448}
		if got := stuckSize(info, test.queued); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

// A clock that the kernel does not have is no time.
func TestClocksOfTheKernel(t *testing.T) {
	if at, ok := bootTime(); !ok || at <= 0 {
		t.Errorf("since the machine started: %v, %v", at, ok)
	}
	if at, ok := kernelTime(1000); ok || at != 0 {
		t.Errorf("an unknown clock: %v, %v", at, ok)
	}
}
