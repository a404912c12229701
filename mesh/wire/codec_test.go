package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// options are how tests compare messages. A decoded list without elements is
// nil.
var options = cmp.Options{
	cmpopts.EquateEmpty(),
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}),
}

func encode(t testing.TB, m wire.Message) []byte {
	t.Helper()
	b, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// empty returns an empty message of m's kind.
func empty(m wire.Message) wire.Message {
	return reflect.New(reflect.TypeOf(m).Elem()).Interface().(wire.Message)
}

// TestSamples holds the samples to what they promise: each kind once, and
// nothing left zero that could hide a field which the codec forgets.
func TestSamples(t *testing.T) {
	mayBeZero := map[string]bool{"Failed": true} // of a LookupReply with a mapping
	want := wire.KindHello
	for _, m := range wiretest.Samples() {
		for want < m.Kind() && strings.HasPrefix(want.String(), "kind_") {
			want++ // a number that is not in use
		}
		if m.Kind() != want {
			t.Errorf("sample of kind %v where %v is due", m.Kind(), want)
		}
		want++
		v := reflect.ValueOf(m).Elem()
		for i := range v.NumField() {
			if f := v.Type().Field(i); v.Field(i).IsZero() && !mayBeZero[f.Name] {
				t.Errorf("sample of kind %v: field %s is zero", m.Kind(), f.Name)
			}
		}
	}
	if name := want.String(); !strings.HasPrefix(name, "kind_") {
		t.Errorf("no sample of kind %s", name)
	}
}

// TestRoundTrip fills every field of every kind, so a field that the codec
// does not carry is found as soon as it is added.
func TestRoundTrip(t *testing.T) {
	for _, sample := range wiretest.Samples() {
		t.Run(sample.Kind().String(), rapid.MakeCheck(func(t *rapid.T) {
			m := empty(sample)
			fill(t, m)
			b, err := wire.Encode(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, got, options); diff != "" {
				t.Fatalf("decoded message differs (-encoded +decoded):\n%s", diff)
			}
		}))
	}
}

func TestZeroValues(t *testing.T) {
	for _, sample := range wiretest.Samples() {
		m := empty(sample)
		if reply, ok := m.(*wire.LookupReply); ok {
			reply.Failed = true // else it needs a mapping
		}
		got, err := wire.Decode(encode(t, m))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(m, got, options); diff != "" {
			t.Errorf("%v (-encoded +decoded):\n%s", m.Kind(), diff)
		}
	}
}

func TestTruncated(t *testing.T) {
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		for n := range b {
			if _, err := wire.Decode(b[:n:n]); err == nil || errors.Is(err, wire.ErrUnknownKind) {
				t.Errorf("%v cut to %d of %d bytes: error %v, want one about what is missing",
					m.Kind(), n, len(b), err)
			}
		}
	}
}

// TestDecodedIsCopied checks that a message outlives the buffer it came in.
func TestDecodedIsCopied(t *testing.T) {
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		got, err := wire.Decode(b)
		if err != nil {
			t.Error(err)
			continue
		}
		for i := range b {
			b[i] ^= 0xff
		}
		if diff := cmp.Diff(m, got, options); diff != "" {
			t.Errorf("%v shares memory with its encoding (-before +after overwriting):\n%s",
				m.Kind(), diff)
		}
	}
}

func TestAppendEncode(t *testing.T) {
	const prefix = "kept"
	m := &wire.FlushCancel{ID: 5}
	got, err := wire.AppendEncode([]byte(prefix), m)
	if err != nil {
		t.Fatal(err)
	}
	if want := append([]byte(prefix), encode(t, m)...); !bytes.Equal(got, want) {
		t.Errorf("appended: %x, want %x", got, want)
	}
	got, err = wire.AppendEncode([]byte(prefix), &wire.KickUser{Field: strings.Repeat("x", 256)})
	if err == nil || string(got) != prefix {
		t.Errorf("with an error: %q, %v; want what was there before, and an error", got, err)
	}
}

func TestHeader(t *testing.T) {
	known := encode(t, &wire.FlushCancel{ID: 5})
	header := func(kind, version byte) []byte { return append([]byte{kind, version}, known[2:]...) }
	tests := []struct {
		name    string
		in      []byte
		unknown bool
		err     string // part of it; empty: none
	}{
		{name: "as encoded", in: known},
		{name: "later version", in: header(byte(wire.KindFlushCancel), 2)},
		{name: "last version", in: header(byte(wire.KindFlushCancel), 255)},
		{name: "version zero", in: header(byte(wire.KindFlushCancel), 0),
			err: "flush_cancel: version 0"},
		{name: "kind zero", in: header(0, 1), unknown: true, err: "kind_0"},
		{name: "later kind", in: header(127, 9), unknown: true, err: "kind_127"},
		{name: "later kind, no body", in: []byte{127, 1}, unknown: true, err: "kind_127"},
		{name: "later kind of a log", in: header(128, 9)},
		{name: "later kind of a log, no body", in: []byte{128, 1},
			err: "kind_128: message: truncated"},
		{name: "nothing", in: nil, err: "truncated"},
		{name: "kind only", in: known[:1], err: "truncated"},
		{name: "more follows", in: append(bytes.Clone(known), 0),
			err: "flush_cancel: end: 1 bytes follow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := wire.Decode(tt.in)
			if errors.Is(err, wire.ErrUnknownKind) != tt.unknown {
				t.Errorf("error %v, want unknown kind: %v", err, tt.unknown)
			}
			checkError(t, err, tt.err)
		})
	}
}

// checkError expects an error with the text want in it, or none if want is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 256)
	zoned := netip.MustParseAddr("fe80::1%eth0")
	backend := func(row directory.BackendRow) wire.Message {
		return &wire.Table{Change: directory.Change{Backends: []directory.BackendRow{row}}}
	}
	addr := netip.MustParseAddr("192.0.2.1")
	tests := []struct {
		m   wire.Message
		err string
	}{
		{&wire.Hello{Settings: wire.Settings{Mesh: long}},
			"hello: mesh name: is longer than 255 bytes"},
		{&wire.Hello{Settings: wire.Settings{Protocol: -1}}, "hello: protocol: -1"},
		{&wire.Hello{From: wire.Peer{Addr: netip.AddrPortFrom(zoned, 1)}},
			`director address: address "fe80::1%eth0" has a zone`},
		{&wire.KickUser{Value: strings.Repeat("x", 4097)}, "kick_user: value: 4097 bytes"},
		{&wire.FlushProgress{Backend: zoned}, "flush_progress: backend: address"},
		{backend(directory.BackendRow{}), "table: backend: address is missing"},
		{backend(directory.BackendRow{Addr: zoned}), "zone"},
		{backend(directory.BackendRow{
			Addr: addr, VHosts: directory.Register[int]{Value: 1001, Origin: "d1"},
		}), "vhost count: 1001"},
		{backend(directory.BackendRow{
			Addr: addr, VHosts: directory.Register[int]{Value: -1, Origin: "d1"},
		}), "vhost count: -1"},
		{backend(directory.BackendRow{
			Addr: addr, State: directory.Register[directory.State]{Origin: long},
		}), "name: is longer than 255 bytes"},
		{&wire.Hello{From: wire.Peer{Name: "d\x1b[2J"}},
			"hello: director name: has a space or a character"},
		{&wire.Hello{Settings: wire.Settings{HashFormat: "%u\t"}},
			"hello: user hash format: it has a character"},
		{backend(directory.BackendRow{Addr: addr, Presence: directory.Register[directory.Presence]{
			Value: directory.Presence{Name: "evil=nologin"}, Origin: "d1"}}), "table: host name"},
		{&wire.Admitted{Live: make([]wire.Peer, wire.MaxDirectors+1)},
			"live directors: too many: 1001"},
		{&wire.Delta{Change: directory.Change{Directors: []directory.DirectorRow{{}}}},
			"delta: director: address is missing"},
		{&wire.LookupReply{}, "lookup_reply: block: 0 rows, 1 are needed"},
		{&wire.LookupReply{Failed: true, Block: wire.Pack("", sortedRows(1))},
			"lookup_reply: block: 1 rows, 0 are needed"},
		{&wire.LeafRequest{Leaves: make([]uint16, wire.MaxMessage/2)}, "leaf_request: message of"},
		{&wire.SnapshotChunk{Covers: slices.Repeat([]wire.Position{
			{Name: strings.Repeat("x", 60)},
		}, wire.MaxChunk/64)},
			"snapshot_chunk: message of"},
		{&wire.LogPart{Entries: []wire.Message{&wire.Beat{}}},
			"log_part: entry: *wire.Beat is no message"},
		{&wire.PushPull{Digests: make([]wire.GroupDigests, wire.MaxPushPull/2048)},
			"push_pull: digests: too many"},
	}
	for _, tt := range tests {
		_, err := wire.Encode(tt.m)
		checkError(t, err, tt.err)
	}
}

func TestDecodeRefusesOversize(t *testing.T) {
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		b = append(b, make([]byte, wire.MaxPushPull+1-len(b))...)
		_, err := wire.Decode(b)
		checkError(t, err, m.Kind().String()+": message of 8388609 bytes, at most ")
	}
}

// TestWholeTableFits: the table with all the tombstones that are kept goes in one
// message, with registers that were all set at different times.
func TestWholeTableFits(t *testing.T) {
	var c directory.Change
	for i := range 10_000 {
		stamp := directory.Stamp(1_772_359_200_000+int64(i)) << 16
		origin := fmt.Sprintf("director-%d.example.org", i%50)
		c.Backends = append(c.Backends, directory.BackendRow{
			Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
			Presence: directory.Register[directory.Presence]{
				Value: directory.Presence{Tag: "green", Name: fmt.Sprintf("imap%d.example.org", i)},
				Stamp: stamp, Origin: origin,
			},
			VHosts:    directory.Register[int]{Value: 100, Stamp: stamp + 1, Origin: origin},
			State:     directory.Register[directory.State]{Stamp: stamp + 2, Origin: origin},
			Forgotten: stamp + 3,
		})
	}
	t.Logf("%d bytes", len(encode(t, &wire.Table{Change: c})))
}

// TestRemarksAreCut: a reason that is too long must not keep the message from
// being sent.
func TestRemarksAreCut(t *testing.T) {
	long := strings.Repeat("ä", 3000)
	got, err := wire.Decode(encode(t, &wire.Exclude{Reason: "x" + long}))
	if err != nil {
		t.Fatal(err)
	}
	want := "x" + long[:4094] // 4096 bytes would cut the last letter in two
	if diff := cmp.Diff(want, got.(*wire.Exclude).Reason); diff != "" {
		t.Errorf("reason (-want +got):\n%s", diff)
	}
}

func TestLogMessages(t *testing.T) {
	logged := map[wire.Kind]bool{wire.KindTable: true, wire.KindRows: true, wire.KindHold: true}
	for _, m := range wiretest.Samples() {
		if !logged[m.Kind()] {
			if seq, ok := wire.LogSeq(m); ok || seq != 0 {
				t.Errorf("LogSeq of %v: %d, %v; it is no log message", m.Kind(), seq, ok)
			}
			continue
		}
		wire.SetSeq(m, 99)
		if seq, ok := wire.LogSeq(m); !ok || seq != 99 {
			t.Errorf("LogSeq of %v: %d, %v; want 99, true", m.Kind(), seq, ok)
		}
	}
}

func TestSetSeqOfOtherMessages(t *testing.T) {
	defer func() {
		if got, want := recover(), "wire: a leaving message has no place in a log"; got != want {
			t.Errorf("panic with %v, want %q", got, want)
		}
	}()
	wire.SetSeq(&wire.Leaving{}, 1)
}
