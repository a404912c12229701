package history_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var (
	backend1 = netip.MustParseAddr("192.0.2.1")
	backend2 = netip.MustParseAddr("192.0.2.2")
	backend3 = netip.MustParseAddr("2001:db8::3")
)

// offset is mesh time minus the clock of the bubble.
const offset = 250

// now is mesh time in a bubble.
func now() directory.Time { return directory.Time(time.Now().UnixMilli() + offset) }

func open(t *testing.T, d *disk.Disk, change func(*history.Config)) *history.History {
	t.Helper()
	cfg := history.Config{
		Now: func() (mesh, wall directory.Time) { return now(), now() - offset },
	}
	if d != nil {
		cfg.FS = d
	}
	if change != nil {
		change(&cfg)
	}
	h, err := history.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Start()
	return h
}

func closeHistory(t *testing.T, h *history.History) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

func admin(action string) *wire.AdminNote {
	return &wire.AdminNote{Director: "d1", Who: "uid 0 pid 7", Door: "director.sock",
		Action: action}
}

// actions are the actions of what is found, with lapses between.
func actions(notes []wire.Note) (all []string) {
	for _, n := range notes {
		switch n := n.(type) {
		case *wire.AdminNote:
			all = append(all, n.Action)
		case *wire.LapseNote:
			all = append(all, fmt.Sprintf("%s, %d lost", []string{
				"none", "begun", "stopped", "crashed", "lost",
			}[n.Why], n.Lost))
		default:
			all = append(all, fmt.Sprintf("%T", n))
		}
	}
	return all
}

func want(t *testing.T, h *history.History, q wire.HistoryQuery, wanted ...string) {
	t.Helper()
	found, notes := h.Find(q)
	if diff := cmp.Diff(wanted, actions(notes)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if found.Problem != "" {
		t.Errorf("problem: %s", found.Problem)
	}
}

// What is noted is found, within the span that is asked for and no more than is asked for. With a
// disk it is found again after a restart, and the time between is a lapse.
func TestFind(t *testing.T) {
	for _, onDisk := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var d *disk.Disk
			if onDisk {
				d = disk.New()
			}
			h := open(t, d, nil)
			began := now()
			for i := range 4 {
				time.Sleep(time.Second)
				h.Add(admin(fmt.Sprint(i)))
			}
			want(t, h, wire.HistoryQuery{}, "begun, 0 lost", "0", "1", "2", "3")
			want(t, h, wire.HistoryQuery{Since: began + 2000, Until: began + 3000}, "1", "2")
			want(t, h, wire.HistoryQuery{Limit: 2}, "2", "3")
			found, _ := h.Find(wire.HistoryQuery{Limit: 2})
			if diff := cmp.Diff(wire.HistoryFound{
				Since: began, More: true, Memory: !onDisk,
			}, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			closeHistory(t, h)
			if !onDisk {
				return
			}
			time.Sleep(time.Minute)
			h = open(t, d, nil)
			defer closeHistory(t, h)
			h.Add(admin("again"))
			want(t, h, wire.HistoryQuery{},
				"begun, 0 lost", "0", "1", "2", "3", "stopped, 0 lost", "again")
			_, notes := h.Find(wire.HistoryQuery{Limit: 2})
			lapse := notes[0].(*wire.LapseNote)
			if lapse.Since != began+4000 || lapse.At != began+64_000 || lapse.N != 7 {
				t.Errorf("%+v, begun at %d", lapse, began)
			}
		})
	}
}

// A user's notes are found by the hash, with the table and the admin changes, which explain them.
func TestFindUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, nil)
		h.Add(&wire.UserNote{Hash: 7, To: backend1, Generation: 1})
		h.Add(&wire.UserNote{Hash: 8, To: backend1, Generation: 1})
		rows := []directory.Mapping{
			{Hash: 6, Backend: backend1, Generation: 1},
			{Hash: 7, Backend: backend2, Generation: 1},
		}
		h.Add(&wire.LoginsNote{Director: "d1", Block: wire.Pack("ssd", rows)})
		h.Add(&wire.LoginsNote{Director: "d1", Block: wire.Pack("ssd", rows[:1])})
		h.Add(&wire.TableNote{Change: directory.Change{Mesh: 1}})
		h.Add(admin("move"))
		for range 2 {
			want(t, h, wire.HistoryQuery{User: true, Hash: 7, Since: 1}, "begun, 0 lost",
				"*wire.TableNote", "move", "*wire.UserNote", "*wire.LoginsNote")
			want(t, h, wire.HistoryQuery{}, "begun, 0 lost", "*wire.TableNote", "move")
			_, notes := h.Find(wire.HistoryQuery{User: true, Hash: 7})
			if user := notes[len(notes)-2].(*wire.UserNote); user.Hash != 7 {
				t.Errorf("user %+v", user)
			}
			login := notes[len(notes)-1].(*wire.LoginsNote)
			if diff := cmp.Diff(rows[1:], login.Block.Append(nil), cmp.Comparer(
				func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
			closeHistory(t, h)
			// Another director, with what the first one has kept.
			h = openQuietly(t, d)
		}
		closeHistory(t, h)
	})
}

// openQuietly opens a history that notes nothing of its own.
func openQuietly(t *testing.T, d *disk.Disk) *history.History {
	t.Helper()
	h, err := history.Open(history.Config{
		FS: d, Now: func() (mesh, wall directory.Time) { return now(), now() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// filesOf returns the files of a log.
func filesOf(d *disk.Disk, prefix string) (names []string) {
	all, _ := d.Names()
	for _, name := range all {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names
}

// Whatever is left of a file after a crash, what stands before its end is found, and the start says
// that something may be missing. What is noted then is not lost behind it.
func TestTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, nil)
		for i := range 3 {
			h.Add(admin(fmt.Sprint(i)))
		}
		time.Sleep(2 * time.Second)
		crashed := d.Kill()
		closeHistory(t, h)
		name := filesOf(crashed, "changes-")[0]
		whole, err := crashed.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		all := []string{"begun, 0 lost", "0", "1", "2"}
		most := 0
		for cut := range len(whole) + 1 {
			crashed := crashed.Kill()
			crashed.Write(name, whole[:cut])
			h := open(t, crashed, nil)
			h.Add(admin("after"))
			_, notes := h.Find(wire.HistoryQuery{})
			got := actions(notes)
			n := len(got) - 2
			if n < most || n > len(all) {
				t.Fatalf("cut at %d: %v", cut, got)
			}
			most = n
			begins := "crashed, 0 lost"
			if n == 0 {
				begins = "begun, 0 lost"
			}
			if diff := cmp.Diff(append(all[:n:n], begins, "after"), got); diff != "" {
				t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
			}
			closeHistory(t, h)
			h = openQuietly(t, crashed)
			want(t, h, wire.HistoryQuery{}, append(all[:n:n], begins, "after")...)
			closeHistory(t, h)
		}
		if most != len(all) {
			t.Errorf("of the whole file %d notes are found", most)
		}
	})
}

// A flipped bit costs what stands behind it in that file, and no more: the numbers say how much.
func TestFlippedBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, nil)
		for i := range 3 {
			h.Add(admin(fmt.Sprint(i)))
		}
		closeHistory(t, h)
		time.Sleep(time.Second)
		h = open(t, d, nil)
		h.Add(admin("second"))
		closeHistory(t, h)
		name := filesOf(d, "changes-")[0]
		whole, _ := d.Read(name)
		for at := range len(whole) {
			d := d.Kill()
			b := append([]byte(nil), whole...)
			b[at] ^= 1 << (at % 8)
			d.Write(name, b)
			h := openQuietly(t, d)
			_, notes := h.Find(wire.HistoryQuery{})
			got := actions(notes)
			if got[len(got)-1] != "second" {
				t.Fatalf("flipped at %d: %v", at, got)
			}
			lost := uint64(5) // what the first file has: begun, three changes, stopped
			for i, n := range notes[:len(notes)-2] {
				lapse, ok := n.(*wire.LapseNote)
				if ok && lapse.Why == wire.LapseLost {
					if lapse.Lost != lost || i != len(notes)-3 {
						t.Fatalf("flipped at %d: %v, %d are missing", at, got, lost)
					}
					continue
				}
				lost--
			}
			closeHistory(t, h)
		}
	})
}

// The oldest files go when there is too much; what is left is the newest, without a hole.
func TestRetentionBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		small := func(cfg *history.Config) { cfg.Bytes, cfg.Memory = history.MinBytes, 8*5000 }
		h := open(t, d, small)
		for i := range 4000 {
			h.Add(admin(fmt.Sprint(i)))
			h.Add(&wire.UserNote{Hash: ring.UserHash(i % 7), To: backend1, Generation: 1})
			time.Sleep(100 * time.Millisecond)
		}
		if s := h.Status(); s.Bytes > history.MinBytes || s.Bytes < history.MinBytes/4 ||
			s.Lost != 0 {
			t.Errorf("%d bytes, %d lost", s.Bytes, s.Lost)
		}
		for range 2 {
			found, notes := h.Find(wire.HistoryQuery{})
			first := notes[0].(*wire.AdminNote)
			if first.Action == "0" || found.Since > first.At || found.Since < first.At-1000 {
				t.Errorf("begins with %s of %d, known since %d", first.Action, first.At,
					found.Since)
			}
			n := 0
			for _, note := range notes {
				switch note := note.(type) {
				case *wire.AdminNote:
					n++
				case *wire.LapseNote:
					if note.Why == wire.LapseLost {
						t.Errorf("%d notes are missing", note.Lost)
					}
				}
			}
			if n < 500 {
				t.Errorf("%d notes are left", n)
			}
			closeHistory(t, h)
			time.Sleep(time.Second)
			h = open(t, d, small)
		}
		closeHistory(t, h)
	})
}

// What is too old is not found, and its files go in time.
func TestRetentionByAge(t *testing.T) {
	for _, onDisk := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var d *disk.Disk
			if onDisk {
				d = disk.New()
			}
			h := open(t, d, func(cfg *history.Config) { cfg.Age = history.MinAge })
			h.Add(admin("old"))
			h.Add(&wire.UserNote{Hash: 7, To: backend1, Generation: 1})
			time.Sleep(40 * time.Minute)
			h.Add(admin("young"))
			want(t, h, wire.HistoryQuery{}, "begun, 0 lost", "old", "young")
			if onDisk { // what the files before the start have ends when it did
				closeHistory(t, h)
				h = open(t, d, func(cfg *history.Config) { cfg.Age = history.MinAge })
				time.Sleep(time.Minute)
			}
			time.Sleep(21 * time.Minute)
			h.Add(admin("new"))
			want(t, h, wire.HistoryQuery{}, "young", "new")
			found, _ := h.Find(wire.HistoryQuery{})
			if found.Since < now()-directory.Time(history.MinAge.Milliseconds()) {
				t.Errorf("known since %d", found.Since)
			}
			time.Sleep(history.MinAge + time.Minute)
			if onDisk && len(filesOf(d, "users-")) > 0 {
				t.Errorf("left: %v", filesOf(d, ""))
			}
			if _, notes := h.Find(wire.HistoryQuery{User: true, Hash: 7}); len(notes) > 0 {
				t.Errorf("found %v", actions(notes))
			}
			closeHistory(t, h)
		})
	}
}

// While the disk is full, notes wait in memory, and are written when it has room. What finds no
// more room in memory is lost, and said to be.
func TestDiskFull(t *testing.T) {
	for _, small := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var full atomic.Bool
			d := disk.New()
			d.Before = func(_ int, what, name string) error {
				if full.Load() && what == "write" {
					return disk.Part(10)
				}
				return nil
			}
			var problems []error
			h := open(t, d, func(cfg *history.Config) {
				if small {
					cfg.Memory = 8 * 5000
				}
				cfg.Changed = func(err error) { problems = append(problems, err) }
			})
			h.Add(admin("before"))
			time.Sleep(3 * time.Second)
			full.Store(true)
			for i := range 20 {
				h.Add(admin(fmt.Sprint("full ", i)))
				time.Sleep(time.Second)
			}
			if s := h.Status(); s.Problem == nil || (s.Lost > 0) != small {
				t.Errorf("%+v", s)
			}
			full.Store(false)
			time.Sleep(time.Minute)
			h.Add(admin("after"))
			if s := h.Status(); s.Problem != nil {
				t.Errorf("%+v", s)
			}
			closeHistory(t, h)
			if len(problems) != 2 || problems[0] == nil || problems[1] != nil {
				t.Errorf("reported: %v", problems)
			}
			h = openQuietly(t, d)
			_, notes := h.Find(wire.HistoryQuery{})
			got := strings.Join(actions(notes), "; ")
			if !small && (!strings.Contains(got, "before; full 0; full 1;") ||
				!strings.HasSuffix(got, "full 19; after")) {
				t.Errorf("found %s", got)
			}
			if small && (!strings.Contains(got, "before; lost, ") ||
				!strings.HasSuffix(got, "full 18; full 19; after")) {
				t.Errorf("found %s", got)
			}
			closeHistory(t, h)
		})
	}
}

// After a failed sync all that was not on the disk before is written again.
func TestFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		d := disk.New()
		d.Before = func(_ int, what, name string) error {
			if fail.Load() && what == "sync" {
				return errors.New("input/output error")
			}
			return nil
		}
		h := open(t, d, nil)
		h.Add(admin("kept"))
		time.Sleep(3 * time.Second)
		fail.Store(true)
		h.Add(admin("not kept"))
		time.Sleep(3 * time.Second)
		fail.Store(false)
		h.Add(admin("later"))
		time.Sleep(time.Minute)
		if files := filesOf(d, "changes-"); len(files) < 2 {
			t.Errorf("written on in %v", files)
		}
		for seed := range uint64(20) {
			crashed := d.Crash(rand.New(rand.NewPCG(seed, 1)))
			_, notes := openQuietly(t, crashed).Find(wire.HistoryQuery{})
			if got := strings.Join(actions(notes), "; "); !strings.HasPrefix(got,
				"begun, 0 lost; kept; not kept; later") {
				t.Errorf("seed %d: found %s", seed, got)
			}
		}
		closeHistory(t, h)
	})
}

// A disk whose files cannot be read is not written to: what is there would be overwritten.
func TestUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, nil)
		h.Add(admin("kept"))
		closeHistory(t, h)
		h, err := history.Open(history.Config{
			FS:  nameless{d},
			Now: func() (mesh, wall directory.Time) { return now(), now() },
		})
		if err == nil {
			t.Error("no error")
		}
		h.Start()
		h.Add(admin("in memory"))
		want(t, h, wire.HistoryQuery{}, "begun, 0 lost", "in memory")
		if err := h.Close(); err == nil {
			t.Error("closed without an error")
		}
		want(t, openQuietly(t, d), wire.HistoryQuery{}, "begun, 0 lost", "kept")
	})
}

// nameless is a directory that cannot be listed.
type nameless struct{ store.FS }

func (nameless) Names() ([]string, error) { return nil, errors.New("permission denied") }
