package daemon

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"directormesh/cli/handover"
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

// A listener that others have opened is held to the loopback where nothing checks who asks.
func TestHandedBeyondLoopback(t *testing.T) {
	for _, kind := range []handover.Kind{handover.API, handover.HTTP, handover.Admin} {
		l, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Config{
			Options: testOptions(t, nil), Version: "1", LogOutput: io.Discard,
			Handed: &handover.Handed{Sockets: []handover.Socket{{Kind: kind, Listener: l}}},
		})
		if err == nil || !strings.Contains(err.Error(), "is not a loopback address") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
