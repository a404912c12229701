//go:build e2e

package e2e

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"directormesh/cli/resolve/resolvetest"
	"directormesh/scripts/e2e/netns"
)

// TestLateNames starts two directors while the only name server is away, as after a power cut.
// Neither may end for that; they serve alone, say why, and meet once names can be resolved.
func TestLateNames(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "--mail-servers", "192.0.2.1-192.0.2.4")
	const join = "director1.example.org,director2.example.org"
	d1, d2 := n.add(join, hostAddr(1)), n.add(join, hostAddr(2))
	server := n.net.Host("names", netip.PrefixFrom(hostAddr(53), 24))
	for _, d := range n.directors {
		n.hosts[d].Etc("resolv.conf", "nameserver 10.77.0.53\noptions timeout:1 attempts:1\n")
		d.start()
	}
	// One that has a name among its backends starts all the same, and takes them when it resolves.
	d3 := n.add(join, hostAddr(3))
	n.hosts[d3].Etc("resolv.conf", "nameserver 10.77.0.53\noptions timeout:1 attempts:1\n")
	d3.start("--mail-servers", "192.0.2.1-192.0.2.4 mail.example.org")
	awaitLog(t, d3, 0, 20*time.Second, "mail.example.org",
		"could not be looked up at the start, its backends come later")
	o := newOracle(evenly(100, fourBackends...))
	for _, d := range []*process{d1, d2} {
		awaitLog(t, d, 0, 20*time.Second, "peer to join cannot be resolved",
			"director1.example.org")
		within(t, 20*time.Second, func() error { return alone(t, d) })
		lookupAll(t, d, users("early", 100), o)
	}
	serveNames(t, server, map[string]netip.Addr{
		"director1.example.org.": hostAddr(1), "director2.example.org.": hostAddr(2),
		"mail.example.org.": netip.MustParseAddr("192.0.2.1")})
	n.checkMesh(o, "user", d1, d2, d3)
}

// serveNames answers questions for these names at port 53 of a host until the test ends.
func serveNames(t *testing.T, host *netns.Host, names map[string]netip.Addr) {
	t.Helper()
	var conn net.PacketConn
	err := host.Do(func() (err error) {
		conn, err = net.ListenPacket("udp4", "10.77.0.53:53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	resolvetest.Serve(t, conn, func(name string) (dnsmessage.RCode, []netip.Addr) {
		addr, known := names[name]
		if !known {
			return dnsmessage.RCodeNameError, nil
		}
		return dnsmessage.RCodeSuccess, []netip.Addr{addr}
	})
}

// TestRenamedHost gives a director another name at the same address. The mesh must take the new one
// for the old one's successor, not wait for the old one, and keep all users.
func TestRenamedHost(t *testing.T) {
	t.Parallel()
	n := startNetwork(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2, d3 := n.directors[0], n.directors[1], n.directors[2]
	o := newOracle(evenly(100, fourBackends...))
	lookupAll(t, d3, users("known", 500), o)
	d3.kill()
	d3.start("--node-name", "renamed")
	n.checkMesh(o, "known", d1, d2, d3)
	must(t, d2, "update", "192.0.2.1", "50") // nobody waits for the old name
	for _, at := range []*process{d1, d2} {
		var got []string
		for _, d := range peers(t, at) {
			if d.State == "synced" && d.IP.Addr == d3.addr.Addr() {
				got = append(got, d.Name)
			}
		}
		if diff := cmp.Diff([]string{"renamed"}, got); diff != "" {
			t.Errorf("directors at d3's address, seen by %s (-want +got):\n%s", at.name, diff)
		}
		if old, known := peers(t, at)["d3"]; known {
			t.Errorf("%s still lists the old name: %+v", at.name, old)
		}
	}
	checkSame(t, n.directors)
}

// TestWrongJoin lets a director of one cluster join another cluster as well, by one wrong address.
// The two have no backend in common: both sides must say so, and neither may take anything over.
func TestWrongJoin(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	const right, wrong = "10.77.0.3", "10.77.0.1"
	clusters := [2]struct {
		directors []*process
		backends  []string
	}{{backends: fourBackends}, {backends: []string{
		"198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"}}}
	for i, join := range []string{wrong, wrong, right, right + "," + wrong} {
		d := n.add(join, hostAddr(i+1))
		c := &clusters[i/2]
		d.flags = append(d.flags, "--mail-servers", c.backends[0]+"-"+c.backends[3])
		c.directors = append(c.directors, d)
	}
	one, both := clusters[0].directors[0], clusters[1].directors[1]
	// What it meets first must be its own cluster.
	heal := []func(){
		n.cut(both, netns.Packets{From: hostAddr(1)}),
		n.cut(both, netns.Packets{From: hostAddr(2)})}
	for _, d := range n.directors {
		d.start()
	}
	for _, c := range clusters {
		n.awaitSynced(15*time.Second, c.directors...)
		lookupAll(t, c.directors[0], users("known", 300), newOracle(evenly(100, c.backends...)))
	}
	for _, undo := range heal {
		undo()
	}
	for _, d := range []*process{one, both} {
		awaitLog(t, d, 0, 30*time.Second, "no backend in common", "ring add")
	}
	for _, c := range clusters {
		n.checkMesh(newOracle(evenly(100, c.backends...)), "known", c.directors...)
		for _, d := range c.directors {
			if got, want := len(mappings(t, d)), 500; got != want {
				t.Errorf("%s holds %d mappings, not the %d of its own cluster", d.name, got, want)
			}
		}
	}
	// A director that starts has no mesh yet, so it may join either; the two must stay apart all
	// the same.
	var tables [2]string
	for i, c := range clusters {
		tables[i] = table(t, c.directors[0])
	}
	both.leave()
	since := len(both.log())
	both.start()
	awaitLog(t, both, since, 20*time.Second, "synced")
	awaitLog(t, both, since, 20*time.Second, "no backend in common")
	for i, c := range clusters {
		at := c.directors[0]
		lookupAll(t, at, users("known", 300), newOracle(evenly(100, c.backends...)))
		if got := table(t, at); got != tables[i] {
			t.Errorf("the table of %s became\n%s", at.name, got)
		}
		if got := len(mappings(t, at)); got != 500 {
			t.Errorf("%s holds %d mappings, not the 500 of its own cluster", at.name, got)
		}
	}
}
