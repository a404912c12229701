package tabbed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// texts have many bytes that are escaped.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("\x00\x01\t\r\na01tn"))))
}

// Every line comes back from its fields, which have none of the bytes that separate fields and
// lines.
func TestLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fields := rapid.SliceOfN(texts(), 1, 5).Draw(t, "fields")
		line := Line(fields...)
		if strings.ContainsAny(line, "\x00\r\n") || strings.Count(line, "\t") != len(fields)-1 {
			t.Fatalf("%q is the line %q", fields, line)
		}
		if diff := cmp.Diff(fields, Fields(line)); diff != "" {
			t.Fatalf("%q (-written +read):\n%s", line, diff)
		}
		if got := Unescape(Escape(fields[0])); got != fields[0] {
			t.Fatalf("%q comes back as %q", fields[0], got)
		}
	})
}

func TestUnescape(t *testing.T) {
	for field, want := range map[string]string{
		"":                          "",
		"plain":                     "plain",
		"\x010\x011\x01t\x01r\x01n": "\x00\x01\t\r\n",
		"a\x01xb":                   "axb",
		"a\x01":                     "a",
		"\x01\x01t":                 "\x01t",
	} {
		if got := Unescape(field); got != want {
			t.Errorf("%q is %q, want %q", field, got, want)
		}
	}
}

// Whatever stands in a field, reading it ends and makes it no longer; both readers agree.
func FuzzUnescape(f *testing.F) {
	for _, field := range []string{"", "a", "\x01", "\x01\x01", "a\x01tb\x01", "\x010\x012"} {
		f.Add(field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		got := Unescape(field)
		if len(got) > len(field) || got != string(UnescapeBytes([]byte(field))) {
			t.Errorf("%q is %q", field, got)
		}
	})
}
