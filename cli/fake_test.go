package cli

import (
	"io"
	"net"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
)

var versionPattern = regexp.MustCompile(`go1[0-9A-Za-z.-]*`)

// cutAfter listens on a socket that passes everything to and from another one, but breaks after so
// many bytes of answers.
func cutAfter(t *testing.T, socket string, bytes int64) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(socket), "cut.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				return
			}
			all.Go(func() { io.Copy(out, in); out.Close() })
			all.Go(func() { io.CopyN(in, out, bytes); in.Close(); out.Close() })
		}
	})
	return path
}
