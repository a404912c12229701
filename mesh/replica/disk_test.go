package replica

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// All directors are killed at once, also several times. What commands changed and where users were
// is as before, the mesh is the same, and little is sent for that.
func TestAllKilled(t *testing.T) {
	w := onDisks(t, 3)
	mesh := w.directors[0].core.table.Mesh()
	users := w.logins(300)
	if _, err := w.directors[1].do(UpdateBackend{Addr: testBackend(1), VHosts: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.directors[2].do(SetDown{Addr: testBackend(2), Down: true}); err != nil {
		t.Fatal(err)
	}
	w.run(20 * time.Second)
	age := w.directors[0].core.meshRank(w.now).Age - 2000
	for range 3 {
		for h := range users {
			if len(users) > 200 {
				continue
			}
			w.directors[0].must(h)
		}
		w.run(2 * time.Second)
		sent := 0
		w.seen = func(_ *director, e Effect) {
			if s, ok := e.(Send); ok {
				if chunk, ok := s.Message.(*wire.SnapshotChunk); ok {
					for _, b := range chunk.Blocks {
						sent += b.Len()
					}
				}
			}
		}
		w.killAll(3 * time.Second)
		w.same(users)
		for _, d := range w.directors {
			row, _ := d.core.table.Row(testBackend(1))
			down, _ := d.core.table.Row(testBackend(2))
			if row.VHosts.Value != 7 || !down.State.Value.Down || d.core.table.Mesh() != mesh {
				t.Errorf("%s has %+v and %+v of mesh %v, was %v", d.name, row, down,
					d.core.table.Mesh(), mesh)
			}
			if r := d.core.meshRank(w.now); !r.Grown || r.Age < age {
				t.Errorf("%s ranks its mesh by %+v, was %d ms old", d.name, r, age)
			}
		}
		age = w.directors[0].core.meshRank(w.now).Age - 2000
		if sent > 0 {
			t.Errorf("%d rows sent in snapshots, although all were on the disks", sent)
		}
		w.seen = nil
	}
}

// A director that starts alone serves with what it has, whatever its configuration says.
func TestAloneFromDisk(t *testing.T) {
	w := onDisks(t, 2)
	users := w.logins(50)
	if _, err := w.directors[0].do(RemoveBackend{Addr: testBackend(4)}); err != nil {
		t.Fatal(err)
	}
	for h, backend := range users {
		if backend == testBackend(4) {
			delete(users, h)
		}
	}
	w.run(2 * time.Second)
	for _, d := range w.directors {
		d.stopped = true
	}
	d := w.directors[1]
	w.directors = w.directors[1:]
	for _, founder := range []bool{false, true} {
		began := w.now
		d.logs = nil
		d.boots(founder)
		w.until("synced", 4*time.Second, d.core.synced)
		if took := w.now.Sub(began); founder != (took < time.Second) {
			t.Errorf("founder %v: synced after %v", founder, took)
		}
		w.run(100 * time.Millisecond)
		w.same(users)
		if row, _ := d.core.table.Row(testBackend(4)); row.Presence.Value.Present {
			t.Error("the removed backend is back")
		}
		if !d.mentions("the table comes from the data directory") ||
			!d.mentions("differs from the configuration") {
			t.Errorf("founder %v: it said %v", founder, d.logs)
		}
	}
}

// A director that was away while others went on brings nothing back that was removed, forgotten,
// set or moved meanwhile, and is sent what is new, no more.
func TestAwayWithDisk(t *testing.T) {
	w := onDisks(t, 3)
	d3 := w.directors[2]
	users := w.logins(200)
	w.run(20 * time.Second)
	d3.crash()
	w.run(failAfter + time.Second)
	ops := []Operation{
		RemoveBackend{Addr: testBackend(4)}, Forget{Addr: testBackend(3)},
		UpdateBackend{Addr: testBackend(1), VHosts: 5}, SetDown{Addr: testBackend(2), Down: true},
		SetDown{Addr: testBackend(2), Down: false},
	}
	for _, op := range ops {
		if _, err := w.directors[0].do(op); err != nil {
			t.Fatal(err)
		}
	}
	var moved ring.UserHash
	for h, backend := range users {
		switch backend {
		case testBackend(3), testBackend(4):
			delete(users, h)
		case testBackend(2):
			moved = h
		}
	}
	if _, err := w.directors[1].do(Move{Hash: moved, Backend: testBackend(1)}); err != nil {
		t.Fatal(err)
	}
	users[moved] = testBackend(1)
	w.run(10 * time.Second)
	rows := 0
	w.seen = func(d *director, e Effect) {
		if s, ok := e.(Send); ok && d != d3 {
			if chunk, ok := s.Message.(*wire.SnapshotChunk); ok {
				for _, b := range chunk.Blocks {
					rows += b.Len()
				}
			}
		}
	}
	d3.boots(false)
	w.until("all synced", 10*time.Second, w.allSynced)
	w.same(users)
	for _, d := range w.directors {
		for tag, m := range d.dir.All(d.core.MeshTime(w.now)) {
			if users[m.Hash] != m.Backend {
				t.Errorf("%s has %q %v on %v, which was forgotten", d.name, tag, m.Hash, m.Backend)
			}
		}
		row, _ := d.core.table.Row(testBackend(1))
		gone, _ := d.core.table.Row(testBackend(4))
		up, _ := d.core.table.Row(testBackend(2))
		if row.VHosts.Value != 5 || gone.Presence.Value.Present || up.State.Value.Down {
			t.Errorf("%s: %+v, %+v, %+v", d.name, row, gone, up)
		}
	}
	if rows > 10 {
		t.Errorf("%d rows were sent, want the one that was moved", rows)
	}
}

// What the last one to go had alone, those that start before it learn when it is back: it answered
// and acknowledged that. They do so too if their own disk is so old that nothing on it lives.
func TestLastToGoComesBack(t *testing.T) {
	for _, slow := range []bool{false, true} {
		for _, away := range []time.Duration{10 * time.Second, 5 * testExpire} {
			lastToGoComesBack(t, slow, away)
		}
	}
}

func lastToGoComesBack(t *testing.T, slow bool, away time.Duration) {
	w := onDisks(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	users := w.logins(20)
	w.run(2 * time.Second)
	d1.crash()
	w.run(failAfter + away)
	if away > testExpire {
		clear(users)
	}
	for h := range users {
		d2.must(h) // which prolongs a mapping that d1 has
	}
	if _, err := d2.do(UpdateBackend{Addr: testBackend(3), VHosts: 33}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		h := ring.UserHash(i+1) * 0x00abcdef
		users[h] = d2.must(h)
	}
	w.run(20 * time.Second)
	d2.crash()
	w.run(time.Second)
	d1.boots(false)
	w.until("d1 serves alone", 5*time.Second, d1.core.synced)
	w.run(time.Second)
	d2.disk.slow = slow
	d2.boots(false)
	if slow {
		w.run(2 * time.Second)
		d2.disk.load(d2)
	}
	w.until("all synced", 10*time.Second, w.allSynced)
	w.same(users)
	for h := range users {
		m1, _ := d1.dir.Find("", h, d1.core.MeshTime(w.now))
		m2, _ := d2.dir.Find("", h, d2.core.MeshTime(w.now))
		if m1.Activity != m2.Activity {
			t.Errorf("%v: d1 has the activity %v, d2 has %v", h, m1.Activity, m2.Activity)
		}
	}
	if row, _ := d1.core.table.Row(testBackend(3)); row.VHosts.Value != 33 {
		t.Errorf("d1 has %+v", row)
	}
}

// Two come back at once to one that has gone on alone. One of them was the last to go, and had
// answered alone. The other one counts it before it has what that answered.
func TestTwoComeBack(t *testing.T) {
	for last := 1; last <= 2; last++ {
		w := onDisks(t, 3)
		all := slices.Clone(w.directors)
		w.logins(20)
		w.run(20 * time.Second)
		all[0].crash()
		w.run(failAfter + 20*time.Second)
		all[3-last].crash()
		w.run(failAfter + 20*time.Second)
		users := make(map[ring.UserHash]netip.Addr)
		for i := range 20 {
			h := ring.UserHash(i+1) * 0x00abcdef
			users[h] = all[last].must(h)
		}
		w.run(20 * time.Second)
		all[last].crash()
		w.run(time.Second)
		all[0].boots(false)
		w.until("d1 serves alone", 5*time.Second, all[0].core.synced)
		w.run(time.Second)
		all[1].boots(false)
		all[2].boots(false)
		w.until("all synced", 20*time.Second, w.allSynced)
		w.same(users)
	}
}

// A director answers on its side of a split, dies there, and starts again when the split is over.
// The others learn what it answered before they answer again themselves, also one that started
// meanwhile. Its disk was whole until the end, as far as it could know.
func TestDiedApartAndComesBack(t *testing.T) {
	for _, test := range []struct {
		directors int
		starts    bool // d1, behind the answers
	}{{2, false}, {3, false}, {2, true}, {3, true}} {
		w := onDisks(t, test.directors)
		d1, apart := w.directors[0], w.directors[test.directors-1]
		w.logins(20)
		w.run(20 * time.Second)
		w.split(w.directors[:test.directors-1], []*director{apart})
		w.run(failAfter + 2*time.Second)
		users := make(map[ring.UserHash]netip.Addr)
		for i := range 20 {
			h := ring.UserHash(i+1) * 0x00abcdef
			users[h] = apart.must(h)
		}
		w.run(10 * time.Second)
		if test.starts {
			d1.crash()
			w.run(time.Second)
			d1.boots(false)
			w.until("d1 is synced", 10*time.Second, d1.core.synced)
		}
		w.run(10 * time.Second)
		apart.crash()
		w.run(time.Second)
		w.heal()
		w.run(time.Second)
		apart.boots(false)
		w.until("all synced", 20*time.Second, w.allSynced)
		w.same(users)
	}
}

// A disk of a day ago adds nothing that has ended since.
func TestOldDisk(t *testing.T) {
	w := onDisks(t, 2)
	old := w.logins(20)
	w.run(2 * time.Second)
	day := w.directors[1].disk.copy()
	if _, err := w.directors[0].do(SetDown{Addr: testBackend(2), Down: true}); err != nil {
		t.Fatal(err)
	}
	w.run(3 * time.Minute)
	w.directors[1].crash()
	w.run(failAfter + time.Second)
	w.directors[1].disk = day
	w.directors[1].boots(false)
	w.until("all synced", 10*time.Second, w.allSynced)
	for _, d := range w.directors {
		for h := range old {
			if m, status := d.dir.Find("", h, d.core.MeshTime(w.now)); status == directory.Live {
				t.Errorf("%s has %+v", d.name, m)
			}
		}
		if row, _ := d.core.table.Row(testBackend(2)); !row.State.Value.Down {
			t.Errorf("%s: the backend is up again", d.name)
		}
	}
}

// All die between hold and release. The user's sessions end before the user gets the new backend,
// on all directors, and not by two of them.
func TestKilledDuringMove(t *testing.T) {
	w := onDisks(t, 3)
	w.logins(20)
	h := ring.UserHash(1) * 0x01234567
	was := w.directors[0].must(h)
	for _, d := range w.directors {
		d.kicker = func(Kick) (int, bool, bool) { return 0, false, false } // it hangs
	}
	w.directors[0].begin(Move{Hash: h, Backend: another(was)})
	w.run(2 * time.Second)
	for _, d := range w.directors {
		d.kicker = func(Kick) (int, bool, bool) { return 0, true, true }
		d.kicked = nil
	}
	w.killAll(time.Second)
	for _, d := range w.directors {
		if backend, ok := d.core.TryLookup(w.now, "", h); ok {
			t.Errorf("%s answers %v while the user is held", d.name, backend)
		}
	}
	kicked := w.now
	w.until("released", 15*time.Second, func() bool {
		if len(w.directors[2].kicked) == 0 {
			kicked = w.now
		}
		backend, ok := w.directors[2].core.TryLookup(w.now, "", h)
		return ok && backend == another(was)
	})
	if waited := w.now.Sub(kicked); waited < 2*time.Second {
		t.Errorf("released %v after the kick, want the kick delay", waited)
	}
	for _, d := range w.directors {
		if !slices.ContainsFunc(d.kicked, func(k Kick) bool {
			return k.Target.Hash == h && k.Target.Keep == another(was)
		}) {
			t.Errorf("%s did not end the user's sessions", d.name)
		}
	}
	w.run(time.Second)
	w.wantRest()
}

// A damaged disk is not gone on with alone, unless that is wanted. With a peer that has the state
// it does not matter.
func TestDamagedDisk(t *testing.T) {
	w := onDisks(t, 2)
	users := w.logins(40)
	w.run(2 * time.Second)
	d1, d2 := w.directors[0], w.directors[1]
	d1.crash()
	d2.crash()
	d2.disk.damaged = true
	rows := slices.IndexFunc(d2.disk.kept, func(m wire.Message) bool {
		return m.Kind() == wire.KindRows
	})
	d2.disk.kept = slices.Delete(d2.disk.kept, rows, rows+3)
	d2.boots(false)
	w.run(30 * time.Second)
	if s := d2.core.Self(w.now); s.Synced || !strings.Contains(s.Reason, "is damaged") {
		t.Errorf("alone: %+v", s)
	}
	d1.boots(false)
	w.until("both synced", 20*time.Second, w.allSynced)
	w.same(users)

	d1.crash()
	d2.crash()
	d2.disk.goOn = true
	d2.disk.loses(0x01234567)
	d2.boots(false)
	w.until("d2 synced alone", 5*time.Second, d2.core.synced)
	d1.boots(false)
	w.until("both synced again", 20*time.Second, w.allSynced)
	w.same(users)
}

// While a director loads, the others do not start without it; they wait ten seconds at most.
func TestLoading(t *testing.T) {
	for _, within := range []time.Duration{6 * time.Second, time.Minute} {
		w := onDisks(t, 3)
		users := w.logins(30)
		w.run(2 * time.Second)
		for _, d := range w.directors {
			d.stopped = true
		}
		slow := w.directors[1]
		slow.disk.slow = true
		for _, d := range w.directors {
			d.boots(false)
		}
		w.run(min(within, 9*time.Second))
		for _, d := range w.directors {
			if s := d.core.Self(w.now); s.Synced {
				t.Errorf("%s does not wait: %+v", d.name, s)
			}
		}
		if s := slow.core.Self(w.now); s.Reason != "loading the data directory" {
			t.Errorf("while it loads: %+v", s)
		}
		if within > 10*time.Second {
			w.until("the others are synced", 20*time.Second, func() bool {
				return w.directors[0].core.synced() && w.directors[2].core.synced()
			})
		}
		slow.disk.load(slow)
		w.until("all synced", 20*time.Second, w.allSynced)
		w.same(users)
	}
}

// A disk that cannot be read to its end is damaged.
func TestLoadFails(t *testing.T) {
	w := onDisks(t, 1)
	w.logins(10)
	w.run(2 * time.Second)
	d := w.directors[0]
	d.stopped, d.disk.slow = true, true
	d.boots(false)
	d.core.Loaded(w.now, errors.New("input/output error"))
	w.run(5 * time.Second)
	if s := d.core.Self(w.now); s.Synced || !strings.Contains(s.Reason, "is damaged") {
		t.Errorf("it goes on: %+v", s)
	}
}

// What is handed to a data directory is enough to start again from: whatever happens, what is kept
// makes the table and the directory of the moment of the last mark, at least.
func TestKeptIsAll(t *testing.T) {
	w := onDisks(t, 3)
	w.logins(100)
	for _, op := range []Operation{
		AddBackend{Addr: testBackend(7)}, UpdateBackend{Addr: testBackend(1), VHosts: 9},
		RemoveBackend{Addr: testBackend(2)}, Forget{Addr: testBackend(3)},
		Move{Hash: 0x01234567, Backend: testBackend(7)}, Flush{},
	} {
		if _, err := w.directors[1].do(op); err != nil {
			t.Fatalf("%T: %v", op, err)
		}
		w.run(500 * time.Millisecond)
	}
	w.run(30 * time.Second)
	w.breakStream(w.directors[0], w.directors[2])
	w.run(2 * time.Second)
	for _, d := range w.directors {
		again := New(Config{
			Name: d.name, Boot: 99, Mesh: "test", HashFormat: "%Lu", Expire: testExpire,
			Directory: directory.New(testExpire), Rand: d.core.rand, Wall: trueTime(w.now),
			Keeps: true, Disk: d.disk.found(),
		}, w.now)
		other := &director{w: w, name: d.name, core: again, dir: again.dir}
		d.disk.load(other)
		if !again.table.Covers(d.core.table.Snapshot()) {
			t.Errorf("%s: the table is %+v, want %+v", d.name, again.table.Snapshot(),
				d.core.table.Snapshot())
		}
		now := d.core.MeshTime(w.now)
		var want, got []directory.Mapping
		for _, m := range d.dir.All(now) {
			want = append(want, m)
		}
		for _, m := range again.dir.All(now) {
			got = append(got, m)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%s: %d rows, want %d", d.name, len(got), len(want))
		}
	}
}

// One that has founded from its disk, and joins another mesh, takes no more from those that come
// there than any other member.
func TestFounderThatJoinsAnotherMesh(t *testing.T) {
	w := started(t, 1)
	c := w.directors[0].core
	c.disk = &disk{since: 7, founded: true}
	if since := c.offeredSince(&peer{}); since != 7 {
		t.Fatalf("it takes what is newer than %d, the test shows nothing", since)
	}
	c.otherMesh()
	if since := c.offeredSince(&peer{}); since != math.MaxUint32 {
		t.Errorf("it takes what is newer than %d", since)
	}
}
