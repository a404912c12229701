package directory

import (
	"testing"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// A directory that was cleared is as one that never had a row: nothing is found, counted or
// digested, and rows that beaten ones would have kept out come in again.
func TestClear(t *testing.T) {
	const now = Tick(5000)
	rapid.Check(t, func(t *rapid.T) {
		backends := []BackendRow{presentRow(b1, "", 0), presentRow(b2, "blue", 0)}
		d, fresh := New(0), New(0)
		d.SetBackends(backends)
		fresh.SetBackends(backends)
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Mapping {
			return Mapping{
				Hash:    ring.UserHash(rapid.Uint32Max(1<<18).Draw(t, "hash")),
				Backend: b1, Activity: now - 1000, Stamp: now - 1000,
				Generation: uint16(rapid.IntRange(2, 4).Draw(t, "generation")),
			}
		}), 1, 600).Draw(t, "rows")
		d.Merge("", rows, now.Time(), nil)
		d.Merge("blue", rows[:1], now.Time(), nil)
		d.SweepGroup("", 0, now.Time())
		d.Clear()
		if n := d.Len(); n != 0 || d.Users(b1) != 0 {
			t.Fatalf("%d rows, %d of a backend", n, d.Users(b1))
		}
		again := rows[0]
		again.Generation = 1
		for _, x := range []*Directory{d, fresh} {
			x.Merge("", []Mapping{again}, now.Time(), nil)
			if m, status := x.Find("", again.Hash, now.Time()); m != again || status != Live {
				t.Fatalf("found %+v (%v), want %+v", m, status, again)
			}
		}
		end := (now + 100).Time()
		group := uint8(again.Hash >> 24)
		if d.DigestGroup("", group, end) != fresh.DigestGroup("", group, end) {
			t.Error("the digests differ from those of a directory that was never used")
		}
	})
}
