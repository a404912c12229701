package replica

import (
	"net/netip"
	"testing"
	"time"
)

// A director that ran before it got its first settings begins anew with these. As soon as anybody
// has put something into its mesh, the mesh is what counts.
func TestFirstSettings(t *testing.T) {
	unset := func(cfg *Config) { cfg.Backends = nil }
	other := netip.MustParseAddrPort("192.0.2.77:9090")
	for _, c := range []struct {
		name     string
		ops      []Operation
		damaged  bool
		backends int // of the four that are configured then
	}{
		{name: "nothing was done", backends: 4},
		{name: "a backend was added and removed",
			ops: []Operation{
				AddBackend{Addr: testBackend(7)}, RemoveBackend{Addr: testBackend(7)},
			}},
		{name: "a director was added", ops: []Operation{SetDirectorRemoved{Addr: other}}},
		{name: "something is lost", damaged: true},
	} {
		w := newWorld(t)
		d := &director{
			w: w, name: "d1", disk: &testDisk{},
			kicker: func(Kick) (int, bool, bool) { return 0, true, true },
		}
		w.directors = append(w.directors, d)
		d.boots(true, unset)
		w.until(c.name+": synced", time.Second, d.core.synced)
		for _, op := range c.ops {
			if _, err := d.do(op); err != nil {
				t.Fatalf("%s: %T: %v", c.name, op, err)
			}
		}
		w.run(3 * time.Second)
		mesh := d.core.table.Mesh()
		d.disk.damaged, d.disk.goOn = c.damaged, true
		d.boots(false)
		w.until(c.name+": synced again", 5*time.Second, d.core.synced)
		if got := len(d.core.table.Backends()); got != c.backends {
			t.Errorf("%s: %d backends, want %d", c.name, got, c.backends)
		}
		if again := d.core.table.Mesh(); (again == mesh) == (c.backends > 0) {
			t.Errorf("%s: the mesh was %s and is %s", c.name, mesh, again)
		}
		// What it has now it keeps.
		w.run(3 * time.Second)
		d.disk.damaged = false
		d.boots(false, unset)
		w.until(c.name+": synced at last", 5*time.Second, d.core.synced)
		if got := len(d.core.table.Backends()); got != c.backends {
			t.Errorf("%s: %d backends at last, want %d", c.name, got, c.backends)
		}
	}
}
