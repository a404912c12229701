package history_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/record"
	"directormesh/mesh/wire"
)

// fileWith returns a file with a head of some format and size, and a note.
func fileWith(t *testing.T, number uint64, format byte, headSize int, n uint64) []byte {
	t.Helper()
	head := make([]byte, headSize)
	head[0] = format
	add := func(b []byte, kind record.Kind, content []byte) []byte {
		b, err := record.Append(b, number, int64(len(b)), kind,
			func(b []byte) ([]byte, error) { return append(b, content...), nil })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := admin(fmt.Sprint("of ", number))
	a.N, a.At = n, now()
	note, err := wire.Encode(a)
	if err != nil {
		t.Fatal(err)
	}
	return add(add(nil, 1, head), 2, note)
}

// Only files that a history made count, of this format or an earlier one. The rest is left alone,
// and no file is written over.
func TestOddFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		for _, name := range []string{
			"changes-7", "changes-00000000x1", "change-0000000001", "identity",
			"changes-0000000001.new", "segment-0000000001",
		} {
			d.Write(name, fileWith(t, 1, 1, 12, 99))
		}
		d.Write("changes-0000000000", fileWith(t, 0, 1, 12, 99))
		d.Write("changes-0000000003", fileWith(t, 3, 1, 12, 5))
		d.Write("changes-0000000005", fileWith(t, 5, 2, 12, 6)) // of a later release
		d.Write("changes-0000000006", fileWith(t, 6, 1, 11, 7)) // its head is too short
		d.Write("changes-0000000009", nil)
		before, _ := d.Names()
		time.Sleep(time.Second)
		h := open(t, d, nil)
		h.Add(admin("now"))
		closeHistory(t, h)
		after, _ := d.Names()
		if len(after) != len(before)+1 || !slices.Contains(after, "changes-0000000010") {
			t.Errorf("files %v", after)
		}
		h = openQuietly(t, d)
		found, notes := h.Find(wire.HistoryQuery{})
		got := strings.Join(actions(notes), "; ")
		if got != "of 3; crashed, 0 lost; now" {
			t.Errorf("found %s", got)
		}
		if !strings.Contains(found.Problem, "changes-0000000005: it is of a later release") ||
			strings.Contains(found.Problem, "0006") {
			t.Errorf("problem %q", found.Problem)
		}
	})
}

// Numbers that are missing in the middle of a file say how much is lost.
func TestMissingNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		b := fileWith(t, 3, 1, 12, 5)
		for _, n := range []uint64{6, 9, 10} {
			a := admin(fmt.Sprint(n))
			a.N, a.At = n, now()
			var err error
			b, err = record.Append(b, 3, int64(len(b)), 2,
				func(b []byte) ([]byte, error) { return wire.AppendEncode(b, a) })
			if err != nil {
				t.Fatal(err)
			}
		}
		d.Write("changes-0000000003", b)
		time.Sleep(time.Second)
		h := openQuietly(t, d)
		_, notes := h.Find(wire.HistoryQuery{})
		got := strings.Join(actions(notes), "; ")
		if got != "of 3; 6; lost, 2 lost; 9; 10" {
			t.Errorf("found %s", got)
		}
	})
}

// A director that notes nothing says now and then that it ran, so that a crash leaves a short time
// of which nothing is known; and its files are changed in time.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, func(cfg *history.Config) { cfg.Age = 32 * time.Hour })
		h.Add(admin("last"))
		time.Sleep(9*time.Hour + 10*time.Second) // between two pulses
		crashed := d.Kill()
		files := len(filesOf(d, "changes-"))
		closeHistory(t, h)
		if files != 5 && files != 6 { // one for two hours
			t.Errorf("%d files", files)
		}
		h = open(t, crashed, nil)
		_, notes := h.Find(wire.HistoryQuery{})
		lapse, ok := notes[len(notes)-1].(*wire.LapseNote)
		if !ok || lapse.Why != wire.LapseCrashed ||
			lapse.At.Sub(lapse.Since) > 35*time.Second || lapse.At.Sub(lapse.Since) <= 0 {
			t.Errorf("%+v", notes[len(notes)-1])
		}
		want(t, h, wire.HistoryQuery{}, "begun, 0 lost", "last", "crashed, 0 lost")
		closeHistory(t, h)
		// What is noted all the time needs no pulse.
		busy := disk.New()
		h = open(t, busy, nil)
		for i := range 600 {
			h.Add(admin(fmt.Sprint(i)))
			time.Sleep(5 * time.Second)
		}
		if _, notes := h.Find(wire.HistoryQuery{}); notes[len(notes)-1].Head().N != 601 {
			t.Errorf("%d notes", notes[len(notes)-1].Head().N)
		}
		closeHistory(t, h)
	})
}

// Since when something is known: the beginning, until notes are dropped.
func TestSince(t *testing.T) {
	for _, onDisk := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var d *disk.Disk
			if onDisk {
				d = disk.New()
			}
			h := open(t, d, func(cfg *history.Config) {
				cfg.Bytes, cfg.Memory = history.MinBytes, 8*40_000
			})
			began := now()
			time.Sleep(time.Hour)
			for i := range 20 {
				h.Add(admin(fmt.Sprint(i)))
				time.Sleep(time.Second)
			}
			for _, user := range []bool{true, false} {
				found, _ := h.Find(wire.HistoryQuery{User: user})
				if found.Since != began || found.More {
					t.Errorf("user %v: %+v, begun at %d", user, found, began)
				}
			}
			var dropped directory.Time
			for i := range 20_000 {
				if i == 5000 {
					dropped = now()
				}
				h.Add(&wire.UserNote{Hash: 7, To: backend1, Generation: 1, Stamp: now().Tick()})
				if i%10 == 0 {
					time.Sleep(100 * time.Millisecond)
				}
			}
			if found, _ := h.Find(wire.HistoryQuery{}); found.Since != began {
				t.Errorf("of changes: %+v, begun at %d", found, began)
			}
			found, notes := h.Find(wire.HistoryQuery{User: true, Hash: 8})
			if found.Since < dropped || found.Since >= now() || len(notes) != 21 {
				t.Errorf("of users: %+v, %d notes", found, len(notes))
			}
			closeHistory(t, h)
		})
	}
}

// What is asked for between two moments: lapses that lie across either end are part of it.
func TestFindLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil, nil)
		began := now()
		time.Sleep(time.Minute)
		h.Add(&wire.LapseNote{Since: now() - 20_000, Why: wire.LapseLost, Lost: 3})
		h.Add(&wire.LapseNote{Since: now(), Why: wire.LapseNone})
		for _, test := range []struct {
			since, until directory.Time // after the beginning
			want         int
		}{
			{1, 30_000, 0}, {1, 45_000, 1}, {50_000, 55_000, 1}, {50_000, 70_000, 1},
			{60_001, 70_000, 0},
		} {
			_, notes := h.Find(wire.HistoryQuery{
				Since: began + test.since, Until: began + test.until,
			})
			if len(notes) != test.want {
				t.Errorf("%d to %d: %v", test.since, test.until, actions(notes))
			}
		}
	})
}

// Of many notes that match, the newest are found, however many there are.
func TestFindNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		h := open(t, d, nil)
		for i := range 3000 {
			h.Add(admin(fmt.Sprint(i)))
			if i%500 == 0 {
				time.Sleep(3 * time.Second)
			}
		}
		for range 2 {
			for _, limit := range []uint32{1, 10, 700, 2999} {
				found, notes := h.Find(wire.HistoryQuery{Limit: limit})
				notes = slices.DeleteFunc(notes, func(n wire.Note) bool {
					return n.Kind() == wire.KindLapseNote
				})
				first := notes[0].(*wire.AdminNote).Action
				last := notes[len(notes)-1].(*wire.AdminNote).Action
				if !found.More || last != "2999" || first != fmt.Sprint(3000-int(limit)) &&
					first != fmt.Sprint(3001-int(limit)) {
					t.Errorf("limit %d: %s to %s, more: %v", limit, first, last, found.More)
				}
			}
			closeHistory(t, h)
			h = openQuietly(t, d)
		}
	})
}
