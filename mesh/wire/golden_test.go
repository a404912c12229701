package wire_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden keeps the encoding of every kind as it was: a golden file that
// changes means that directors of the release before do not understand this one.
func TestGolden(t *testing.T) {
	for _, m := range wiretest.Samples() {
		t.Run(m.Kind().String(), func(t *testing.T) {
			path := filepath.Join("testdata", "golden", m.Kind().String()+".hex")
			got := hex.Dump(encode(t, m))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("encoding of the sample differs from %s (-want +got):\n%s", path, diff)
			}
			back, err := wire.Decode(undump(t, string(want)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, back, options); diff != "" {
				t.Errorf("%s decodes to another message (-want +got):\n%s", path, diff)
			}
		})
	}
}

// undump reverses hex.Dump.
func undump(t *testing.T, dump string) []byte {
	t.Helper()
	var out bytes.Buffer
	for line := range strings.Lines(dump) {
		if len(line) < 60 {
			continue // the last line, which only has the length
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line[10:58], " ", ""))
		if err != nil {
			t.Fatalf("line %q of a dump: %v", line, err)
		}
		out.Write(b)
	}
	return out.Bytes()
}
