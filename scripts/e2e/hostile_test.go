//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/mesh/wire/wiretest"
)

// maxPeak is what a director may have grown to under attack. It starts with about 30 MB.
const maxPeak = 200 << 20

// TestHostileInput sends nonsense to the gossip ports of a mesh without a key, by TCP and UDP,
// while users log in. The directors must go on as if nothing were.
func TestHostileInput(t *testing.T) {
	m := startMesh(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2 := m.directors[0], m.directors[1]
	o := newOracle(evenly(100, fourBackends...))
	lookupAll(t, d1, users("known", 500), o)
	checkSame(t, m.directors)
	wantTable, want := table(t, d1), mappings(t, d1)
	r := rand.New(rand.NewPCG(1, 2))

	for name, messages := range map[string][][]byte{
		"garbage":    garbage(r),
		"memberlist": lyingMemberlist(),
		"streams":    badStreams(t),
	} {
		t.Run(name, func(t *testing.T) {
			for _, d := range m.directors {
				for _, message := range messages {
					sendTCP(t, d, message)
					sendUDP(t, d, message[:min(len(message), 60_000)])
				}
			}
		})
	}
	// More connections than are kept half open, all silent.
	var silent []net.Conn
	for range 400 {
		if c, err := net.DialTimeout("tcp", d1.addr.String(), time.Second); err == nil {
			silent = append(silent, c)
		}
	}
	lookupAll(t, d1, users("during", 500), o)
	for _, c := range silent {
		c.Close()
	}

	m.awaitSynced(10*time.Second, m.directors...)
	for _, d := range m.directors {
		lookupAll(t, d, users("after", 500), o)
		if got := table(t, d); got != wantTable {
			t.Errorf("the table of %s became\n%s", d.name, got)
		}
		got := mappings(t, d)
		for user, backend := range want {
			if got[user] != backend {
				t.Errorf("%s at %s: %q, was %s", user, d.name, got[user], backend)
			}
		}
		if peak := d.peakMemory(); peak > maxPeak {
			t.Errorf("%s took up to %d MB of memory", d.name, peak>>20)
		}
		if row, err := m.row(d, d1); err != nil || row.lastFailed != "never" {
			t.Errorf("%s sees d1 as %+v %v", d.name, row, err)
		}
	}
	checkSame(t, []*process{d1, d2})
}

// garbage is random bytes of many lengths; each first byte that means something occurs.
func garbage(r *rand.Rand) [][]byte {
	var all [][]byte
	for first := range 256 {
		b := make([]byte, 1+r.IntN(2000))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		b[0] = byte(first)
		all = append(all, b)
	}
	return all
}

// lyingMemberlist is msgpack behind memberlist's message types, with lengths that lie.
func lyingMemberlist() [][]byte {
	lies := [][]byte{
		// an array of 4 billion
		{0xdd, 0xff, 0xff, 0xff, 0xff},
		{0xdf, 0xff, 0xff, 0xff, 0xff},                                         // a map of as many
		{0xc6, 0xff, 0xff, 0xff, 0xff},                                         // bytes
		{0xdb, 0xff, 0xff, 0xff, 0xff},                                         // a string
		append([]byte{0x81, 0xa4, 'N', 'o', 'd', 'e', 0xdb}, 0x7f, 0xff, 0, 0), // a field of 2 GB
		bytes.Repeat([]byte{0x91}, 50_000),                                     // deep nesting
	}
	var all [][]byte
	for kind := range 16 {
		for _, lie := range lies {
			all = append(all, append([]byte{byte(kind)}, lie...))
		}
	}
	return all
}

// badStreams is streams of our own protocol: a good opening, then what must not be taken.
func badStreams(t *testing.T) [][]byte {
	t.Helper()
	all := [][]byte{
		opening()[:1], opening()[:3], opening(),
		append(opening(), 0xff, 0xff, 0xff, 0xff),    // a frame of 4 GB
		append(opening(), 0x7f, 0xff, 0xff, 0xff, 1), // of 2 GB, which begins to arrive
		append(opening(), 0, 0, 0, 0),                // an empty frame
		append([]byte{0xD7, 9, 0, 1}, 'x'),           // a version that nobody knows
		append([]byte{0xD7, 1, 7, 255}, 'x'),         // likewise a mode
		stream(bytes.Repeat([]byte{0xff}, 100_000)),  // a message of an unknown kind
	}
	hello := encode(t, &wire.Hello{
		Settings: wire.Settings{
			Protocol: replica.ProtocolVersion, Mesh: "director", HashFormat: "%Lu",
			Expire: (15 * time.Minute).Milliseconds(),
		},
		From: wire.Peer{
			Name: "stranger", Boot: 1, Addr: netip.MustParseAddrPort("127.0.0.130:9"),
		},
		MeshTime: directory.Micros(time.Now().UnixMicro()),
	})
	for _, sample := range wiretest.Samples() {
		// without a key a stranger with our name and a longer life would end us
		switch m := sample.(type) {
		case *wire.Hello:
			m.From.Name = "stranger"
		case *wire.Refuse:
			m.From.Name = "stranger"
		}
		whole := encode(t, sample)
		// Each kind where only a hello has a place, and cut short behind a hello that is accepted.
		all = append(all, stream(whole))
		for _, size := range []int{1, 2, len(whole) / 2, len(whole) - 1} {
			all = append(all, stream(hello, whole[:max(1, size)]))
		}
	}
	return all
}

// opening is how a stream of a mesh without a key begins: the magic byte, the protocol's version,
// mode 0, the mesh's name.
func opening() []byte {
	const name = "director"
	return append([]byte{0xD7, 1, 0, byte(len(name))}, name...)
}

// stream is an opening and some frames.
func stream(frames ...[]byte) []byte {
	b := opening()
	for _, f := range frames {
		b = binary.BigEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

func encode(t *testing.T, m wire.Message) []byte {
	t.Helper()
	encoded, err := wire.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// sendTCP sends a message to a director's gossip port and reads what comes for a moment.
func sendTCP(t *testing.T, d *process, message []byte) {
	t.Helper()
	c, err := net.DialTimeout("tcp", d.addr.String(), 2*time.Second)
	if err != nil {
		t.Fatalf("%s accepts no connection any more: %v", d.name, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	// The director may close at any byte.
	_, _ = c.Write(message)
	_, _ = io.Copy(io.Discard, c)
}

func sendUDP(t *testing.T, d *process, message []byte) {
	t.Helper()
	c, err := net.Dial("udp", d.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(message) // nobody says whether it arrives
}

// fetch gets a page.
func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	httpClient := &http.Client{Timeout: 10 * time.Second}
	defer httpClient.CloseIdleConnections()
	resp, err := httpClient.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
