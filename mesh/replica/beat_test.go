package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
)

// TestSilenceShows checks that a peer that dies, or hangs, is shown as silent within a second, with
// since when, and heard again when it is back; and that nobody is silent meanwhile.
func TestSilenceShows(t *testing.T) {
	for name, ends := range map[string]func(d *director){
		"dies":  (*director).crash,
		"hangs": func(d *director) { d.stopped = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			d1, d2, d3 := w.start("d1"), w.start("d2"), w.start("d3")
			w.until("all synced", 20*time.Second, w.allSynced)
			silent := func(d *director) time.Time {
				for _, p := range d1.core.Peers(w.now) {
					if p.Name == d.name {
						return p.SilentSince
					}
				}
				return time.Time{}
			}
			for range 100 {
				w.run(25 * time.Millisecond)
				if !silent(d2).IsZero() || !silent(d3).IsZero() {
					t.Fatalf("silent although all is well: %v, %v", silent(d2), silent(d3))
				}
			}
			ends(d3)
			before := d1.core.MeshTime(w.now)
			w.run(time.Second)
			since := silent(d3)
			if since.IsZero() || directory.Time(since.UnixMilli()) > before ||
				before.Sub(directory.Time(since.UnixMilli())) > time.Second {
				t.Errorf("a second later silent since %v, want just before %v",
					since, time.UnixMilli(int64(before)))
			}
			w.run(time.Minute)
			if again := silent(d3); again != since {
				t.Errorf("a minute later silent since %v, want %v as before", again, since)
			}
			if !silent(d2).IsZero() {
				t.Error("the other one is silent too")
			}
			d3.boots(false)
			w.until("all synced again", 20*time.Second, w.allSynced)
			if !silent(d3).IsZero() {
				t.Errorf("silent since %v although it is back", silent(d3))
			}
		})
	}
}

// A beat that says what is known already is no news, if the peer counts as it says.
func TestIsNews(t *testing.T) {
	beat := wire.Beat{Synced: true, Counted: true, Seq: 0, Mesh: wire.MeshRank{ID: 7}}
	for _, test := range []struct {
		name   string
		change func(c *Core, p *peer, m *wire.Beat)
		want   bool
	}{
		{"nothing", func(*Core, *peer, *wire.Beat) {}, false},
		{"it had left", func(_ *Core, p *peer, _ *wire.Beat) { p.left = true }, true},
		{"it had failed", func(_ *Core, p *peer, _ *wire.Beat) { p.live = false }, true},
		{"we do not answer",
			func(c *Core, _ *peer, _ *wire.Beat) { c.admission.synced = false }, true},
		{"it does not answer", func(_ *Core, _ *peer, m *wire.Beat) { m.Synced = false }, true},
		{"it does not count us", func(_ *Core, _ *peer, m *wire.Beat) { m.Counted = false }, true},
		{"it has logged more", func(_ *Core, _ *peer, m *wire.Beat) { m.Seq = 1 }, true},
		{"another mesh", func(_ *Core, _ *peer, m *wire.Beat) { m.Mesh.ID = 8 }, true},
	} {
		m := beat
		c := crowd(1, func(_ int, p *peer) { p.synced = true })
		p := c.peers.get("d2")
		p.log = c.logs.Open(logs.ID{Name: "d2", Boot: 2})
		test.change(c, p, &m)
		if got := c.isNews(p, &m); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
