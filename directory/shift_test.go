package directory

import (
	"math"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"directormesh/ring"
)

func TestShift(t *testing.T) {
	const common, last, start, latest = Tick(1000), Tick(1300), Tick(1400), Tick(1500)
	tests := []struct {
		name            string
		activity, stamp Tick
		by              time.Duration
		wantActivity    Tick
		wantStamp       Tick
	}{
		{"of before the moment in common", 900, 800, time.Minute, 900, 800},
		{"of that moment", common, common, time.Minute, common, common},
		{"active since then, forward", 1200, 800, time.Minute, 1440, 800},
		{"made since then, forward", 1200, 1100, time.Minute, 1440, 1340},
		{"made since then, backward", 1200, 1100, -10 * time.Second, 1160, 1060},
		{"never to before that moment", 1200, 1100, -time.Hour, common, common},
		{"of the last moment of the old clock", last, last, time.Minute, last + 240, last + 240},
		{"of after it", last + 1, last + 1, time.Minute, last + 1, last + 1},
		{"of the latest that peers take", latest, latest, -time.Minute, latest, latest},
		{"of after that", latest + 40, latest + 1, -time.Minute, latest - 200, latest - 239},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := New(time.Hour)
			d.SetBackends([]BackendRow{presentRow(b1, "", 0)})
			m := Mapping{
				Hash: 7 << 16, Backend: b1, Activity: test.activity, Stamp: test.stamp,
				Generation: 1,
			}
			d.Merge("", []Mapping{m}, start.Time(), nil)
			var changed []Mapping
			d.Shift(common, last, latest, test.by, func(_ ring.Tag, m Mapping) {
				changed = append(changed, m)
			})
			before := m
			m.Activity, m.Stamp = test.wantActivity, test.wantStamp
			if m != before && !slices.Equal(changed, []Mapping{m}) ||
				m == before && changed != nil {
				t.Errorf("changed %+v", changed)
			}
			if got, _ := d.Find("", m.Hash, start.Time()); got != m {
				t.Errorf("got %+v, want %+v", got, m)
			}
		})
	}
}

// After a step the digests and sweeps of many rows are those of the new times.
func TestShiftKeepsDigestsAndSweepsRight(t *testing.T) {
	const step = -2 * time.Hour
	wrong, right := New(time.Minute), New(time.Minute)
	now := Time(1_795_445_000_000)
	for i, d := range []*Directory{wrong, right} {
		d.SetBackends([]BackendRow{presentRow(b1, "", 0)})
		at := now
		if i == 0 {
			at = now.Add(-step)
		}
		for n := range 4000 { // enough for summaries
			d.Assign("", ring.UserHash(n)<<12, b1, at)
		}
		for group := range 256 {
			d.SweepGroup("", uint8(group), at)
		}
	}
	wrong.Shift(0, math.MaxUint32, math.MaxUint32, step, func(ring.Tag, Mapping) {})
	later := Time((int64(now)/EpochLength.Milliseconds() + 2) * EpochLength.Milliseconds())
	for leaf := range 1 << 16 {
		a, b := wrong.DigestLeaf("", uint16(leaf), later), right.DigestLeaf("", uint16(leaf), later)
		if a != b {
			t.Fatalf("leaf %d: digest %x, want %x", leaf, a, b)
		}
	}
	end := now.Add(time.Minute + maxShare + deadKept + time.Second)
	removed := 0
	for range 2 { // the first buries
		for group := range 256 {
			removed += wrong.SweepGroup("", uint8(group), end)
		}
	}
	if removed != 4000 {
		t.Errorf("%d rows swept a minute after their end, want 4000", removed)
	}
}

// No stamp of a row is forgotten: each field of type Stamp is given a value of
// its own and must be moved, found, and looked at.
func TestStampsOfRowsAreAllKnown(t *testing.T) {
	backend, director := BackendRow{Addr: b1}, DirectorRow{Addr: netip.AddrPortFrom(b2, 9090)}
	var stamps []Stamp
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch {
		case v.Type() == reflect.TypeFor[Stamp]():
			stamps = append(stamps, Stamp(100+len(stamps)))
			v.Set(reflect.ValueOf(stamps[len(stamps)-1]))
		case v.Kind() == reflect.Struct && v.CanSet():
			for i := range v.NumField() {
				if f := v.Field(i); f.CanSet() {
					fill(f)
				}
			}
		case v.Kind() == reflect.String:
			v.SetString("d1")
		}
	}
	fill(reflect.ValueOf(&backend).Elem())
	fill(reflect.ValueOf(&director).Elem())
	if len(stamps) != 17 {
		t.Fatalf("rows have %d stamps, this test knew of 17: is the new one moved by Restamp?",
			len(stamps))
	}
	for i := range stamps {
		alone := func(s *Stamp) { // keeps the i-th stamp only
			if *s != stamps[i] {
				*s = 0
			}
		}
		b, d := backend, director
		for _, s := range []*Stamp{
			&b.Presence.Stamp, &b.VHosts.Stamp, &b.State.Stamp, &b.State.Value.Since, &b.Forgotten,
			&b.Drain.Stamp, &b.Drain.Value.Since, &b.Rebalance.Stamp, &b.Rebalance.Value.Since,
			&b.Verdict.Stamp, &b.Verdict.Value.Since,
			&b.Factor.Stamp, &b.Standby.Stamp, &b.Start.Stamp, &b.Start.Value.Since,
			&b.Listing.Stamp, &d.Removed.Stamp,
		} {
			alone(s)
		}
		c := Change{Mesh: mesh1, Backends: []BackendRow{b}, Directors: []DirectorRow{d}}
		if got := c.LastStamp(); got != stamps[i] {
			t.Errorf("stamp %d: last stamp is %d", stamps[i], got)
		}
		until, dropped := c.Until(stamps[i] - 1)
		if !dropped || len(until.Backends)+len(until.Directors) != 1 {
			t.Errorf("stamp %d: until the one before it %+v is left", stamps[i], until)
		}
		if _, dropped := c.Until(stamps[i]); dropped {
			t.Errorf("stamp %d: dropped although it is not later", stamps[i])
		}
		table := NewTable(mesh1, "d1", nil)
		table.Merge(c)
		later := func(s Stamp) Stamp { return s + 1000 }
		table.Restamp(later, later)
		if got := table.LastStamp(); got != stamps[i]+1000 {
			t.Errorf("stamp %d: moved to %d, want %d", stamps[i], got, stamps[i]+1000)
		}
	}
}

// Of a change only the rows are left out that hold something too late; one of the last stamp is
// not.
func TestUntilKeepsTheOtherRows(t *testing.T) {
	b := func(addr netip.Addr, stamp Stamp) BackendRow {
		return BackendRow{Addr: addr, Forgotten: stamp}
	}
	d := func(addr netip.Addr, stamp Stamp) DirectorRow {
		return DirectorRow{
			Addr: netip.AddrPortFrom(addr, 9090), Removed: Register[bool]{Stamp: stamp},
		}
	}
	c := Change{
		Mesh: mesh1, Backends: []BackendRow{b(b1, 5), b(b2, 6)},
		Directors: []DirectorRow{d(b1, 6), d(b2, 5)},
	}
	want := Change{
		Mesh: mesh1, Backends: []BackendRow{b(b1, 5)}, Directors: []DirectorRow{d(b2, 5)},
	}
	until, dropped := c.Until(5)
	if d := diff(want, until); d != "" || !dropped {
		t.Errorf("dropped: %v, left (-want +got):\n%s", dropped, d)
	}
}
