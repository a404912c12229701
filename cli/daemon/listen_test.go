package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestListenLeavesFiles checks that only a socket is replaced by a socket.
func TestListenLeavesFiles(t *testing.T) {
	dir := socketDir(t)
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link} {
		l, err := listenUnix("admin-socket", path, 0o600)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
