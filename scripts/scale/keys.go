//go:build scale

package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
)

// keys are those of the mesh, none if it has none. What a key is does not matter to how long things
// take.
func (b *bench) keys() [][]byte {
	if !b.encrypt {
		return nil
	}
	return [][]byte{[]byte(strings.Repeat("k", 32))}
}

func (b *bench) keyFile() string { return filepath.Join(b.dir, "keys") }

// writeKeys writes the file from which directors take the keys.
func (b *bench) writeKeys() error {
	var text strings.Builder
	for _, key := range b.keys() {
		text.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	}
	return os.WriteFile(b.keyFile(), []byte(text.String()), 0o600)
}
