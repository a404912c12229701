package authrelay

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/door/doortest"
	"directormesh/ring"
)

// instantDirector always answers at once.
type instantDirector struct{ fakeDirector }

func (*instantDirector) TryLookups(users []ring.Lookup) {
	for i := range users {
		users[i].Backend = backend1
	}
}
func (*instantDirector) Names() map[netip.Addr]string { return nil }

// served is a door's end of a connection on which the same lines come again and again.
type served struct {
	net.Conn // nil: what is not below is not wanted
	input    []byte
}

func (s *served) Read(p []byte) (int, error)       { return copy(p, s.input), nil }
func (s *served) Write(p []byte) (int, error)      { return len(p), nil }
func (s *served) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkAnswer is the door's own work for reply lines that come in one read: parsing, hashing,
// completing.
func BenchmarkAnswer(b *testing.B) {
	for _, lines := range []int{1, 4, 200} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			server, err := New(Config{
				Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(),
				ProxyRefresh: 450e9,
			})
			if err != nil {
				b.Fatal(err)
			}
			client := new(served)
			for i := range lines {
				client.input = fmt.Appendf(client.input,
					"OK\t%d\tuser=user%d@example.org\tproxy\tlip=192.0.2.5\tpass=secret\n", i, i)
			}
			l := newLink(server, server.loops.Adopt(client))
			in := newLineReader(client, server.protocol.maxBuffer())
			in.resize(in.max)
			b.ReportAllocs()
			for b.Loop() {
				if in.fill() != nil || !l.answer(in) {
					b.Fatal("the link is over")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*lines), "ns/line")
		})
	}
}

// Replies cost no allocation, whatever is in them and however many they are.
func TestAnswerDoesNotAllocate(t *testing.T) {
	server, err := New(Config{
		Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(), ProxyRefresh: 450e9,
		Separator: '*',
		Seen:      func(ring.UserHash, []byte, netip.Addr) {},
		Mark:      func(ring.UserHash, netip.Addr, bool) string { return "user_mark=1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"OK\t1\tuser=alice@example.org\tproxy\tpass=secret\n",
		"OK\t1\tuser=alice@example.org\tproxy\tdirector_tag=ssd\n",
		"OK\t1\tuser=alice*master\tdestuser=bob\tproxy\r\n",
		"OK\t1\tuser=alice\n",
		"FAIL\t1\tuser=alice\n",
	}
	for _, input := range append(lines, strings.Repeat(lines[0], 2*batchSize+1)) {
		client := &served{input: []byte(input)}
		l := newLink(server, server.loops.Adopt(client))
		in := newLineReader(client, server.protocol.maxBuffer())
		b := server.batches.take()
		in.resize(in.max)
		if n := testing.AllocsPerRun(100, func() {
			if err := in.fill(); err != nil {
				t.Fatal(err)
			}
			b.out = b.out[:0]
			l.answerInto(b, in)
		}); n > 0 {
			t.Errorf("%q costs %v allocations", input, n)
		}
		if len(b.out) < len(input) {
			t.Errorf("%q became %q", input, b.out)
		}
	}
}

// BenchmarkIdle reports what a connection costs on which nothing happens.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		server, err := New(Config{
			Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(),
		})
		if err != nil {
			b.Fatal(err)
		}
		l := doortest.NewPipeListener()
		go server.Serve(l)
		ends := make([]*end, n)
		for i := range ends {
			ours, theirs := net.Pipe()
			l.Connect(theirs)
			ends[i] = &end{Conn: ours, in: bufio.NewReaderSize(ours, 16)}
			got := make([]byte, len(greeting))
			if _, err := ours.Read(got); err != nil || !bytes.Equal(got, []byte(greeting)) {
				b.Fatalf("%q, %v", got, err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(
			float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/n,
			"B/conn")
		for _, e := range ends {
			e.Close()
		}
		server.Close()
	}
}
