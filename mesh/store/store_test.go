package store_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// open opens a directory, takes what is in it and starts.
func open(t testing.TB, d store.FS, cfg store.Config) *holder {
	t.Helper()
	cfg.FS, cfg.Identity = d, ours
	s, found, err := store.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n, err := rowsIn(found)
	if err != nil && len(found.Damaged) == 0 {
		t.Fatal(err)
	}
	h := &holder{store: s, have: n}
	s.Start(h.source, func(store.Status) {})
	return h
}

func closeStore(t testing.TB, h *holder) {
	t.Helper()
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// waitKept waits until all that is held is kept.
func waitKept(t testing.TB, h *holder) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); h.store.Status().Kept < h.have; {
		if time.Now().After(deadline) {
			t.Fatalf("not kept: %+v of %d", h.store.Status(), h.have)
		}
		time.Sleep(time.Millisecond)
	}
}

// inspect looks at a directory, and returns how many rows it has from 1 on.
func inspect(t *testing.T, d store.FS) (*store.Contents, uint64) {
	t.Helper()
	c, err := store.Inspect(d)
	if err != nil {
		t.Fatal(err)
	}
	n, err := rowsIn(c)
	if err != nil && len(c.Damaged) == 0 {
		t.Fatal(err)
	}
	return c, n
}

// What is put is found again, with the last mark and the identity, over several lives.
func TestRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		c, n := inspect(t, d)
		wrong := len(c.Damaged) + len(c.LeftOut) + len(c.Later)
		if n != 16 || c.Identity != ours || wrong > 0 || c.Torn {
			t.Errorf("found %d rows, %+v", n, c)
		}
		if c.Mark == nil || c.Mark.MeshTime != 16 {
			t.Errorf("last mark %+v", c.Mark)
		}
	})
}

// A directory that is in use is not opened, one of another mesh neither, and both are free after.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, store.Config{})
		if _, _, err := store.Open(store.Config{FS: d, Identity: ours}); err != store.ErrLocked {
			t.Errorf("opened twice: %v", err)
		}
		synctest.Wait()
		closeStore(t, h)
		other := store.Identity{Mesh: "green", Director: "d1"}
		_, _, err := store.Open(store.Config{FS: d, Identity: other})
		var foreign *store.IdentityError
		if !errors.As(err, &foreign) || foreign.Found != ours {
			t.Errorf("of another mesh: %v", err)
		}
		closeStore(t, open(t, d, store.Config{}))
	})
}

// A clone of another director's directory says whose it was, and is ours from then on.
func TestClone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		b, _ := d.Read("identity")
		d.Write("identity", bytes.Replace(b, []byte(`"d1"`), []byte(`"d7"`), 1))
		c, n := inspect(t, d)
		if n != 16 || c.Identity.Director != "d7" {
			t.Errorf("%d rows of %+v", n, c.Identity)
		}
		closeStore(t, open(t, d, store.Config{}))
		if c, _ := inspect(t, d); c.Identity != ours {
			t.Errorf("identity %+v", c.Identity)
		}
	})
}

// Cut at any byte behind the last mark a segment is torn, and the rest is used; cut before that, it
// is damaged only if a mark says so. What is found is a prefix in any case, also after going on.
func TestCutAtEachByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		names, _ := d.Names()
		last := names[slices.IndexFunc(names, isSnapshot)-1]
		whole, _ := d.Read(last)
		for cut := range whole {
			d := d.Kill()
			d.Write(last, whole[:cut])
			_, n := inspect(t, d)
			h := open(t, d, store.Config{})
			h.hold()
			h.mark()
			synctest.Wait()
			closeStore(t, h)
			if _, after := inspect(t, d); after != n+1 {
				t.Errorf("cut at %d of %d: %d rows, then %d", cut, len(whole), n, after)
			}
		}
	})
}

func isSnapshot(name string) bool { return strings.HasPrefix(name, "snapshot-") }

// A bit that flips before the last mark is damage, which is noticed wherever the bit is.
func TestFlippedBits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := kept(t)
		_, all := inspect(t, whole)
		names, _ := whole.Names()
		for _, name := range names {
			b, _ := whole.Read(name)
			for at := range b {
				if last := len(b) - 250; name == names[len(names)-2] && at >= last {
					break // what no mark vouches for is torn
				}
				d := whole.Kill()
				flipped := bytes.Clone(b)
				flipped[at] ^= 1 << (at % 8)
				d.Write(name, flipped)
				c, n := inspect(t, d)
				if name == "identity" {
					continue // it may be that of another mesh; see TestRefused
				}
				if len(c.Damaged) == 0 || n > all {
					t.Fatalf("bit of byte %d of %s flipped: %d of %d rows, damage %v",
						at, name, n, all, c.Damaged)
				}
			}
		}
	})
}

// A damaged file is renamed and stays. That something was lost is said until all that the director
// holds is in a snapshot again.
func TestDamageStaysUntilRepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		names, _ := d.Names()
		name := names[slices.IndexFunc(names, isSnapshot)]
		b, _ := d.Read(name)
		b[40] ^= 4
		d.Write(name, b)
		h := open(t, d, store.Config{})
		synctest.Wait()
		closeStore(t, h)
		if moved, err := d.Read("damaged-" + name); err != nil || !bytes.Equal(moved, b) {
			t.Errorf("the damaged file is not put away: %v", err)
		}
		if c, _ := inspect(t, d); len(c.Damaged) == 0 {
			t.Error("the damage is forgotten before there is a snapshot")
		}
		h = open(t, d, store.Config{})
		h.hold()
		h.mark()
		synctest.Wait()
		closeStore(t, h)
		c, n := inspect(t, d)
		if len(c.Damaged) > 0 || n != h.have {
			t.Errorf("after a snapshot: %d of %d rows, damage %v", n, h.have, c.Damaged)
		}
		if _, err := d.Read("damaged-" + name); err != nil {
			t.Error("the damaged file is gone")
		}
	})
}

// Files of a later format are put aside, whatever else is there, and nothing of them is used.
func TestLaterFormat(t *testing.T) {
	later := store.AppendRecord(nil, 9, 1, append([]byte{2, 0, 0, 0}, make([]byte, 30)...))
	for name, b := range map[string][]byte{
		"identity":            []byte(`{"format": 2, "mesh": "blue", "director": "d1", "more": 1}`),
		"segment-0000000009":  later,
		"snapshot-0000000009": later,
	} {
		synctest.Test(t, func(t *testing.T) {
			d := kept(t)
			d.Write(name, b)
			c, n := inspect(t, d)
			if n != 0 || !slices.Contains(c.Later, name) {
				t.Errorf("%s: %d rows, later %v", name, n, c.Later)
			}
			h := open(t, d, store.Config{})
			h.hold()
			h.mark()
			synctest.Wait()
			closeStore(t, h)
			if moved, err := d.Read("aside-" + name); err != nil || !bytes.Equal(moved, b) {
				t.Errorf("%s is not put aside: %v", name, err)
			}
			if c, n := inspect(t, d); n != 1 || len(c.Later)+len(c.Damaged) > 0 {
				t.Errorf("%s: afterwards %d rows, %+v", name, n, c)
			}
		})
	}
}

// Empty files are what a crash leaves of new ones, but of a snapshot that had its name.
func TestEmptyFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		_, all := inspect(t, d)
		d.Write("segment-0000000009", nil)
		if c, n := inspect(t, d); n != all || len(c.Damaged) > 0 {
			t.Errorf("an empty segment: %d of %d rows, damage %v", n, all, c.Damaged)
		}
		d.Write("snapshot-0000000009", nil)
		if c, n := inspect(t, d); n != all || len(c.Damaged) == 0 {
			t.Errorf("an empty snapshot: %d of %d rows, damage %v", n, all, c.Damaged)
		}
	})
}

// Messages of a later release are passed over.
func TestUnknownMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kept(t)
		_, all := inspect(t, d)
		names, _ := d.Names()
		last := names[slices.IndexFunc(names, isSnapshot)-1]
		b, _ := d.Read(last)
		number := uint64(last[len(last)-1] - '0')
		d.Write(last, store.AppendRecord(b, number, 2, []byte{99, 1, 0x90}))
		c, err := store.Inspect(d)
		if err != nil {
			t.Fatal(err)
		}
		messages := 0
		skipped, err := c.Each(func(wire.Kind) bool { return true },
			func(wire.Message) { messages++ })
		if skipped != 1 || err != nil || uint64(messages)+1 != c.Messages {
			t.Errorf("%d messages of %d, %d skipped, %v; %d rows", messages, c.Messages, skipped,
				err, all)
		}
	})
}

// A full disk and one that cannot be written keep nothing and say so; with room again all is kept.
func TestFull(t *testing.T) {
	for _, what := range []string{"write", "create", "sync", "rename"} {
		synctest.Test(t, func(t *testing.T) {
			d, broken := disk.New(), true
			d.Before = func(_ int, op, _ string) error {
				if broken && op == what {
					return disk.Part(3)
				}
				return nil
			}
			var last store.Status
			s, _, err := store.Open(store.Config{FS: d, Identity: ours})
			if err != nil {
				t.Fatal(err)
			}
			h := &holder{store: s}
			s.Start(h.source, func(now store.Status) { last = now })
			put := func(marks int) {
				for range marks {
					h.hold()
					h.mark()
					synctest.Wait()
				}
			}
			put(9)
			if last.Kept > 0 || last.Problem == nil ||
				!strings.Contains(last.Problem.Error(), "no space left") {
				t.Errorf("%s fails: %+v", what, last)
			}
			broken = false
			put(33)
			if last.Kept != h.have || last.Problem != nil {
				t.Errorf("%s works again: %+v of %d", what, last, h.have)
			}
			closeStore(t, h)
			if c, n := inspect(t, d.Kill()); n != h.have {
				t.Errorf("%s: %d of %d rows; %+v", what, n, h.have, c)
			}
		})
	}
}

// After a failed sync the file counts no more, even if later syncs are good.
func TestFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fails := disk.New(), false
		d.Before = func(_ int, op, name string) error {
			if fails && op == "sync" && strings.HasPrefix(name, "segment-") {
				fails = false
				return errors.New("input/output error")
			}
			return nil
		}
		h := open(t, d, store.Config{})
		h.hold()
		h.mark()
		synctest.Wait()
		fails = true
		h.hold()
		h.mark()
		synctest.Wait()
		h.hold()
		h.mark() // it lets one pass
		synctest.Wait()
		if s := h.store.Status(); s.Kept != 1 || s.Problem == nil {
			t.Errorf("after the failed sync: %+v", s)
		}
		h.mark()
		synctest.Wait()
		if s := h.store.Status(); s.Kept != 3 || s.Problem != nil || s.Gaps != 1 {
			t.Errorf("after the next snapshot: %+v", s)
		}
		closeStore(t, h)
	})
}

// A disk that does not keep up costs messages, never a wait; a snapshot makes up for them.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, turn := disk.New(), make(chan bool)
		slow := false
		d.Before = func(_ int, op, name string) error {
			if slow && op == "sync" {
				slow = false
				<-turn
			}
			return nil
		}
		h := open(t, d, store.Config{QueueBytes: 1000})
		h.hold()
		h.mark()
		synctest.Wait()
		slow = true
		h.hold()
		h.mark()
		synctest.Wait()
		for range 100 {
			h.hold()
		}
		h.mark()
		if s := h.store.Status(); s.Dropped == 0 || s.Kept != 1 {
			t.Errorf("while the disk syncs: %+v", s)
		}
		close(turn)
		synctest.Wait()
		if s := h.store.Status(); s.Kept != 2 || s.Problem == nil {
			t.Errorf("behind the gap: %+v", s)
		}
		for range 3 {
			h.mark()
			synctest.Wait()
		}
		if s := h.store.Status(); s.Kept != h.have || s.Problem != nil {
			t.Errorf("after the snapshot: %+v of %d", s, h.have)
		}
		closeStore(t, h)
		if _, n := inspect(t, d); n != h.have {
			t.Errorf("%d of %d rows", n, h.have)
		}
	})
}

// What was appended since a snapshot is bounded, and old files go.
func TestSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, store.Config{SnapshotBytes: 1000})
		for range 200 {
			h.hold()
			h.mark()
			synctest.Wait()
		}
		closeStore(t, h)
		names, _ := d.Names()
		if len(names) != 3 {
			t.Errorf("files %v", names)
		}
		c, n := inspect(t, d)
		if n != 200 || c.Bytes > 20_000 {
			t.Errorf("%d rows in %d bytes", n, c.Bytes)
		}
		if diff := cmp.Diff(names, []string{"identity", names[1], names[2]}); diff != "" {
			t.Error(diff)
		}
	})
}
