package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/history"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/record"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// sampleNotes are one note of each kind.
func sampleNotes() (all []wire.Note) {
	for _, m := range wiretest.Samples() {
		if n, ok := m.(wire.Note); ok {
			all = append(all, n)
		}
	}
	return all
}

// An answer is decoded to what was encoded. One that is too large has the newest notes.
func TestAnswer(t *testing.T) {
	found := wire.HistoryFound{Since: noon, Memory: true}
	b, err := history.Encode(found, sampleNotes(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, notes, err := history.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found, got, options); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(sampleNotes(), notes, options, cmp.Comparer(
		func(a, b wire.Block) bool { return a.Equal(b) })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	twice := append(append([]byte(nil), b...), b...)
	if _, _, err := history.Decode(twice); err == nil {
		t.Error("two answers are taken for one")
	}
	if _, _, err := history.Decode(nil); err == nil {
		t.Error("nothing is taken for an answer")
	}
	later := append(append([]byte(nil), b...), 2, 0, 0, 0, 127, 1) // of a later release
	if _, notes, err := history.Decode(later); err != nil || len(notes) != len(sampleNotes()) {
		t.Errorf("with an unknown kind: %d notes, %v", len(notes), err)
	}
	var many []wire.Note
	for i := range uint64(1000) {
		a := admin("update")
		a.N = i
		many = append(many, a)
	}
	if b, err = history.Encode(found, many, 20_000); err != nil || len(b) > 20_000 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	got, notes, err = history.Decode(b)
	if err != nil || !got.More || len(notes) < 100 || notes[len(notes)-1].Head().N != 999 {
		t.Errorf("%+v, %d notes, %v", got, len(notes), err)
	}
}

// FuzzAnswer: whatever a director answers is an error, or can be merged.
func FuzzAnswer(f *testing.F) {
	whole, err := history.Encode(wire.HistoryFound{Since: noon}, sampleNotes(), 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{2, 0, 0, 0, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		found, notes, err := history.Decode(b)
		if err != nil {
			return
		}
		answers := []history.Answer{{Director: "d1", Found: found, Notes: notes}}
		merged := history.Merge(answers)
		for _, e := range merged.Events {
			history.AskedFor(merged.Events, e)
		}
		merged.Stays(0x12345678, found.Rows, noon, 0)
		if _, err := history.Encode(found, notes, 1<<30); err != nil {
			t.Errorf("cannot be encoded again: %v", err)
		}
	})
}

// FuzzFiles: whatever the files hold, a history can be opened, asked and written on.
func FuzzFiles(f *testing.F) {
	var whole []byte
	appendRecord := func(b []byte, kind record.Kind, content []byte) []byte {
		b, err := record.Append(b, 1, int64(len(b)), kind,
			func(b []byte) ([]byte, error) { return append(b, content...), nil })
		if err != nil {
			panic(err)
		}
		return b
	}
	head := make([]byte, 12)
	head[0] = 1
	whole = appendRecord(nil, 1, head)
	for _, n := range sampleNotes() {
		b, err := wire.Encode(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(2), b)
		whole = appendRecord(whole, 2, b)
	}
	f.Add(byte(0), whole)
	f.Add(byte(0), whole[:len(whole)-3])
	f.Add(byte(1), head)
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		file := b
		if kind != 0 {
			file = appendRecord(whole, record.Kind(kind), b[:min(len(b), 1<<16)])
		}
		d := disk.New()
		for _, prefix := range []string{"changes", "users", "logins"} {
			d.Write(prefix+"-0000000001", file)
		}
		h, err := history.Open(history.Config{
			FS: d, Now: func() (mesh, wall directory.Time) { return noon, noon },
		})
		if err != nil {
			t.Fatal(err)
		}
		h.Start()
		h.Add(admin("fuzzed"))
		q := wire.HistoryQuery{User: true, Hash: 0x12345678, Since: 1}
		found, notes := h.Find(q)
		if _, err := history.Encode(found, notes, 1<<30); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
