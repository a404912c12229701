package gctuner

import "testing"

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{
		0:         mostPercent,
		5 << 20:   mostPercent,
		24 << 20:  mostPercent,
		96 << 20:  25,
		192 << 20: 12,
		1 << 40:   leastPercent,
	} {
		if got := percentFor(live); got != want {
			t.Errorf("%d live bytes: %d percent, want %d", live, got, want)
		}
	}
}
