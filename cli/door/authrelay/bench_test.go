package authrelay

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"

	"github.com/rs/zerolog"

	"directormesh/ring"
)

// instantDirector always answers at once.
type instantDirector struct{ fakeDirector }

func (*instantDirector) TryLookup(ring.Tag, ring.UserHash) (netip.Addr, bool) { return backend1, true }
func (*instantDirector) Names() map[netip.Addr]string                         { return nil }

// BenchmarkReply is the door's own work for a pipelined reply line: parsing, hashing, completing.
func BenchmarkReply(b *testing.B) {
	server, err := New(Config{Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(), ProxyRefresh: 450e9})
	if err != nil {
		b.Fatal(err)
	}
	l := newLink(server, nil)
	var lines [][]byte
	for i := range 1000 {
		lines = append(lines, fmt.Appendf(nil, "OK\t%d\tuser=user%d@example.org\tproxy\tlip=192.0.2.5\tpass=secret\n", i, i))
	}
	b.ReportAllocs()
	out := make([]byte, 0, 1<<10)
	var counts tally
	for i := 0; b.Loop(); i++ {
		out = l.reply(out[:0], lines[i%len(lines)], nil, &counts)
	}
}

// A reply costs no allocation, whatever is in it.
func TestReplyDoesNotAllocate(t *testing.T) {
	server, err := New(Config{
		Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(), ProxyRefresh: 450e9, Separator: '*',
		Seen: func(ring.UserHash, []byte, netip.Addr) {},
		Mark: func(ring.UserHash, netip.Addr, bool) string { return "user_mark=1" },
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newLink(server, nil)
	out := make([]byte, 0, 1<<10)
	var counts tally
	for _, line := range []string{
		"OK\t1\tuser=alice@example.org\tproxy\tpass=secret\n",
		"OK\t1\tuser=alice@example.org\tproxy\tdirector_tag=ssd\n",
		"OK\t1\tuser=alice*master\tdestuser=bob\tproxy\r\n",
		"OK\t1\tuser=alice\n",
		"FAIL\t1\tuser=alice\n",
	} {
		raw := []byte(line)
		if n := testing.AllocsPerRun(100, func() { out = l.reply(out[:0], raw, nil, &counts) }); n > 0 {
			t.Errorf("%q costs %v allocations", line, n)
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
		server, err := New(Config{Protocol: Authreply, Director: &instantDirector{}, Log: zerolog.Nop(), MaxConnections: n})
		if err != nil {
			b.Fatal(err)
		}
		l := newPipeListener()
		go server.Serve(l)
		ends := make([]*end, n)
		for i := range ends {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			ends[i] = &end{Conn: ours, in: bufio.NewReaderSize(ours, 16)}
			got := make([]byte, len(greeting))
			if _, err := ours.Read(got); err != nil || !bytes.Equal(got, []byte(greeting)) {
				b.Fatalf("%q, %v", got, err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/n, "B/conn")
		for _, e := range ends {
			e.Close()
		}
		server.Close()
	}
}
