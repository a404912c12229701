//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"directormesh/cli/api"
	"directormesh/scripts/e2e/netns"
)

// meshPort is the port of all directors on hosts of their own: the default.
const meshPort = 9090

// network is a mesh whose directors run on hosts of their own.
type network struct {
	*mesh
	net   *netns.Network
	hosts map[*process]*netns.Host
}

func newNetwork(t *testing.T, flags ...string) *network {
	t.Helper()
	return &network{
		mesh: newMesh(t, 0, flags...), net: netns.New(t), hosts: make(map[*process]*netns.Host)}
}

// hostAddr is the address that a host has if the test has no other wish.
func hostAddr(number int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, 0, byte(number)}) }

// add adds a host with these addresses, and a director that runs there, binds the last of them, and
// joins the directors at the addresses of join.
func (n *network) add(join string, addresses ...netip.Addr) *process {
	n.t.Helper()
	name := fmt.Sprintf("d%d", len(n.directors)+1)
	var prefixes []netip.Prefix
	for _, a := range addresses {
		prefixes = append(prefixes, netip.PrefixFrom(a, 24))
	}
	host := n.net.Host(name, prefixes...)
	addr := netip.AddrPortFrom(addresses[len(addresses)-1], meshPort)
	d := newProcessAt(n.t, n.dir, name, addr)
	d.prefix = host.Prefix()
	d.flags = append([]string{"--join", join}, n.flags...)
	n.directors = append(n.directors, d)
	n.hosts[d] = host
	return d
}

// startNetwork starts n directors, d1 to dN, on hosts with one address each.
func startNetwork(t *testing.T, n int, flags ...string) *network {
	t.Helper()
	var join []string
	for i := range n {
		join = append(join, hostAddr(i+1).String())
	}
	net := newNetwork(t, flags...)
	for i := range n {
		net.add(strings.Join(join, ","), hostAddr(i+1)).start()
	}
	net.awaitSynced(15*time.Second, net.directors...)
	return net
}

// cut drops packets before they get to a director's host, until the function that it returns is
// called.
func (n *network) cut(to *process, p netns.Packets) (undo func()) {
	n.t.Helper()
	return n.hosts[to].Drop(p)
}

// checkMesh demands that these directors are one synced mesh in which each user has one backend.
func (n *network) checkMesh(o oracle, prefix string, directors ...*process) {
	n.t.Helper()
	n.awaitSynced(20*time.Second, directors...)
	for _, d := range directors {
		lookupAll(n.t, d, users(prefix, 300), o)
		lookupAll(n.t, d, users(prefix+"-at-"+d.name, 100), o)
	}
	checkSame(n.t, directors)
}

// peers returns the directors as one of them sees them, by name.
func peers(t *testing.T, at *process) map[string]api.Director {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	all, err := client(t, at).Directors(ctx)
	if err != nil {
		t.Fatalf("directors at %s: %v", at.name, err)
	}
	byName := make(map[string]api.Director)
	for _, d := range all.Directors {
		byName[d.Name] = d
	}
	return byName
}

// unreachable demands that a director shows another as one with whom frames do not flow both ways.
func unreachable(t *testing.T, at, of *process) error {
	t.Helper()
	switch d, known := peers(t, at)[of.name]; {
	case !known:
		return fmt.Errorf("%s does not list %s", at.name, of.name)
	case d.Reachable || d.State == "synced" || d.LastFailedAt == nil:
		return fmt.Errorf("%s shows %s as %+v", at.name, of.name, d)
	}
	return nil
}

// awaitLog waits until a director has logged a line with all of these parts, behind its first
// bytes.
func awaitLog(t *testing.T, d *process, since int, limit time.Duration, parts ...string) {
	t.Helper()
	within(t, limit, func() error {
		for line := range strings.Lines(d.log()[since:]) {
			if containsAll(line, parts) {
				return nil
			}
		}
		return fmt.Errorf("%s has no line with %q", d.name, parts)
	})
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// selfOf returns what a director says of itself.
func selfOf(t *testing.T, d *process) (api.Self, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	return client(t, d).Self(ctx)
}

// alone demands that a director says that it serves alone.
func alone(t *testing.T, d *process) error {
	t.Helper()
	self, err := selfOf(t, d)
	if err == nil && !self.Alone {
		err = fmt.Errorf("%s does not say that it is alone: %+v", d.name, self)
	}
	return err
}
