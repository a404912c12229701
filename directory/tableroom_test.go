package directory

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"directormesh/ring"
)

// many is a change that adds that many backends, each with the tag that tag gives.
func many(count int, tag func(i int) ring.Tag) Change {
	c := Change{Mesh: mesh1}
	addr := netip.MustParseAddr("10.0.0.1")
	for i := range count {
		c.Backends = append(c.Backends, BackendRow{
			Addr: addr,
			Presence: Register[Presence]{
				Value: Presence{Present: true, Tag: tag(i)}, Stamp: 1, Origin: "d9",
			},
			VHosts: Register[int]{Value: 1, Stamp: 1, Origin: "d9"},
		})
		addr = addr.Next()
	}
	return c
}

func untagged(int) ring.Tag { return "" }

// TestTableHasNoRoom checks what commands are refused at the limits of a cluster.
func TestTableHasNoRoom(t *testing.T) {
	extra, hundred := netip.MustParseAddr("192.0.2.200"), 100
	full := NewTable(mesh1, "d1", nil)
	full.Merge(many(ring.MaxBackends, untagged))
	if _, err := full.Add(9, "d1", extra, "", "", nil); !errors.Is(err, ErrFull) {
		t.Errorf("one backend more than the most: %v", err)
	}
	if _, err := full.Add(9, "d1", netip.MustParseAddr("10.0.0.1"), "", "", &hundred); err != nil {
		t.Errorf("a backend that is there: %v", err)
	}
	c, err := full.Remove(9, "d1", netip.MustParseAddr("10.0.0.2"))
	apply(t, full, c, err)
	c, err = full.Add(10, "d1", extra, "", "", nil)
	apply(t, full, c, err)

	tagged := NewTable(mesh1, "d1", nil)
	tagged.Merge(many(ring.MaxTags, func(i int) ring.Tag { return ring.Tag(fmt.Sprint("t", i)) }))
	if _, err := tagged.Add(9, "d1", extra, "", "one-more", nil); !errors.Is(err, ErrFull) {
		t.Errorf("one tag more than the most: %v", err)
	}
	c, err = tagged.Add(9, "d1", extra, "", "t7", nil)
	apply(t, tagged, c, err)
	c, err = tagged.Remove(10, "d1", netip.MustParseAddr("10.0.0.1")) // the only one of t0
	apply(t, tagged, c, err)
	c, err = tagged.Add(11, "d1", netip.MustParseAddr("192.0.2.201"), "", "one-more", nil)
	apply(t, tagged, c, err)

	heavy := NewTable(mesh1, "d1", nil)
	rows := many(ring.MaxPoints/ring.MaxVHosts, untagged)
	for i := range rows.Backends {
		rows.Backends[i].VHosts.Value = ring.MaxVHosts
	}
	heavy.Merge(rows)
	first := rows.Backends[0].Addr
	if _, err := heavy.Add(9, "d1", extra, "", "", &hundred); !errors.Is(err, ErrVHosts) {
		t.Errorf("more vhosts than the most: %v", err)
	}
	c, err = heavy.Update(9, "d1", first, 900, nil)
	apply(t, heavy, c, err)
	c, err = heavy.Add(10, "d1", extra, "", "", &hundred)
	apply(t, heavy, c, err)
	if _, err := heavy.Update(11, "d1", first, 901, nil); !errors.Is(err, ErrVHosts) {
		t.Errorf("more vhosts than the most, by an update: %v", err)
	}
}

// TestTableTakesNoMore checks that no director makes the table of another one grow without end.
func TestTableTakesNoMore(t *testing.T) {
	for name, test := range map[string]struct {
		change  Change
		present int
		tags    int
	}{
		"backends": {many(maxPresent+100, untagged), maxPresent, 1},
		"tags": {
			many(maxTags+100, func(i int) ring.Tag { return ring.Tag(fmt.Sprint("t", i)) }),
			maxTags, maxTags,
		},
	} {
		table := NewTable(mesh1, "d1", nil)
		table.Merge(test.change)
		if n := len(table.Backends()); n != test.present || len(table.tags) != test.tags {
			t.Errorf("%s: %d with %d tags, want %d and %d",
				name, n, len(table.tags), test.present, test.tags)
		}
		if table.Refused() != 100 {
			t.Errorf("%s: %d rows refused, want 100", name, table.Refused())
		}
		if !table.Covers(test.change) {
			t.Errorf("%s: what is refused would be waited for", name)
		}
	}
	table := NewTable(mesh1, "d1", nil)
	c := Change{Mesh: mesh1}
	for i := range maxDirectors + 7 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 9090)
		c.Directors = append(c.Directors, DirectorRow{
			Addr: addr, Removed: Register[bool]{Value: true, Stamp: 1, Origin: "d9"},
		})
	}
	table.Merge(c)
	if len(table.directors) != maxDirectors || table.Refused() != 7 || !table.Covers(c) {
		t.Errorf("%d directors, %d refused", len(table.directors), table.Refused())
	}
}

// TestTagsOfRows checks that rows alone cannot make any number of directories.
func TestTagsOfRows(t *testing.T) {
	d := New(DefaultExpire)
	row := Mapping{Hash: 1, Activity: start.Tick(), Stamp: start.Tick(), Generation: 1}
	for i := range maxTags + 50 {
		dropped := d.Merge(ring.Tag(fmt.Sprint("t", i)), []Mapping{row}, start, nil)
		if want := i >= maxTags; (dropped > 0) != want {
			t.Fatalf("tag %d: %d rows dropped", i, dropped)
		}
	}
	if n := len(d.Tags()); n != maxTags {
		t.Errorf("%d tags, want %d", n, maxTags)
	}
}
