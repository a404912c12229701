package directory

import (
	"sync"
	"testing"
	"time"

	"directormesh/ring"
)

// Lookups that take no lock find users who stay, whatever happens around them: neighbours come and
// die, leaves grow and shrink, and backends get the ids of others.
func TestPeeksWhileLeavesChange(t *testing.T) {
	d := newDirectory()
	const stable, neighbours = 64, 400
	hashOf := func(i int) ring.UserHash { return ring.UserHash(0x12340000 + i*0x10000/stable) }
	for i := range stable {
		if _, ok := d.Assign("", hashOf(i), b2, start); !ok {
			t.Fatalf("user %d is not assigned", i)
		}
	}
	end := d.Ends(Mapping{Activity: start.Tick()})
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for worker := range 2 {
		writers.Go(func() {
			for range 30 {
				for i := range neighbours {
					d.Supersede("", hashOf(0)+ring.UserHash(2*i+worker+1)*81, b1, false,
						start.Add(-time.Minute), 0)
				}
				for i := range stable {
					m, _ := d.Find("", hashOf(i), start)
					d.Touch("", m, start.Add(10*time.Minute))
				}
				d.SweepLeaf("", 0x1234, end.Add(30*time.Second))
			}
		})
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				h := hashOf(i % stable)
				m, status := d.Find("", h, start)
				if status != Live || m.Hash != h || m.Backend != b2 || m.Generation != 1 {
					t.Errorf("user %v: %+v, %v", h, m, status)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}
