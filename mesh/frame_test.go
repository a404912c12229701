package mesh

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFrames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 1, 300)).Draw(t, "messages")
		var stream []byte
		for _, m := range messages {
			stream = appendFrame(stream, m)
		}
		r := bytes.NewReader(stream)
		var buf []byte
		for i, want := range messages {
			var err error
			if buf, err = readFrame(r, buf, 300); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if diff := cmp.Diff(want, buf); diff != "" {
				t.Fatalf("frame %d (-want +got):\n%s", i, diff)
			}
		}
		if _, err := readFrame(r, buf, 300); err != io.EOF {
			t.Fatalf("after the last frame: %v, want EOF", err)
		}
	})
}

func TestFrameErrors(t *testing.T) {
	whole := appendFrame(nil, []byte("hello"))
	for cut := 1; cut < len(whole); cut++ {
		_, err := readFrame(bytes.NewReader(whole[:cut]), nil, 100)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v, want an unexpected end", cut, err)
		}
	}
	if _, err := readFrame(bytes.NewReader(whole), nil, 4); !errors.Is(err, errFrameSize) {
		t.Errorf("5 bytes where 4 are allowed: %v", err)
	}
	if _, err := readFrame(bytes.NewReader(make([]byte, 4)), nil, 4); err == nil {
		t.Error("an empty frame was accepted")
	}
}

// TestFrameLyingLength checks that a header alone does not make the reader allocate what it
// announces.
func TestFrameLyingLength(t *testing.T) {
	const limit = 64 << 20
	header := appendFrame(nil, nil)
	header[0] = 4 // announces 64 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readFrame(bytes.NewReader(append(header, "some"...)), nil, limit)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v, want an unexpected end", err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("a frame of 4 bytes that announced %d made the reader allocate %d", limit, grown)
	}
}
