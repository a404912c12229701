package daemon

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the documents of settings and metrics")

// document compares a page of cli/doc with what the program says it should be, or writes it there
// with -update.
func document(t *testing.T, name, got string) {
	t.Helper()
	golden(t, filepath.Join("..", "doc", name), got)
}

// golden compares a file with what it should be.
func golden(t *testing.T, path, got string) {
	t.Helper()
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
		t.Errorf("%s (-want +got, run with -update):\n%s", path, diff)
	}
}
