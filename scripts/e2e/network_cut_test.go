//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"directormesh/scripts/e2e/netns"
)

// failTime is within what a director that is out of reach must count as failed: 5 s of silence, two
// beats, and what a busy machine takes.
const failTime = 15 * time.Second

// TestUDPCut lets only TCP through, as a firewall does whose rule names one protocol. The mesh must
// form and work by its streams, a new director must get in, and the log must say what is wrong.
func TestUDPCut(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "--mail-servers", "192.0.2.1-192.0.2.4")
	const join = "10.77.0.1,10.77.0.2"
	for i := range 3 {
		n.cut(n.add(join, hostAddr(i+1)), netns.Packets{Protocol: unix.IPPROTO_UDP})
	}
	d1, d2, d3 := n.directors[0], n.directors[1], n.directors[2]
	d1.start()
	d2.start()
	o := newOracle(evenly(100, fourBackends...))
	n.checkMesh(o, "two", d1, d2)
	d3.start()
	n.checkMesh(o, "three", d1, d2, d3)
	for _, d := range n.directors {
		awaitLog(t, d, 0, 30*time.Second, "TCP only", "UDP")
	}
	must(t, d3, "update", "192.0.2.1", "50")
	checkSame(t, n.directors)
	for _, at := range n.directors {
		for _, of := range n.directors {
			if r, err := n.row(at, of); err != nil || r.status != "synced" {
				t.Errorf("%s sees %s as %+v %v", at.name, of.name, r, err)
			}
		}
	}
}

// TestOneWayCut drops what one director sends to another, not what comes back, while a third is in
// touch with both. The two must count each other as failed and go on with the third, and be one
// mesh again when the way is free.
func TestOneWayCut(t *testing.T) {
	t.Parallel()
	n := startNetwork(t, 3, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2, d3 := n.directors[0], n.directors[1], n.directors[2]
	o := newOracle(evenly(100, fourBackends...))
	lookupAll(t, d3, users("known", 300), o)
	heal := n.cut(d2, netns.Packets{From: d1.addr.Addr()})
	began := time.Now()
	within(t, failTime, func() error { return unreachable(t, d1, d2) })
	within(t, failTime, func() error { return unreachable(t, d2, d1) })
	t.Logf("both sides saw the cut after %v", time.Since(began).Round(100*time.Millisecond))
	for _, at := range []*process{d1, d2} {
		if r, err := n.row(at, d3); err != nil || r.status != "synced" {
			t.Errorf("%s sees d3 as %+v %v", at.name, r, err)
		}
	}
	// Whoever answers, nobody waits and no user gets two backends.
	loads := []*load{
		startLoad(t, d1, 100, mixedUsers(users("known", 300), "one-way")),
		startLoad(t, d2, 100, mixedUsers(users("known", 300), "one-way")),
		startLoad(t, d3, 100, mixedUsers(users("known", 300), "one-way")),
	}
	pause(t, 3*time.Second)
	heal()
	n.awaitSynced(40*time.Second, n.directors...)
	var answers []answer
	for _, l := range loads {
		answers = append(answers, l.end()...)
	}
	checkLoad(t, answers, o, o)
	checkOneBackend(t, answers)
	n.checkMesh(o, "after", n.directors...)
	for _, d := range n.directors {
		if strings.Contains(d.log(), "large packets") {
			t.Errorf("%s takes a cut for a hole that only drops large packets", d.name)
		}
	}
}

// TestLargePacketsVanish has a hole on the way through which packets of more than 1,000 bytes do
// not come, nor any word about it, as with a tunnel whose packets must not say that they were too
// large. Small talk gets through, a table does not: each must serve alone and say so, and they must
// meet once the hole is closed.
func TestLargePacketsVanish(t *testing.T) {
	t.Parallel()
	var backends []string // whose table does not fit into a small packet
	for i := range 250 {
		backends = append(backends, fmt.Sprintf("192.0.2.%d", i+1))
	}
	n := newNetwork(t, "--mail-servers", "192.0.2.1-192.0.2.250")
	const join = "10.77.0.1,10.77.0.2"
	d1, d2 := n.add(join, hostAddr(1)), n.add(join, hostAddr(2))
	d1.start()
	within(t, 20*time.Second, func() error { return alone(t, d1) })
	lookupMany(t, d1, users("many", 20_000))
	var heal []func()
	for _, d := range n.directors {
		heal = append(heal, n.cut(d, netns.Packets{LargerThan: 1000}))
	}
	d2.start()
	o := newOracle(evenly(100, backends...))
	for _, d := range n.directors {
		within(t, 20*time.Second, func() error { return alone(t, d) })
		lookupAll(t, d, users("many", 300), o)
	}
	awaitLog(t, d2, 0, 30*time.Second, "no large ones: check the MTU", "10.77.0.1")
	for _, undo := range heal {
		undo()
	}
	n.checkMesh(o, "many", d1, d2)
}

// TestLargePacketsVanishLater makes such a hole in a mesh that is there: small talk goes on, and
// the log must name the cause as soon as something long is to be sent. It is one mesh again when
// the hole is closed.
func TestLargePacketsVanishLater(t *testing.T) {
	t.Parallel()
	n := startNetwork(t, 2, "--mail-servers", "192.0.2.1-192.0.2.4")
	d1, d2 := n.directors[0], n.directors[1]
	o := newOracle(evenly(100, fourBackends...))
	n.checkMesh(o, "before", d1, d2)
	heal := n.cut(d2, netns.Packets{From: d1.addr.Addr(), LargerThan: 1000})
	lookupMany(t, d1, users("many", 5_000))
	awaitLog(t, d1, 0, 90*time.Second, "large packets do not reach a peer", `"d2"`)
	heal()
	n.checkMesh(o, "after", d1, d2)
	if logged := d2.log(); strings.Contains(logged, "large packets") {
		t.Errorf("d2, from which all gets through, has logged:\n%s", logged)
	}
}
