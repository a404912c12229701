package keyring

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/wire"
)

func sampleRing(t *testing.T) *Ring {
	t.Helper()
	r := New(mesh)
	if _, err := r.Add(secret(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Remove(idOf(2)); err != nil {
		t.Fatal(err)
	}
	r.Report(wire.KeyHolder{Name: "d1", Keys: []wire.HeldKey{{ID: idOf(1)}}, Uses: idOf(1)})
	return r
}

// What was saved is there, and nothing else: a bit that was turned anywhere, or an end that is
// missing, is damage, and never a panic or another keyring.
func TestFile(t *testing.T) {
	d := disk.New()
	if m, err := Load(d); m != nil || err != nil {
		t.Errorf("of an empty directory: %+v, %v", m, err)
	}
	want := sampleRing(t).Whole()
	if err := Save(d, want); err != nil {
		t.Fatal(err)
	}
	got, err := Load(d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loaded (-saved +loaded):\n%s", diff)
	}
	b, err := d.Read(FileName)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		flipped := append([]byte{}, b...)
		flipped[i] ^= 0x10
		if m, err := parse(flipped); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d flipped: %+v, %v", i, m, err)
		}
		if m, err := parse(b[:i]); !errors.Is(err, ErrDamaged) {
			t.Errorf("cut at byte %d: %+v, %v", i, m, err)
		}
	}
}

// What fails leaves the file of before.
func TestSaveFails(t *testing.T) {
	full := errors.New("no space left on device")
	for fails := 1; fails <= 4; fails++ {
		d := disk.New()
		before := sampleRing(t)
		if err := Save(d, before.Whole()); err != nil {
			t.Fatal(err)
		}
		ops := d.Ops()
		d.Before = func(op int, _, _ string) error {
			if op == ops+fails {
				return full
			}
			return nil
		}
		after := sampleRing(t)
		if _, err := after.Add(secret(3)); err != nil {
			t.Fatal(err)
		}
		if err := Save(d, after.Whole()); !errors.Is(err, full) {
			t.Errorf("operation %d fails: %v", fails, err)
		}
		got, err := Load(d)
		if err != nil {
			t.Fatalf("operation %d fails: %v", fails, err)
		}
		if diff := cmp.Diff(before.Whole(), got); fails < 4 && diff != "" {
			t.Errorf("operation %d fails (-before +loaded):\n%s", fails, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	d := disk.New()
	if err := Save(d, &wire.Keyring{Mesh: mesh}); err != nil {
		f.Fatal(err)
	}
	b, err := d.Read(FileName)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if (err == nil) != (m != nil) {
			t.Errorf("%+v, %v", m, err)
		}
		if m != nil {
			New(mesh).Merge(m)
		}
	})
}
