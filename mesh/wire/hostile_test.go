package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// element is one msgpack element of an encoded message.
type element struct {
	path     string // indices from the top, such as "1.0.2"
	code     byte
	from, to int // in the message, the header included
}

func (e element) isArray() bool {
	return msgpcode.IsFixedArray(e.code) || e.code == msgpcode.Array16
}
func (e element) isText() bool  { return msgpcode.IsString(e.code) }
func (e element) isBytes() bool { return msgpcode.IsBin(e.code) }

// elements lists all elements of an encoded message that is known to be good.
func elements(t *testing.T, b []byte) []element {
	t.Helper()
	src := bytes.NewReader(b[2:])
	dec := msgpack.NewDecoder(src)
	at := func() int { return len(b) - src.Len() }
	var list []element
	var walk func(path string) error
	walk = func(path string) error {
		code, err := dec.PeekCode()
		if err != nil {
			return err
		}
		e := element{path: path, code: code, from: at()}
		i := len(list)
		list = append(list, e)
		if !e.isArray() {
			err := dec.Skip()
			list[i].to = at()
			return err
		}
		n, err := dec.DecodeArrayLen()
		if err != nil {
			return err
		}
		list[i].to = at() // an array's head alone
		for k := range n {
			inner := fmt.Sprint(k)
			if path != "" {
				inner = path + "." + inner
			}
			if err := walk(inner); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(""); err != nil {
		t.Fatal(err)
	}
	if _, err := src.ReadByte(); err != io.EOF {
		t.Fatalf("message is not one element: %v", err)
	}
	return list
}

// splice returns b with the bytes from..to replaced.
func splice(b []byte, from, to int, with ...byte) []byte {
	return slices.Concat(b[:from], with, b[to:])
}

// TestLyingLengths puts a head with a false length in the place of each element
// of each kind, and in the end a body that makes the length look true.
func TestLyingLengths(t *testing.T) {
	const many = 8_000
	head := func(code byte, n uint32) []byte {
		return binary.BigEndian.AppendUint32([]byte{code}, n)
	}
	lies := map[string][]byte{
		"array, 4 G elements":       head(msgpcode.Array32, 1<<32-1),
		"array, 2 G elements":       head(msgpcode.Array32, 1<<31-1),
		"array, a million elements": head(msgpcode.Array32, 1_000_000),
		"binary, 4 G bytes":         head(msgpcode.Bin32, 1<<32-1),
		"binary, a million bytes":   head(msgpcode.Bin32, 1_000_000),
		"text, 4 G bytes":           head(msgpcode.Str32, 1<<32-1),
		"text, a million bytes":     head(msgpcode.Str32, 1_000_000),
		"map, 4 G elements":         head(msgpcode.Map32, 1<<32-1),
		"extension, 4 G bytes":      append(head(msgpcode.Ext32, 1<<32-1), 1),
		"array of many numbers": slices.Concat(head(msgpcode.Array32, many),
			make([]byte, many)),
		"array of many nils": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat([]byte{msgpcode.Nil}, many)),
		"array of many empty arrays": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat([]byte{0x90}, many)),
		"array of many empty texts": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat([]byte{0xa0}, many)),
		"array of many short texts": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat([]byte("\xa1x"), many)),
		"array of many empty strings": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat([]byte{0xc4, 0}, many)),
		"array of many blocks": slices.Concat(head(msgpcode.Array32, many),
			bytes.Repeat(emptyBlock, many)),
		"many arrays within another": bytes.Repeat([]byte{0x91}, many),
	}
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		for _, e := range elements(t, b) {
			for name, lie := range lies {
				checkBounded(t, fmt.Sprintf("%v, element %q: %s", m.Kind(), e.path, name),
					splice(b, e.from, e.to, lie...))
			}
		}
	}
}

// emptyBlock is a block without rows as it travels.
var emptyBlock = []byte{
	0x99, 0xa0, 0, 0xc2, 0x90,
	0x93, 0, 0, 0xc4, 0, 0x93, 0, 0, 0xc4, 0, 0x93, 0, 0, 0xc4, 0, 0x93, 0, 0, 0xc4, 0, 0x93, 0,
	0, 0xc4, 0,
}

// checkBounded fails if decoding b allocates more than a small multiple of b.
// What is wrong with b need not lie where the test put it, so an error is not
// demanded: an array of nils may well be a field of a later release.
func checkBounded(t *testing.T, name string, b []byte) {
	t.Helper()
	most := uint64(24*len(b) + 8<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := wire.Decode(b)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > most {
		t.Errorf("%s: decoding %d bytes allocated %d, at most %d are in order (result %T, %v)",
			name, len(b), used, most, m, err)
	}
}

// lists are the arrays that hold any number of elements of one sort. All
// others stand for structs, to which a later release may append fields.
var lists = map[wire.Kind][]string{
	wire.KindRefuse:          changeLists("4"),
	wire.KindTable:           changeLists("1"),
	wire.KindRows:            blockLists("2"),
	wire.KindHold:            blockLists("2"),
	wire.KindHeld:            blockLists("1"),
	wire.KindKicked:          {"1"},
	wire.KindAdmitted:        slices.Concat(changeLists("3"), blockLists("4"), []string{"5", "6"}),
	wire.KindWaiting:         {"0"},
	wire.KindSnapshotRequest: {"2.4", "3"},
	wire.KindSnapshotChunk: slices.Concat(
		positionLists("5"), blockLists("6"), []string{"7", "8"},
	),
	wire.KindLookupReply:   {"2.3"},
	wire.KindLeafRows:      blockLists("0"),
	wire.KindDelta:         slices.Concat(changeLists("3"), blockLists("4")),
	wire.KindPushPull:      slices.Concat(changeLists("1"), []string{"3"}),
	wire.KindGonePositions: positionLists("0"),
	wire.KindLogRequest:    {"0.3"},
	wire.KindLogPart: slices.Concat([]string{"4"},
		changeLists("4.0.1.1"), blockLists("4.1.1.2"), blockLists("4.2.1.2")),
	wire.KindCounting: {"1", "2"},
	wire.KindMeeting:  changeLists("0"),
	wire.KindKeyring:  {"3", "6", "6.0.3", "6.1.3"},
	wire.KindMark:     slices.Concat([]string{"4", "6", "8"}, positionLists("7")),

	wire.KindObservations: {"1"},
	wire.KindLoads:        {"3"},
	wire.KindNames:        {"1", "1.0.6", "1.1.6"},
	wire.KindHistoryFound: blockLists("4"),
	wire.KindAdminNote:    {"8", "11", "12"},
	wire.KindLoginsNote:   {"4.3"},
	wire.KindTableNote:    changeLists("3"),
}

// positionLists are the list of positions and the islands of each, two positions in the samples.
func positionLists(at string) []string { return []string{at, at + ".0.3", at + ".1.3"} }

func changeLists(at string) []string { return []string{at + ".1", at + ".2", at + ".3", at + ".5"} }

// blockLists are the list of blocks and the backends of each, three blocks in the samples.
func blockLists(at string) []string { return []string{at, at + ".0.3", at + ".1.3", at + ".2.3"} }

// TestAppendedFields appends fields of every sort to every struct: to read them
// over is what lets a mesh be upgraded director by director.
func TestAppendedFields(t *testing.T) {
	appended := [][]byte{
		{msgpcode.Nil},
		{msgpcode.True},
		{5},
		{0xff},
		append([]byte{msgpcode.Double}, make([]byte, 8)...),
		{0xa2, 'h', 'i'},
		{msgpcode.Bin8, 2, 0, 0},
		{msgpcode.FixExt4, 1, 0, 0, 0, 0},
		{0x92, 0x91, 0x90, 0x80},
		{0x82, 1, 0xa1, 'x', 2, 0x81, 3, msgpcode.Nil},
	}
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		all := elements(t, b)
		for i, e := range all {
			if !e.isArray() || slices.Contains(lists[m.Kind()], e.path) {
				continue
			}
			end := arrayEnd(all, i)
			length := int(e.code & msgpcode.FixedArrayMask)
			for _, field := range appended {
				longer := splice(b, end, end, field...)
				if length < int(msgpcode.FixedArrayMask) {
					longer[e.from] = msgpcode.FixedArrayLow | byte(length+1)
				} else {
					longer = splice(longer, e.from, e.from+1, msgpcode.Array16, 0, byte(length+1))
				}
				got, err := wire.Decode(longer)
				if err != nil {
					t.Errorf("%v with a field % x appended to %q: %v", m.Kind(), field, e.path, err)
				} else if diff := cmp.Diff(m, got, options); diff != "" {
					t.Errorf("%v with a field % x appended to %q (-want +got):\n%s",
						m.Kind(), field, e.path, diff)
				}
			}
		}
	}
}

// arrayEnd returns where the array at all[i] ends.
func arrayEnd(all []element, i int) int {
	end := all[i].to
	for _, e := range all[i+1:] {
		if all[i].path != "" &&
			(len(e.path) <= len(all[i].path) || e.path[:len(all[i].path)+1] != all[i].path+".") {
			break
		}
		end = e.to
	}
	return end
}

// TestWrongElements puts an element of another sort in the place of each.
func TestWrongElements(t *testing.T) {
	wrong := map[string][]byte{
		"nil":       {msgpcode.Nil},
		"boolean":   {msgpcode.True},
		"number":    {5},
		"negative":  {0xff},
		"float":     {msgpcode.Float, 0, 0, 0, 0},
		"text":      {0xa1, 'x'},
		"binary":    {msgpcode.Bin8, 4, 192, 0, 2, 1},
		"map":       {0x80},
		"extension": {msgpcode.FixExt1, 1, 1},
		"reserved":  {0xc1},
	}
	for _, m := range wiretest.Samples() {
		b := encode(t, m)
		all := elements(t, b)
		for i, e := range all {
			for name, with := range wrong {
				to := e.to
				if e.isArray() {
					to = arrayEnd(all, i)
				}
				got, err := wire.Decode(splice(b, e.from, to, with...))
				if err == nil && !mayReplace(e, name) {
					t.Errorf("%v takes a %s for element %q, and is %+v",
						m.Kind(), name, e.path, got)
				}
			}
		}
	}
}

// mayReplace says whether an element of this sort may stand in e's place.
func mayReplace(e element, sort string) bool {
	isBool := e.code == msgpcode.True || e.code == msgpcode.False
	switch sort {
	case "nil":
		return e.isArray() || e.code == msgpcode.Nil // a register that is unset
	case "boolean":
		return isBool
	case "text":
		return e.isText()
	case "binary":
		return e.isBytes()
	case "number", "negative":
		return !isBool && !e.isText() && !e.isBytes() && !e.isArray()
	default:
		return false
	}
}
