package proxynotify

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"
)

func TestSplitter(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct {
		name    string
		chunks  []string
		want    []string
		skipped int
	}{
		{"lines", []string{"alice\nbob@example.org\n"}, []string{"alice", "bob@example.org"}, 0},
		{"cut anywhere", []string{"al", "ice", "\nb", "ob\n"}, []string{"alice", "bob"}, 0},
		{"no end yet", []string{"alice\nbo"}, []string{"alice"}, 0},
		{"empty lines", []string{"\n\nalice\n\n"}, []string{"alice"}, 0},
		{"escaped", []string{"a\x01tb\x01nc\x01rd\x011e\x010f\x01xg\x01\n"},
			[]string{"a\tb\nc\rd\x01e\x00fxg"}, 0},
		{"longest", []string{long + "\nalice\n"}, []string{long, "alice"}, 0},
		{"too long", []string{long + "x\nalice\n"}, []string{"alice"}, 1},
		{"too long in pieces", []string{long, "x", "y\nalice", "\n"}, []string{"alice"}, 1},
		{"a megabyte", []string{strings.Repeat(long, 256), "\nalice\n"}, []string{"alice"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s splitter
			var got []string
			skipped := 0
			for _, chunk := range tt.chunks {
				skipped += s.add([]byte(chunk), func(name string) { got = append(got, name) })
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || skipped != tt.skipped {
				t.Errorf("skipped %d lines, want %d; names (-want +got):\n%s",
					skipped, tt.skipped, diff)
			}
		})
	}
}

// Where the stream is cut makes no difference.
func TestSplitterCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOf(rapid.StringMatching(`[a-z@.\t]{1,40}`)).Draw(t, "names")
		escaped := strings.NewReplacer("\t", "\x01t")
		stream := ""
		for _, name := range names {
			stream += escaped.Replace(name) + "\n"
		}
		var s splitter
		var got []string
		for rest := []byte(stream); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "cut")
			s.add(rest[:n], func(name string) { got = append(got, name) })
			rest = rest[n:]
		}
		if !slices.Equal(got, names) {
			t.Fatalf("got %q, want %q", got, names)
		}
	})
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("alice\nbo\x01tb\n"), 3)
	f.Add([]byte("\n\x01\n\x01\x01"), 1)
	f.Add([]byte(strings.Repeat("x", maxLine+1)+"\nalice\n"), 100)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		var whole, parts splitter
		var want, got []string
		whole.add(slices.Clone(data), func(name string) { want = append(want, name) })
		if cut < 0 || cut > len(data) {
			cut = len(data)
		}
		for _, piece := range [][]byte{data[:cut], data[cut:]} {
			parts.add(piece, func(name string) { got = append(got, name) })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("cut at %d makes a difference (-whole +cut):\n%s", cut, diff)
		}
		for _, name := range want {
			if len(name) > maxLine {
				t.Errorf("a name of %d bytes", len(name))
			}
		}
	})
}

// makeFIFO returns a FIFO that the test holds open, as systemd does.
func makeFIFO(t *testing.T, flags int) (path string, fifo *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "proxy-notify")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fifo.Close() })
	return path, fifo
}

func write(t *testing.T, path, text string) {
	t.Helper()
	w, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0) // fails if nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// Writers come and go, the FIFO may have been handed over for reading only, and what was written
// while no director was there is read later.
func TestServe(t *testing.T) {
	for name, flags := range map[string]int{
		"read-write": os.O_RDWR, "for reading": os.O_RDONLY | syscall.O_NONBLOCK,
	} {
		t.Run(name, func(t *testing.T) {
			path, fifo := makeFIFO(t, flags)
			for _, round := range []string{"alice", "bob"} {
				// a writer that stays: what it writes is not lost
				w, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.WriteString(round + "0\n"); err != nil {
					t.Fatal(err)
				}
				names := make(chan string, 10)
				s, err := New(Config{
					Refresh: func(user string) { names <- user }, Log: zerolog.Nop(),
				})
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				go func() { served <- s.Serve(fifo) }()
				expect(t, names, round+"0")
				w.Close()
				write(t, path, round+"1\n")
				expect(t, names, round+"1")
				write(t, path, round+"2\n")
				expect(t, names, round+"2")
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if err := <-served; err != nil {
					t.Errorf("Serve returned %v after Close", err)
				}
			}
			if _, err := fifo.Stat(); err != nil {
				t.Errorf("the FIFO that was handed over is not open any more: %v", err)
			}
		})
	}
}

func expect(t *testing.T, names <-chan string, want string) {
	t.Helper()
	select {
	case got := <-names:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%q was not reported", want)
	}
}

func TestServeAfterClose(t *testing.T) {
	_, fifo := makeFIFO(t, os.O_RDWR)
	s, err := New(Config{Refresh: func(string) {}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Serve(fifo); err != nil {
		t.Errorf("Serve of a closed server: %v", err)
	}
}
