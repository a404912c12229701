package mesh

import (
	"strings"
	"testing"
)

// What memberlist spreads of a director is read back, also with what later versions append.
func TestMeta(t *testing.T) {
	whole := meta{protocol: 3, boot: 1<<40 + 7}
	bytes := whole.encode()
	changed := func(at int, to byte) []byte {
		b := append([]byte(nil), bytes...)
		b[at] = to
		return b
	}
	for _, test := range []struct {
		name string
		in   []byte
		want meta
		err  string
	}{
		{"whole", bytes, whole, ""},
		{"longer", append(append([]byte(nil), bytes...), 1, 2), whole, ""},
		{"later version", changed(0, metaVersion+1), whole, ""},
		{"cut", bytes[:metaSize-1], meta{}, "too short"},
		{"earlier version", changed(0, metaVersion-1), meta{}, "of version 0"},
		{"no life", meta{protocol: 3}.encode(), meta{}, "without a boot id"},
		{"the first life", meta{protocol: 3, boot: 1}.encode(), meta{protocol: 3, boot: 1}, ""},
	} {
		got, err := decodeMeta(test.in)
		if got != test.want || (err == nil) != (test.err == "") ||
			err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %+v, %v; want %+v, %q", test.name, got, err, test.want, test.err)
		}
	}
}
