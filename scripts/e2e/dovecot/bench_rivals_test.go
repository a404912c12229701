//go:build e2e && bench

package dovecot

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

// benchBackends are the backends of both rivals.
const benchBackends = "192.0.2.1-192.0.2.9"

// rival is one of the two systems: two directors, the second of which does not run at first.
type rival struct {
	name  string
	first *rivalDirector
	next  *rivalDirector
}

// rivalDirector is one director, ours or Dovecot's. Both speak the same protocols on their sockets.
type rivalDirector struct {
	t         *testing.T
	authreply string
	admin     string
	start     func()
	pid       func() int // of the process that is the director
}

// meshRival is two directors of ours.
func meshRival(t *testing.T) rival {
	t.Helper()
	ips := []netip.Addr{newAddress(t), newAddress(t)}
	join := netip.AddrPortFrom(ips[0], meshPort).String() +
		"," + netip.AddrPortFrom(ips[1], meshPort).String()
	make := func(name string, ip netip.Addr) *rivalDirector {
		// A Dovecot without any session, so that the director can know that there is nobody to
		// kick.
		sessions := newInstance(
			t, "ipc-"+name, "protocols =\nlisten = "+newAddress(t).String()+"\n")
		sessions.start("unix:ipc")
		d := newDirector(t, name, ip, "--mail-servers", benchBackends, "--join", join, "--kick-ipc",
			sessions.path("ipc"))
		return &rivalDirector{t: t, start: d.start, pid: d.pid,
			authreply: filepath.Join(d.runDir, "director-authreply"),
			admin:     filepath.Join(d.runDir, "director-admin")}
	}
	return rival{"mesh", make("m1", ips[0]), make("m2", ips[1])}
}

// ringRival is two directors of Dovecot's.
func ringRival(t *testing.T) rival {
	t.Helper()
	ips := []netip.Addr{newAddress(t), newAddress(t)}
	var directors []string
	for _, ip := range ips {
		directors = append(directors, netip.AddrPortFrom(ip, ringPort).String())
	}
	make := func(name string, ip netip.Addr) *rivalDirector {
		i := newInstance(t, name, ringConfig(ip, directors, []string{benchBackends}, ""))
		return &rivalDirector{
			t: t, start: func() { i.start("unix:director-admin") },
			pid:       func() int { return i.process("director") },
			authreply: i.path("director-authreply"), admin: i.adminSocket(),
		}
	}
	return rival{"Dovecot", make("r1", ips[0]), make("r2", ips[1])}
}

// users asks a director how many users each backend has.
func (d *rivalDirector) users() map[string]int {
	d.t.Helper()
	users := make(map[string]int)
	for _, row := range d.list("HOST-LIST") {
		users[row[0]] = number(d.t, row[2])
	}
	return users
}

// synced reports whether a director says that it, and all others that it can reach, are synced, and
// how many it can reach.
func (d *rivalDirector) synced() (peers int, synced bool) {
	d.t.Helper()
	synced = true
	for _, row := range d.list("DIRECTOR-LIST") {
		if len(row) < 6 {
			continue // not reached
		}
		if row[2] == "self" {
			synced = synced && row[4] == "ring synced"
			continue
		}
		peers++
		synced = synced && row[4] == "synced"
	}
	return peers, synced
}

// list makes a query whose answer is rows of fields.
func (d *rivalDirector) list(command string) (rows [][]string) {
	d.t.Helper()
	c := d.dial()
	defer c.Close()
	c.say(command)
	for line := c.line(); line != ""; line = c.line() {
		rows = append(rows, strings.Split(line, "\t"))
	}
	return rows
}
