//go:build e2e

package netns

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// prefix begins the names of all namespaces of this package; the process that made one follows.
const prefix = "dmtest"

var networks atomic.Int32 // made by this process, for names that differ

// Network is a switch and the hosts on it. Its methods are for the test's goroutine.
type Network struct {
	t     *testing.T
	name  string // of its namespaces, before the name of each
	hosts int
}

// New makes a network without hosts. It ends with the test. Where the machine cannot have one the
// test is skipped.
func New(t *testing.T) *Network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("network namespaces: %v; apt-get install iproute2", err)
		}
	}
	removeLeftOvers()
	n := &Network{t: t, name: fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), networks.Add(1))}
	n.probe([]string{"ip", "netns", "add", n.inside("switch")})
	t.Cleanup(func() { n.run("ip", "netns", "del", n.inside("switch")) })
	n.probe(n.onSwitch("ip", "link", "add", "name", "bridge", "type", "bridge"))
	n.probe(n.onSwitch("ip", "link", "set", "bridge", "up"))
	n.probe(n.onSwitch("ip", "link", "add", "name", "near", "type", "veth", "peer", "name", "far"))
	n.probe(n.onSwitch("tc", "qdisc", "add", "dev", "near", "clsact"))
	n.probe(n.onSwitch(filter("near", 1, Packets{})...))
	n.probe(n.onSwitch("ip", "link", "del", "near"))
	return n
}

// Host adds a host whose interface eth0 has these addresses; the first one is that from which it
// speaks by default. Names are at most 15 characters long.
func (n *Network) Host(name string, addresses ...netip.Prefix) *Host {
	n.t.Helper()
	h := &Host{n: n, name: name}
	n.hosts++
	n.run("ip", "netns", "add", h.namespace())
	n.t.Cleanup(func() {
		n.run("ip", "netns", "del", h.namespace())
		os.RemoveAll(h.etc())
		_ = os.Remove("/etc/netns") // fails while anybody else has files there
	})
	n.run("ip", "link", "add", "name", "eth0", "netns", h.namespace(),
		"type", "veth", "peer", "name", name, "netns", n.inside("switch"))
	n.run(n.onSwitch("ip", "link", "set", "dev", name, "master", "bridge", "up")...)
	n.run(n.onSwitch("tc", "qdisc", "add", "dev", name, "clsact")...)
	h.Run("ip", "link", "set", "lo", "up")
	h.Run("ip", "link", "set", "eth0", "up")
	for _, a := range addresses {
		h.Run("ip", "addr", "add", a.String(), "dev", "eth0")
	}
	return h
}

// inside is the full name of a namespace.
func (n *Network) inside(name string) string { return n.name + "-" + name }

func (n *Network) onSwitch(argv ...string) []string {
	return append([]string{"ip", "netns", "exec", n.inside("switch")}, argv...)
}

// probe runs a command that fails where the machine cannot have networks.
func (n *Network) probe(argv []string) {
	n.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		n.t.Skipf("this machine cannot have networks in namespaces: %s: %v\n%s",
			strings.Join(argv, " "), err, out)
	}
}

// run runs a command that has to succeed.
func (n *Network) run(argv ...string) {
	n.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// removeLeftOvers removes the namespaces of test runs that were killed.
func removeLeftOvers() {
	names, _ := os.ReadDir("/run/netns") // it is not there before the first namespace
	for _, entry := range names {
		name, ours := strings.CutPrefix(entry.Name(), prefix+"-")
		maker, _, _ := strings.Cut(name, "-")
		pid, err := strconv.Atoi(maker)
		if ours && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			// another run may have been first
			_ = exec.Command("ip", "netns", "del", entry.Name()).Run()
			os.RemoveAll("/etc/netns/" + entry.Name())
		}
	}
}
