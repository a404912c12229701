package nodes

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/replica"
	"directormesh/mesh/store"
	"directormesh/ring"
)

// logins maps users at the directors in turn.
func logins(t *testing.T, m *Mesh, from, to int) map[ring.UserHash]netip.Addr {
	t.Helper()
	users := make(map[ring.UserHash]netip.Addr)
	live := m.Live()
	for i := from; i < to; i++ {
		h := ring.UserHash(i+1) * 0x00345671
		backend, err := live[i%len(live)].Lookup(t.Context(), "", h)
		if err != nil {
			t.Fatal(err)
		}
		users[h] = backend
	}
	return users
}

// sameUsers checks that each director has these users where they were.
func sameUsers(t *testing.T, m *Mesh, users map[ring.UserHash]netip.Addr) {
	t.Helper()
	for _, d := range m.Live() {
		for h, want := range users {
			row, status := d.Directory().Find("", h, d.MeshTime())
			if status != directory.Live || row.Backend != want {
				t.Errorf("%s has %v on %v (%v), was on %v", d.Name, h, row.Backend, status, want)
			}
		}
	}
}

// Whole directors lose power at one moment, just after a command was acknowledged, again and again.
// They find the table and the users on their disks.
func TestPowerFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Start(t, Options{Directors: 3, Seed: 1, Disks: true})
		m.WaitSynced(20 * time.Second)
		users := make(map[ring.UserHash]netip.Addr)
		for round := range 4 {
			for h, backend := range logins(t, m, 100*round, 100*(round+1)) {
				users[h] = backend
			}
			time.Sleep(2500 * time.Millisecond)
			backend := Backends(4)[round].Addr
			op := replica.UpdateBackend{Addr: backend, VHosts: 50 + round}
			outcome, err := m.Directors[round%3].Do(t.Context(), op)
			if err != nil || outcome.NotKept != nil {
				t.Fatal(outcome, err)
			}
			for i := range m.Directors {
				m.Kill(i)
			}
			time.Sleep(time.Duration(round) * time.Second)
			for i := range m.Directors {
				m.Restart(i)
			}
			m.WaitSynced(20 * time.Second)
			sameUsers(t, m, users)
			for _, d := range m.Live() {
				for i, b := range d.Backends() {
					if i <= round && b.Backend.VHosts != 50+i {
						t.Errorf("%s: round %d: backend %d has %d vhosts", d.Name, round, i,
							b.Backend.VHosts)
					}
				}
			}
		}
	})
}

// Only the processes are killed: not even what came in the last second is lost.
func TestRestartInGoodOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Start(t, Options{Directors: 2, Seed: 2, Disks: true})
		m.WaitSynced(20 * time.Second)
		time.Sleep(3 * time.Second)
		users := logins(t, m, 0, 200)
		time.Sleep(300 * time.Millisecond)
		for i := range m.Directors {
			m.Leave(i)
		}
		for i := range m.Directors {
			m.Restart(i)
		}
		m.WaitSynced(20 * time.Second)
		sameUsers(t, m, users)
	})
}

// A director that joins takes the mesh's users to its disk, and serves with them alone afterwards.
func TestJoinerKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Start(t, Options{Directors: 2, Seed: 3, Disks: true})
		m.WaitSynced(20 * time.Second)
		users := logins(t, m, 0, 300)
		m.Add()
		m.WaitSynced(20 * time.Second)
		time.Sleep(3 * time.Second)
		for i := range m.Directors {
			m.Kill(i)
		}
		m.Restart(2)
		m.WaitFor(20*time.Second, "synced alone", func(d *Director) bool {
			return d.Self().Synced
		})
		sameUsers(t, m, users)
	})
}

// start starts one director on a disk that nobody else uses.
func startOn(t *testing.T, d store.FS, change func(*mesh.Config)) (*mesh.Node, error) {
	t.Helper()
	m := Start(t, Options{Seed: 4})
	m.Directors = []*Director{{Name: "d1", Addr: netip.MustParseAddrPort("10.0.0.1:9090")}}
	cfg := m.Config(0)
	cfg.Data, cfg.Join = d, nil
	if change != nil {
		change(&cfg)
	}
	n, err := mesh.New(cfg)
	if err == nil {
		t.Cleanup(func() { _ = n.Close() })
	}
	return n, err
}

// What a start may not use, it refuses, and what is odd it survives.
func TestOddDisks(t *testing.T) {
	kept := disk.New()
	synctest.Test(t, func(t *testing.T) {
		n, err := startOn(t, kept, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			if _, err := n.Lookup(t.Context(), "", ring.UserHash(i)<<20); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(3 * time.Second)
		if _, err := startOn(t, kept, nil); !errors.Is(err, store.ErrLocked) {
			t.Errorf("a directory in use: %v", err)
		}
		if s := n.Data(); !s.On || s.Problem != nil || s.Bytes == 0 {
			t.Errorf("status %+v", s)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		_, err := startOn(t, kept, func(cfg *mesh.Config) { cfg.Mesh = "green" })
		if err == nil || !strings.Contains(err.Error(), `data-dir: it belongs to mesh "test"`) {
			t.Errorf("of another mesh: %v", err)
		}
	})
	names, _ := kept.Names()
	for _, name := range names {
		if !strings.HasPrefix(name, "snapshot-") {
			continue
		}
		b, _ := kept.Read(name)
		b[len(b)/2] ^= 1
		damaged := kept.Kill()
		damaged.Write(name, b)
		synctest.Test(t, func(t *testing.T) {
			if _, err := startOn(t, damaged, nil); !errors.Is(err, mesh.ErrDataDamaged) {
				t.Errorf("damaged: %v", err)
			}
			n, err := startOn(t, damaged, func(cfg *mesh.Config) { cfg.DataGoOn = true })
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			if !n.Self().Synced || len(n.Backends()) != 4 {
				t.Errorf("it went on with %+v", n.Backends())
			}
		})
	}
}

// A disk that cannot be written does not stop a director from serving.
func TestReadOnlyDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		d.Before = func(int, string, string) error { return errors.New("read-only file system") }
		n, err := startOn(t, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, err := n.Lookup(context.Background(), "", 7); err != nil {
			t.Error(err)
		}
		s := n.Data()
		if s.Problem == nil || !strings.Contains(s.Problem.Error(), "read-only file system") {
			t.Errorf("status %+v", s)
		}
	})
}
