package nodes

import (
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/replica"
	"directormesh/ring"
)

// TestStrayClock lets a director with a wrong wall clock serve alone, be commanded and answer
// users, and then meet a mesh of three. The mesh's time does not move, all agree within ten
// seconds, and what was commanded and answered is known to all. Meanwhile the stray steps and
// begins another life, under a boot id that memberlist has to spread.
func TestStrayClock(t *testing.T) {
	for name, off := range map[string]time.Duration{
		"ahead": 2 * time.Hour, "behind": -2 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := Start(t, Options{Directors: 4, Seed: 7, Faults: lan, Trace: testing.Verbose()})
				c.WaitSynced(20 * time.Second)
				c.Leave(3)
				time.Sleep(settle)
				stray := c.Directors[3]
				stray.WallOff = off
				c.Split([]int{0, 1, 2}, []int{3})
				c.Restart(3)
				time.Sleep(10 * time.Second)
				if self := stray.Self(); !self.Synced || !self.Alone {
					t.Fatalf("the stray does not serve alone: %+v", self)
				}
				const user = ring.UserHash(4711)
				if _, err := stray.Lookup(t.Context(), "", user); err != nil {
					t.Fatal(err)
				}
				update := replica.UpdateBackend{Addr: c.options.Backends[1].Addr, VHosts: 42}
				if _, err := stray.Do(t.Context(), update); err != nil {
					t.Fatal(err)
				}
				var boot uint64
				for _, p := range stray.Peers() {
					if p.Self {
						boot = p.Boot
					}
				}
				offset := meshOffset(c.Directors[0])

				c.Heal()
				// Contact comes with the next attempt to join, every ten seconds.
				c.WaitFor(15*time.Second, "in contact",
					func(d *Director) bool { return d.Name == stray.Name || reaches(d, 4) })
				mesh := c.Directors[0].Self().Mesh.ID
				t.Logf("one mesh %s after contact",
					c.WaitFor(10*time.Second, "of one mesh", func(d *Director) bool {
						self := d.Self()
						return self.Synced && self.Mesh.ID == mesh && reaches(d, 4)
					}))
				moved := (meshOffset(c.Directors[0]) - offset).Abs()
				if moved > 50*time.Millisecond {
					t.Errorf("the time of the mesh moved by %s", moved)
				}
				time.Sleep(2 * time.Second)
				for _, d := range c.Live() {
					apart := (meshOffset(d) - meshOffset(c.Directors[0])).Abs()
					if apart > time.Second {
						t.Errorf("%s is %s off the time of the mesh", d.Name, apart)
					}
					if _, ok := Mappings(d)[user]; !ok {
						t.Errorf("%s does not know the user of the stray", d.Name)
					}
					if got := d.Backends()[1].Backend.VHosts; got != 42 {
						t.Errorf("%s has %d vhosts, the stray was told 42", d.Name, got)
					}
					for _, p := range d.Peers() {
						if p.Name == stray.Name && p.Boot == boot {
							t.Errorf("%s knows the stray by the boot id of before it stepped",
								d.Name)
						}
					}
				}
			})
		})
	}
}

// meshOffset is how far a director's mesh time is ahead of true time.
func meshOffset(d *Director) time.Duration {
	return time.UnixMilli(int64(d.MeshTime())).Sub(firstDay) - time.Since(bubbleStart)
}

// bubbleStart is the time at which every bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
