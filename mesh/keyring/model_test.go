package keyring

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"directormesh/mesh/wire"
)

// A modelDirector is a director as far as its keys go: what it has in memory, and on its disk.
type modelDirector struct {
	name string
	file [][]byte
	ring *Ring
	disk *wire.Keyring
	used [][]byte // in force; nothing while it is away
	away bool
	gone bool
}

// model is a mesh whose directors change keys by the checks of this package, while messages are
// lost, and directors restart.
type model struct {
	directors []*modelDirector
	secrets   byte
}

func newModel(n int) *model {
	m := &model{secrets: 1}
	for i := range n {
		d := &modelDirector{name: fmt.Sprint("d", i+1), file: [][]byte{secret(1)}}
		d.start()
		m.directors = append(m.directors, d)
	}
	for range 2 {
		m.spread()
	}
	return m
}

func (d *modelDirector) start() {
	d.ring = New(mesh)
	if d.disk != nil {
		d.ring.Merge(d.disk)
	}
	d.away = false
	d.settle()
}

// settle does what a director does after it heard something: puts it in force, keeps it, reports.
func (d *modelDirector) settle() {
	if usable := d.ring.Usable(d.file); len(usable) > 0 {
		d.used = usable
	}
	d.disk = d.ring.Whole()
	h := wire.KeyHolder{
		Name: d.name, Uses: ID(d.used[0]), Rotation: d.ring.Rotation().Begun,
	}
	for _, s := range d.used {
		h.Keys = append(h.Keys, wire.HeldKey{ID: ID(s)})
	}
	d.ring.Report(h)
	d.disk = d.ring.Whole()
}

func (m *model) names() (names []string) {
	for _, d := range m.directors {
		if !d.gone {
			names = append(names, d.name)
		}
	}
	return names
}

// tell has one director hear all that another has.
func (m *model) tell(from, to *modelDirector) {
	if !from.away && !to.away && !from.gone && !to.gone && share(from, to) {
		to.ring.Merge(from.ring.Whole())
		to.settle()
	}
}

func (m *model) spread() {
	for _, from := range m.directors {
		for _, to := range m.directors {
			if from != to {
				m.tell(from, to)
			}
		}
	}
}

// share reports whether two directors have a key in common with which one of them dials the other.
func share(a, b *modelDirector) bool {
	return slices.ContainsFunc(a.used, func(k []byte) bool { return containsSecret(b.used, k) })
}

func containsSecret(list [][]byte, secret []byte) bool {
	return slices.ContainsFunc(list, func(s []byte) bool { return ID(s) == ID(secret) })
}

// step does one thing that happens.
func (m *model) step(t *rapid.T) {
	d := m.directors[rapid.IntRange(0, len(m.directors)-1).Draw(t, "director")]
	other := m.directors[rapid.IntRange(0, len(m.directors)-1).Draw(t, "other")]
	what := rapid.SampledFrom([]string{
		"tell", "tell both", "advance", "add", "use", "remove", "rotate", "stop", "start", "settle",
	}).Draw(t, "what")
	if d.gone || d.away != (what == "start") {
		return
	}
	if d.away {
		d.start()
		return
	}
	known := d.ring.Known(m.names())
	switch what {
	case "tell":
		m.tell(other, d)
	case "tell both":
		m.tell(other, d)
		m.tell(d, other)
	case "advance":
		if d.ring.Rotating() {
			d.ring.Advance(d.name, known)
		}
	case "add":
		if !d.ring.Rotating() && m.secrets < 12 {
			m.secrets++
			_, _ = d.ring.Add(secret(m.secrets))
		}
	case "use":
		if !d.ring.Rotating() {
			d.ring.Rotate(d.name, wire.KeyID{}, d.key(t), false)
		}
	case "remove":
		if key := d.key(t); !d.ring.Rotating() && key != ID(d.used[0]) {
			d.ring.Rotate(d.name, key, ID(d.used[0]), false)
		}
	case "rotate":
		old := ID(d.used[0])
		if !d.ring.Rotating() && m.secrets < 12 {
			m.secrets++
			if _, err := d.ring.Add(secret(m.secrets)); err == nil {
				d.ring.Rotate(d.name, old, idOf(m.secrets), false)
			}
		}
	case "stop":
		d.away, d.ring = true, nil
	}
	if d.away {
		return
	}
	// It may stop before it keeps what it has just changed, or hear something before it goes on.
	if rapid.Bool().Draw(t, "settles") {
		d.settle()
	}
	if d.ring.Rotating() && rapid.Bool().Draw(t, "goes on") {
		d.ring.Advance(d.name, d.ring.Known(m.names()))
		d.settle()
	}
}

func (d *modelDirector) key(t *rapid.T) wire.KeyID {
	return ID(d.used[rapid.IntRange(0, len(d.used)-1).Draw(t, "key")])
}

// deaf lists pairs of directors of which one does not have the key that the other encrypts with.
func (m *model) deaf() (pairs []string) {
	for _, a := range m.directors {
		for _, b := range m.directors {
			if !containsSecret(b.used, a.used[0]) {
				pairs = append(pairs, b.name+" to "+a.name)
			}
		}
	}
	return pairs
}

// However keys change, at several directors at once and while others are away: each director has
// the keys that the others encrypt with. In the end all agree, and a rotation under way goes
// through.
func TestNobodyIsLockedOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(rapid.IntRange(2, 4).Draw(t, "directors"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			m.step(t)
			if pairs := m.deaf(); len(pairs) > 0 {
				t.Fatalf("deaf: %v", pairs)
			}
		}
		for _, d := range m.directors {
			if d.away {
				d.start()
			}
		}
		for range 6 {
			m.spread()
			for _, d := range m.directors {
				d.ring.Advance(d.name, d.ring.Known(m.names()))
				d.settle()
			}
		}
		first := m.directors[0]
		for _, d := range m.directors {
			if d.ring.Digest() != first.ring.Digest() || ID(d.used[0]) != ID(first.used[0]) ||
				d.ring.Rotating() {
				t.Errorf("%s and %s differ, or a rotation stands: %+v, %+v", first.name, d.name,
					first.ring.Whole(), d.ring.Whole())
			}
		}
		if pairs := m.deaf(); len(pairs) > 0 {
			t.Errorf("deaf in the end: %v", pairs)
		}
	})
}

// The model sees what goes wrong where nothing is checked.
func TestModelSeesDeaf(t *testing.T) {
	m := newModel(2)
	d1 := m.directors[0]
	if _, err := d1.ring.Add(secret(2)); err != nil {
		t.Fatal(err)
	}
	if d1.settle(); len(m.deaf()) > 0 {
		t.Errorf("a key was added: %v", m.deaf())
	}
	d1.ring.use("d1", idOf(2))
	if d1.settle(); len(m.deaf()) != 1 {
		t.Errorf("a key is used that only one has: %v", m.deaf())
	}
}

// Each step of a rotation waits for what it needs, and for nothing else.
func TestWaits(t *testing.T) {
	report := func(name string, rotation wire.Version, uses byte, has ...byte) wire.KeyHolder {
		h := wire.KeyHolder{Name: name, Uses: idOf(uses), Rotation: rotation}
		for _, i := range has {
			h.Keys = append(h.Keys, wire.HeldKey{ID: idOf(i)})
		}
		return h
	}
	r := New(mesh)
	if _, err := r.Add(secret(2)); err != nil {
		t.Fatal(err)
	}
	known := []string{"d1", "d2"}
	r.Rotate("d1", idOf(1), idOf(2), false)
	begun := r.Rotation().Begun
	full := report("d2", begun, 1, 1, 2)
	full.Problem = "full"
	for _, step := range []struct {
		hear wire.KeyHolder
		want []Lack
	}{
		{report("d1", begun, 1, 1, 2), []Lack{{"d2", "has not reported which keys it has"}}},
		{report("d2", begun, 1, 1), []Lack{{"d2", "does not have the new key"}}},
		{full, []Lack{{"d2", "cannot keep keys: full"}}},
		{report("d2", wire.Version{}, 1, 1, 2), []Lack{{"d2", "has not heard of the rotation"}}},
		{report("d2", begun, 1, 1, 2), []Lack{
			{"d1", "encrypts with another key"}, {"d2", "encrypts with another key"},
		}},
		{report("d2", begun, 2, 1, 2), []Lack{{"d1", "encrypts with another key"}}},
		{report("d1", begun, 2, 1, 2), nil},
	} {
		r.Report(step.hear)
		_, waits := r.Advance("d1", known)
		if diff := cmp.Diff(step.want, waits); diff != "" {
			t.Errorf("after %+v (-want +got):\n%s", step.hear, diff)
		}
		if uses := r.Primary() == idOf(2); uses != (step.hear.Uses == idOf(2) ||
			len(step.want) == 2) {
			t.Errorf("after %+v the new key is the primary: %v", step.hear, uses)
		}
		if r.Removed(idOf(1)) != (step.want == nil) || r.Rotating() == (step.want == nil) {
			t.Errorf("after %+v: %+v", step.hear, r.Whole())
		}
	}
}

// A rotation whose new key was given up ends, and changes nothing.
func TestGivenUp(t *testing.T) {
	r := New(mesh)
	r.Rotate("d1", idOf(1), idOf(2), false)
	if _, err := r.Remove(idOf(2)); err != nil {
		t.Fatal(err)
	}
	r.Advance("d1", []string{"d1"})
	if r.Rotating() || r.Primary() != (wire.KeyID{}) || r.Removed(idOf(1)) {
		t.Errorf("%+v", r.Whole())
	}
}

// One whose name has gone is not waited for, until it reports again.
func TestPart(t *testing.T) {
	r := New(mesh)
	r.Report(wire.KeyHolder{Name: "d2", Uses: idOf(1)})
	if change := r.Part("d1", "d2"); change == nil || r.Part("d1", "d2") != nil {
		t.Errorf("parted with d2: %+v, and again: %+v", change, r.Part("d1", "d2"))
	}
	if known := r.Known([]string{"d1"}); !slices.Equal(known, []string{"d1"}) {
		t.Errorf("known are %v", known)
	}
	r.Report(wire.KeyHolder{Name: "d2", Uses: idOf(1)})
	if known := r.Known([]string{"d1", "d2"}); !slices.Equal(known, []string{"d1", "d2"}) {
		t.Errorf("known are %v", known)
	}
}
