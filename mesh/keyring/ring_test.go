package keyring

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
)

func secret(i byte) wire.Secret { return bytes.Repeat([]byte{i}, wire.KeySize) }

func idOf(i byte) wire.KeyID { return ID(secret(i)) }

const mesh directory.MeshID = 7

// An id says nothing of the key, and two keys have two.
func TestID(t *testing.T) {
	seen := make(map[wire.KeyID]bool)
	for i := range byte(200) {
		id := idOf(i)
		if seen[id] || bytes.Contains(secret(i), id[:]) {
			t.Errorf("key %d: id %q", i, id)
		}
		seen[id] = true
	}
}

var (
	versions = rapid.Custom(func(t *rapid.T) wire.Version {
		return wire.Version{
			Count: rapid.Uint64Range(0, 3).Draw(t, "count"),
			By:    rapid.SampledFrom([]string{"d1", "d2"}).Draw(t, "by"),
		}
	})
	ids  = rapid.Map(rapid.ByteRange(1, 3), idOf)
	keys = rapid.Custom(func(t *rapid.T) wire.Key {
		i := rapid.ByteRange(1, 3).Draw(t, "key")
		k := wire.Key{ID: idOf(i), Removed: rapid.Bool().Draw(t, "removed")}
		if !k.Removed && rapid.Bool().Draw(t, "given") {
			k.Secret = secret(i)
		}
		return k
	})
	reports = rapid.Custom(func(t *rapid.T) wire.KeyHolder {
		h := wire.KeyHolder{
			Name:     rapid.SampledFrom([]string{"d1", "d2", "d3"}).Draw(t, "name"),
			Version:  versions.Draw(t, "version"),
			Gone:     rapid.Bool().Draw(t, "gone"),
			Uses:     ids.Draw(t, "uses"),
			Rotation: versions.Draw(t, "rotation"),
			Problem:  rapid.SampledFrom([]string{"", "full"}).Draw(t, "problem"),
		}
		for _, id := range rapid.SliceOfNDistinct(ids, 0, 2, rapid.ID).Draw(t, "held") {
			h.Keys = append(h.Keys, wire.HeldKey{
				ID: id, Packets: rapid.Uint64Range(0, 1).Draw(t, "packets"),
			})
		}
		return h
	})
	messages = rapid.Custom(func(t *rapid.T) *wire.Keyring {
		return &wire.Keyring{
			Keys: rapid.SliceOfN(keys, 0, 3).Draw(t, "keys"),
			Primary: wire.PrimaryKey{
				Version: versions.Draw(t, "version"), Key: ids.Draw(t, "primary"),
			},
			Rotation: wire.Rotation{
				Begun:   versions.Draw(t, "begun"),
				Version: versions.Draw(t, "version"), New: ids.Draw(t, "new"),
				Old: ids.Draw(t, "old"), FromFile: rapid.Bool().Draw(t, "from file"),
				Ended: rapid.Bool().Draw(t, "ended"),
			},
			Holders: rapid.SliceOfN(reports, 0, 3).Draw(t, "holders"),
		}
	})
)

func merged(all ...*wire.Keyring) *Ring {
	r := New(mesh)
	for _, m := range all {
		r.Merge(m)
	}
	return r
}

// Keyrings become the same in whatever order messages come, and however often; equal ones have one
// digest.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := messages.Draw(t, "a"), messages.Draw(t, "b"), messages.Draw(t, "c")
		want := merged(a, b, c)
		for name, r := range map[string]*Ring{
			"another order": merged(c, b, a), "twice": merged(a, b, a, c, c),
			"as wholes": merged(merged(b, c).Whole(), merged(a, b).Whole()),
		} {
			if diff := cmp.Diff(want.Whole(), r.Whole()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		// The digest is that of all but the secrets.
		got, other := want.Whole(), merged(a, b).Whole()
		if same := cmp.Equal(got, other, cmpopts.IgnoreFields(wire.Keyring{}, "Digest")); same !=
			(got.Digest == other.Digest) {
			t.Errorf("equal keyrings: %v; equal digests: %v", same, !same)
		}
	})
}

// What a merge reports as news is all that another director needs that had the same before, and
// nothing is news twice.
func TestNewsIsWhatChanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, m := messages.Draw(t, "before"), messages.Draw(t, "message")
		r, other := merged(before), merged(before)
		if news := r.Merge(m); news != nil {
			other.Merge(news)
		}
		if diff := cmp.Diff(r.Whole(), other.Whole()); diff != "" {
			t.Errorf("after the news (-want +got):\n%s", diff)
		}
		if news := r.Merge(m); news != nil {
			t.Errorf("news again: %+v", news)
		}
	})
}

// A key that was removed is removed for good, and its secret is forgotten.
func TestRemovedIsFinal(t *testing.T) {
	r := New(mesh)
	for _, m := range []*wire.Keyring{
		{Keys: []wire.Key{{ID: idOf(1), Secret: secret(1)}}},
		{Keys: []wire.Key{{ID: idOf(1), Removed: true}}},
		{Keys: []wire.Key{{ID: idOf(1), Secret: secret(1)}}},
	} {
		r.Merge(m)
	}
	if !r.Removed(idOf(1)) || len(r.Live()) > 0 || r.Whole().Keys[0].Secret != nil {
		t.Errorf("%+v", r.Whole())
	}
	if _, err := r.Add(secret(1)); err != ErrRemoved {
		t.Errorf("adding it again: %v", err)
	}
}

// A secret under an id that is not its own is nobody's key.
func TestForeignSecret(t *testing.T) {
	r := merged(&wire.Keyring{Keys: []wire.Key{
		{ID: idOf(1), Secret: secret(2)}, {Secret: secret(3)}, {},
	}})
	if keys := r.Whole().Keys; len(keys) > 0 {
		t.Errorf("%+v", keys)
	}
}

// Limits hold whatever peers send, and what this director adds itself is refused with an error.
func TestLimits(t *testing.T) {
	r := New(mesh)
	for i := range 2 * wire.MaxKeys {
		r.Merge(&wire.Keyring{
			Keys: []wire.Key{{ID: wire.KeyID{1, 1, byte(i >> 8), byte(i)}, Removed: true}},
			Holders: []wire.KeyHolder{{
				Name: string(rune('a'+i%26)) + string(rune(0x4e00+i)), Gone: i%2 > 0,
				Version: wire.Version{Count: uint64(i) + 1},
			}},
		})
	}
	whole := r.Whole()
	if len(whole.Keys) != wire.MaxKeys || len(whole.Holders) > 2*wire.MaxDirectors {
		t.Errorf("%d keys, %d holders", len(whole.Keys), len(whole.Holders))
	}
	if _, err := wire.Encode(whole); err != nil {
		t.Error(err)
	}
	if _, err := r.Add(secret(1)); err != ErrFull {
		t.Errorf("one more key: %v", err)
	}
	if _, err := r.Remove(idOf(1)); err != ErrFull {
		t.Errorf("one more removal: %v", err)
	}
	r = New(mesh)
	for i := range byte(wire.MaxHeldKeys) {
		if _, err := r.Add(secret(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Add(secret(200)); err != ErrTooManyKeys {
		t.Errorf("one more live key: %v", err)
	}
	if change, err := r.Add(secret(3)); err != nil || !Empty(change) {
		t.Errorf("one that is there: %+v, %v", change, err)
	}
}

// What can be used comes from the keyring and from the file; the keyring has the last word.
func TestUsable(t *testing.T) {
	for _, test := range []struct {
		name  string
		added []byte // with their secrets
		named []byte // without
		gone  []byte
		uses  byte
		file  []byte
		want  []byte
	}{
		{name: "only a file", file: []byte{1, 2}, want: []byte{1, 2}},
		{name: "added", added: []byte{3}, file: []byte{1}, want: []byte{1, 3}},
		{name: "chosen", added: []byte{3}, uses: 3, file: []byte{1}, want: []byte{3, 1}},
		{name: "chosen in the file", uses: 2, file: []byte{1, 2}, want: []byte{2, 1}},
		{name: "removed", gone: []byte{1}, added: []byte{3}, uses: 3, file: []byte{1, 2},
			want: []byte{3, 2}},
		{name: "an old file", gone: []byte{1}, added: []byte{3}, uses: 3, file: []byte{1},
			want: []byte{3}},
		{name: "from files", named: []byte{2}, uses: 2, file: []byte{1, 2}, want: []byte{2, 1}},
		{name: "not in this file", named: []byte{2}, uses: 2, file: []byte{1}, want: []byte{1}},
		{name: "nothing left", gone: []byte{1}, file: []byte{1}},
	} {
		r := New(mesh)
		for _, i := range test.added {
			if _, err := r.Add(secret(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range test.named {
			if _, err := r.AddFromFile(idOf(i)); err != nil {
				t.Fatal(err)
			}
		}
		for _, i := range test.gone {
			if _, err := r.Remove(idOf(i)); err != nil {
				t.Fatal(err)
			}
		}
		if test.uses != 0 {
			r.use("d1", idOf(test.uses))
		}
		var file [][]byte
		for _, i := range test.file {
			file = append(file, secret(i))
		}
		var got []byte
		for _, s := range r.Usable(file) {
			got = append(got, s[0])
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	r := New(mesh)
	var file [][]byte
	for i := range byte(20) {
		file = append(file, secret(i))
	}
	if got := len(r.Usable(file)); got != wire.MaxHeldKeys {
		t.Errorf("%d of 20 keys are usable", got)
	}
}
