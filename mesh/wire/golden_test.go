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

// TestFrozen reads what directors of version 1 write, field by field, and writes it as they do.
// These files are never written again: where the test fails, directors of two releases do not
// understand each other.
func TestFrozen(t *testing.T) {
	dir := filepath.Join("testdata", "golden", "v1")
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	samples := wiretest.V1()
	if len(files) != len(samples) {
		t.Errorf("%s has %d files, there are %d kinds", dir, len(files), len(samples))
	}
	for _, want := range samples {
		t.Run(want.Kind().String(), func(t *testing.T) {
			dump, err := os.ReadFile(filepath.Join(dir, want.Kind().String()+".hex"))
			if err != nil {
				t.Fatal(err)
			}
			frozen := undump(t, string(dump))
			got, err := wire.Decode(frozen)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, options); diff != "" {
				t.Errorf("read as another message (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(string(dump), hex.Dump(encode(t, got))); diff != "" {
				t.Errorf("written in another way (-want +got):\n%s", diff)
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
