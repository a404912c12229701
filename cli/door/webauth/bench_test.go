package webauth

import (
	"os"
	"testing"

	"directormesh/cli/door/webauth/webauthtest"
)

// BenchmarkRead is what looking at the files costs each second.
func BenchmarkRead(b *testing.B) {
	files := webauthtest.NewFiles(b, b.TempDir(), "director1.example.org")
	files.Configure(verifyClients, map[string]string{"alice": "a", "bob": "b"})
	for b.Loop() {
		if _, err := Read(files.Config(), os.ReadFile); err != nil {
			b.Fatal(err)
		}
	}
}
