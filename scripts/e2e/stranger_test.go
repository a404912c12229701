//go:build e2e

package e2e

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/ipv4"
)

const (
	// strangers is how many connections a stranger opens and holds.
	strangers = 10_000
	// connectTime is within what they are opened. The same two processors ask and answer.
	connectTime = 4 * time.Second
	// floodTime is how long packets come as fast as one processor can send them.
	floodTime = 8 * time.Second

	// streamsPeak is what streams of strangers may cost in memory.
	streamsPeak = 100 << 20

	// testKey is the key of meshes that strangers do not know.
	testKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	// meshLabel begins each packet of memberlist's in a mesh of the default name.
	meshLabel = "\xf4\x11director/director"
)

// startKeyed starts a mesh of two with a key.
func startKeyed(t *testing.T) *mesh {
	t.Helper()
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	key := m.keyFile("mesh", testKey)
	for _, d := range m.directors {
		d.flags = append(d.flags, "--encrypt-key-file", key)
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	return m
}

// TestStrangerConnects opens ten thousand connections to a director of a mesh with a key, which say
// nothing, half of an opening, or nonsense; memberlist's own first byte is among that. Users log in
// meanwhile.
func TestStrangerConnects(t *testing.T) {
	m := startKeyed(t)
	d1 := m.directors[0]
	end := loginsMeanwhile(t, m)
	before := metricsOf(t, d1)
	openings := [][]byte{nil, {0xF4}, {0xD7}, opening(), {1}, []byte("GET / HTTP/1.0\r\n\r\n"),
		[]byte(meshLabel), []byte(meshLabel + "\x0a\x00\x00\x10\x00\x01")}
	const hosts = 8 // so that no limit for one host protects the director
	opened := make([][]net.Conn, hosts)
	var all sync.WaitGroup
	for host := range hosts {
		all.Go(func() {
			from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(host+1))}
			dialer := net.Dialer{Timeout: 10 * time.Second, LocalAddr: from}
			each := time.NewTicker(connectTime * hosts / strangers)
			defer each.Stop()
			for i := range strangers / hosts {
				<-each.C
				c, err := dialer.Dial("tcp", d1.addr.String())
				if err != nil {
					t.Errorf("%s takes no connection any more: %v", d1.name, err)
					return
				}
				opened[host] = append(opened[host], c)
				_, _ = c.Write(openings[i%len(openings)]) // it may be closed already
			}
		})
	}
	all.Wait()
	pause(t, time.Second)
	end()
	total := 0
	for _, conns := range opened {
		total += len(conns)
		for _, c := range conns {
			c.Close()
		}
	}
	within(t, 30*time.Second, func() error {
		grown := metricsOf(t, d1).since(before)
		refused := grown.total("director_mesh_dropped_total") +
			grown.total("director_mesh_handshake_failures_total")
		left := metricsOf(t, d1)["director_mesh_half_open"]
		if left > 0 || refused != float64(total) {
			return fmt.Errorf("of %d connections %v are half open, %v counted as refused: %v",
				total, left, refused, grown.refusals())
		}
		return nil
	})
	checkUnharmed(t, m)
}

// TestStrangerFloods sends garbage by UDP as fast as one processor can, from several addresses, to
// a director of a mesh with a key, while users log in.
func TestStrangerFloods(t *testing.T) {
	m := startKeyed(t)
	d1 := m.directors[0]
	end := loginsMeanwhile(t, m)
	before := metricsOf(t, d1)
	var senders []*ipv4.PacketConn
	for i := range 16 {
		from := &net.UDPAddr{IP: net.IPv4(127, 0, 2, byte(i+1))}
		c, err := net.DialUDP("udp4", from, net.UDPAddrFromAddrPort(d1.addr))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		senders = append(senders, ipv4.NewPacketConn(c))
	}
	var packets []ipv4.Message
	for _, b := range garbagePackets(rand.New(rand.NewPCG(3, 4))) {
		packets = append(packets, ipv4.Message{Buffers: [][]byte{b}})
	}
	const batch = 64 // with a call of the kernel for each packet one processor sends half as many
	began, sent := time.Now(), 0
	for i := 0; time.Since(began) < floodTime; i++ {
		at := i * batch % len(packets)
		n, err := senders[i%len(senders)].WriteBatch(packets[at:at+batch], 0)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	rate := float64(sent) / time.Since(began).Seconds()
	end()
	var grown metrics
	// what memberlist has queued it handles in its own time
	within(t, 10*time.Second, func() error {
		grown = metricsOf(t, d1).since(before)
		counted, lost := grown.total("director_mesh_dropped_total"), lostPackets(t, d1)
		if int(counted)+lost < sent {
			return fmt.Errorf("of %d packets %v were counted as dropped, %d lost in the kernel",
				sent, counted, lost)
		}
		return nil
	})
	t.Logf("%.0f packets a second; of all %d the kernel lost %d", rate, sent, lostPackets(t, d1))
	for _, reason := range []string{"protocol", "other_mesh", "payload", "key"} {
		if grown.sum("director_mesh_dropped_total", "reason", reason) == 0 {
			t.Errorf("no packet was counted as dropped for %q", reason)
		}
	}
	checkUnharmed(t, m)
}

// TestStrangerStreams sends a director of a mesh with a key six streams of 20 MB at a time, which
// begin as encrypted states of memberlist's do: it must not take into memory what nobody has
// authenticated.
func TestStrangerStreams(t *testing.T) {
	m := startKeyed(t)
	d1 := m.directors[0]
	end := loginsMeanwhile(t, m)
	before, usual := metricsOf(t, d1), d1.peakMemory()
	// The longest state that is let in, and more than that.
	head := append(binary.BigEndian.AppendUint32([]byte(meshLabel+"\x0a"), 10<<20), 1)
	garbage := make([]byte, 20<<20)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	const rounds, streams = 3, 6
	for range rounds {
		var all sync.WaitGroup
		for range streams {
			all.Go(func() {
				c, err := net.DialTimeout("tcp", d1.addr.String(), 10*time.Second)
				if err != nil {
					t.Errorf("%s takes no connection any more: %v", d1.name, err)
					return
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				// The director may close at any byte.
				_, _ = c.Write(head)
				_, _ = c.Write(garbage)
			})
		}
		all.Wait()
	}
	end()
	if cost := d1.peakMemory() - usual; cost > streamsPeak {
		t.Errorf("%d streams at a time cost %d MB of memory, allowed are %d",
			streams, cost>>20, streamsPeak>>20)
	} else {
		t.Logf("%d streams at a time cost %d MB of memory", streams, cost>>20)
	}
	grown := metricsOf(t, d1).since(before)
	if got := grown.total("director_mesh_dropped_total"); got < rounds*streams {
		t.Errorf("%v of %d streams are counted: %v", got, rounds*streams, grown.refusals())
	}
	checkUnharmed(t, m)
}

// garbagePackets is random bytes of all lengths. Some begin like packets of the mesh, and of those
// some look encrypted, so that only the key can tell.
func garbagePackets(r *rand.Rand) [][]byte {
	packets := make([][]byte, 4096)
	for i := range packets {
		b := make([]byte, 1+r.IntN(1200))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		switch i % 8 {
		case 0:
			b[0] = byte(i / 8 % 16) // one of memberlist's types
		case 1:
			b = append([]byte(meshLabel), b...)
		case 2, 3:
			b[0] = 1 // the version of memberlist's encryption
			b = append([]byte(meshLabel), b...)
		case 4:
			b = append([]byte("\xf4\x0edirector/other"), b...)
		}
		packets[i] = b
	}
	return packets
}

// lostPackets is how many packets the kernel did not give to a director because they came too fast.
func lostPackets(t *testing.T, d *process) int {
	t.Helper()
	text, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	ip := d.addr.Addr().As4()
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), d.addr.Port())
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 12 && fields[1] == local {
			lost, err := strconv.Atoi(fields[12])
			if err != nil {
				t.Fatal(err)
			}
			return lost
		}
	}
	t.Fatalf("no packet socket at %s", local)
	return 0
}

// TestStrangerReplays records all that the directors of a mesh with a key say to each other while
// the table changes, restarts them all, and sends it again: what was changed before must not come
// back.
func TestStrangerReplays(t *testing.T) {
	m := newMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2 := m.directors[0], m.directors[1]
	record, stop := startCapture(t, d1, d2)
	key := m.keyFile("mesh", testKey)
	for _, d := range m.directors {
		d.flags = append(d.flags, "--encrypt-key-file", key)
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	want := table(t, d1)
	lookupAll(t, d2, users("before", 300), newOracle(evenly(100, fourBackends...)))
	for _, change := range [][]string{
		{"update", "192.0.2.1", "50"}, {"down", "192.0.2.2"}, {"remove", "192.0.2.3"},
		{"add", "192.0.2.9"}, {"flush", "-F", "all"}} {
		must(t, d1, change...)
	}
	d2.leave()
	d2.start() // memberlist exchanges whole states once more
	m.awaitSynced(10*time.Second, m.directors...)
	for _, d := range m.directors {
		d.leave()
	}
	stop()
	packets, streams := record.heard()
	if len(packets) < 10 || len(streams) < 4 {
		t.Fatalf("only %d packets and %d streams were recorded", len(packets), len(streams))
	}
	for _, d := range m.directors {
		d.start()
	}
	m.awaitSynced(10*time.Second, m.directors...)
	end := loginsMeanwhile(t, m)
	before := metricsOf(t, d1)
	for range 3 {
		for _, d := range m.directors {
			for _, b := range packets {
				sendUDP(t, d, b)
			}
			for _, b := range streams {
				sendTCP(t, d, b)
			}
		}
	}
	end()
	grown := metricsOf(t, d1).since(before)
	t.Logf(
		"%d packets and %d streams were sent again; counted: %v handshakes, %v dropped, %v ignored",
		len(packets), len(streams), grown.total("director_mesh_handshake_failures_total"),
		grown.total("director_mesh_dropped_total"),
		grown.total("director_mesh_messages_ignored_total"))
	for _, name := range []string{
		"director_mesh_handshake_failures_total", "director_mesh_messages_ignored_total"} {
		if grown.total(name) == 0 {
			t.Errorf("%s has not grown", name)
		}
	}
	for _, d := range m.directors {
		if diff := cmp.Diff(want, table(t, d)); diff != "" {
			t.Errorf("table of %s (-want +got):\n%s", d.name, diff)
		}
	}
	checkUnharmed(t, m)
}

// loginsMeanwhile lets users log in at all directors of a mesh until the function that it returns
// is called, which demands that none failed and few waited.
func loginsMeanwhile(t *testing.T, m *mesh) (end func()) {
	t.Helper()
	known := users("known", 500)
	lookupAll(t, m.directors[0], known, newOracle(evenly(100, fourBackends...)))
	var loads []*load
	for _, d := range m.directors {
		loads = append(loads, startLoad(t, d, 200, mixedUsers(known, "new-at-"+d.name+"-")))
	}
	return func() {
		t.Helper()
		var answers []answer
		for _, l := range loads {
			answers = append(answers, l.end()...)
		}
		o := newOracle(evenly(100, fourBackends...))
		for _, a := range answers {
			switch {
			case a.err != nil:
				t.Errorf("%s at %s: %v after %v", a.user, a.at.name, a.err, a.took())
			case a.backend != o.backend(a.user):
				t.Errorf("%s at %s: %s, which the ring does not give", a.user, a.at.name, a.backend)
			}
		}
		checkWaits(t, answers)
	}
}

// checkUnharmed demands that strangers have neither ended nor changed anything.
func checkUnharmed(t *testing.T, m *mesh) {
	t.Helper()
	m.awaitSynced(10*time.Second, m.directors...)
	checkSame(t, m.directors)
	for _, d := range m.directors {
		peak := d.peakMemory()
		t.Logf("%s took up to %d MB of memory", d.name, peak>>20)
		if peak > maxPeak {
			t.Errorf("%s took up to %d MB of memory, at most %d", d.name, peak>>20, maxPeak>>20)
		}
		// A probe by UDP that got lost in a flood is no failure of the peer.
		if failures := metricsOf(t, d)["director_mesh_peer_failures_total"]; failures > 0 {
			t.Errorf("%s has counted peers as failed %v times", d.name, failures)
		}
	}
}
