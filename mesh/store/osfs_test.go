package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"directormesh/mesh/store"
)

// On a real directory what is kept is found again; the files are for nobody else.
func TestRealDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	for life := range uint64(3) {
		d, err := store.Dir(path)
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, d, store.Config{SnapshotBytes: 1})
		if h.have != 2*life {
			t.Fatalf("life %d begins with %d rows", life, h.have)
		}
		_, _, err = store.Open(store.Config{FS: d, Identity: ours})
		if !errors.Is(err, store.ErrLocked) {
			t.Errorf("opened twice: %v", err)
		}
		for range 2 {
			h.hold()
			h.mark()
			waitKept(t, h)
		}
		closeStore(t, h)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Dir(path); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "a", "b")
	if _, err := store.Dir(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("two parts are missing: %v", err)
	}
	if _, err := store.ExistingDir(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}
