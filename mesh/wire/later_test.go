package wire

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// laterAck is a SnapshotAck of a release that has appended two fields. It is written and read as
// mesh/doc/protocol.md says.
type laterAck struct {
	SnapshotAck
	Taken  uint64
	Paused bool
}

func (m *laterAck) encode(w *writer) {
	fields := 2
	switch {
	case m.Paused:
		fields = 4
	case m.Taken != 0:
		fields = 3
	}
	w.array(fields)
	w.uint(m.ID)
	w.uint(uint64(m.Index))
	if fields > 2 {
		w.uint(m.Taken)
	}
	if fields > 3 {
		w.bool(m.Paused)
	}
}

func (m *laterAck) decode(r *reader) {
	extra := r.fields("message", 2)
	m.ID = r.uint64("id")
	m.Index = r.uint32("index")
	if extra > 0 {
		m.Taken = r.uint64("taken")
	}
	if extra > 1 {
		m.Paused = r.bool("paused")
	}
	r.end("message", extra-2)
}

// TestReleasesOneFieldApart: the earlier release reads what it knows, the later one takes what is
// missing as zero, and nothing is written for what is not used.
func TestReleasesOneFieldApart(t *testing.T) {
	ack := SnapshotAck{ID: 13, Index: 4}
	for name, sent := range map[string]laterAck{
		"none set": {SnapshotAck: ack},
		"first":    {SnapshotAck: ack, Taken: 70_000},
		"second":   {SnapshotAck: ack, Paused: true},
		"both":     {SnapshotAck: ack, Taken: 70_000, Paused: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWriter([]byte{byte(KindSnapshotAck), 2})
			sent.encode(w)
			b, err := w.close()
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Message(&ack), got); diff != "" {
				t.Errorf("the earlier release reads (-want +got):\n%s", diff)
			}
			earlier, err := Encode(got)
			if err != nil {
				t.Fatal(err)
			}
			same := bytes.Equal(b[headerSize:], earlier[headerSize:])
			if same != (sent == laterAck{SnapshotAck: ack}) {
				t.Errorf("the later release writes %x, the earlier one %x", b, earlier)
			}
			for written, want := range map[string]laterAck{
				string(b): sent, string(earlier): {SnapshotAck: ack},
			} {
				var read laterAck
				r := reader{in: []byte(written)[headerSize:]}
				read.decode(&r)
				if err := r.close(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, read); diff != "" {
					t.Errorf("the later release reads (-want +got):\n%s", diff)
				}
			}
		})
	}
}
