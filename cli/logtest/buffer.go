// Package logtest keeps what a director writes while a test reads it. Only tests import it.
package logtest

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// Buffer is a log in memory. It is safe for concurrent use; the zero value is empty and ready.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Line returns the first line with this message, decoded from JSON; nil if there is none.
func (b *Buffer) Line(message string) map[string]any {
	for text := range strings.Lines(b.String()) {
		var fields map[string]any
		if json.Unmarshal([]byte(text), &fields) == nil && fields["message"] == message {
			return fields
		}
	}
	return nil
}

// Await is Line for one that may still be on its way; it gives up after some time.
func (b *Buffer) Await(message string, limit time.Duration) map[string]any {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-ticker.C {
		if line := b.Line(message); line != nil {
			return line
		}
	}
	return nil
}
