package store_test

import (
	"testing"

	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// kept returns a directory with a snapshot of some rows, and more of them in two segments.
func kept(t testing.TB) *disk.Disk {
	t.Helper()
	d := disk.New()
	for range 2 {
		h := open(t, d, store.Config{})
		for range 5 {
			h.hold()
		}
		h.mark()
		waitKept(t, h)
		for range 3 {
			h.hold()
		}
		h.mark()
		waitKept(t, h)
		closeStore(t, h)
	}
	return d
}

// FuzzInspect: whatever the files hold, the directory can be looked at, read, and gone on with.
func FuzzInspect(f *testing.F) {
	d := kept(f)
	names, _ := d.Names()
	for _, name := range names {
		b, _ := d.Read(name)
		f.Add(name == "identity", false, byte(0), b)
	}
	var content []byte
	for kind := range byte(6) {
		f.Add(false, true, kind, content)
		f.Add(false, true, kind, []byte("director mesh: kept\n\x05\x00\x00\x00\x00\x00\x00\x00!"))
		f.Add(false, true, kind, append([]byte{1, 0, 0, 0, 1, 1}, make([]byte, 15)...))
	}
	f.Fuzz(func(t *testing.T, identity, record bool, kind byte, b []byte) {
		d := d.Kill()
		names, _ := d.Names()
		name, number := names[len(names)-2], uint64(2)
		switch {
		case identity:
			name = "identity"
		case record:
			whole, _ := d.Read(name)
			b = store.AppendRecord(whole, number, kind, b[:min(len(b), 1<<16)])
		}
		d.Write(name, b)
		found, err := store.Inspect(d)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := rowsIn(found)
		all := func(wire.Kind) bool { return true }
		if _, err := found.Each(all, func(wire.Message) {}); err != nil {
			t.Fatal(err)
		}
		s, _, err := store.Open(store.Config{FS: d, Identity: ours})
		if err != nil {
			return // of another mesh
		}
		h := &holder{store: s, have: n}
		s.Start(h.source, func(store.Status) {})
		h.hold()
		closeStore(t, h)
	})
}
