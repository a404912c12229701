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
	empty float64 // bytes that first used before the million users came
}

// rivalDirector is one director, ours or Dovecot's. Both speak the same protocols on their sockets.
type rivalDirector struct {
	t         *testing.T
	authreply string
	login     string
	admin     string
	start     func()
	stop      func()
	pid       func() int // of the process that is the director
}

// benchAuth lets every user in, with any password, and wants a proxy for each.
const benchAuth = `passdb {
  driver = static
  args = nopassword=y proxy=y
}
`

// meshRival is two directors of ours.
func meshRival(t *testing.T) rival {
	t.Helper()
	ips := []netip.Addr{newAddress(t), newAddress(t)}
	join := netip.AddrPortFrom(ips[0], meshPort).String() +
		"," + netip.AddrPortFrom(ips[1], meshPort).String()
	make := func(name string, ip netip.Addr) *rivalDirector {
		// A Dovecot without any session, so that the director can know that there is nobody to
		// kick. Its auth is behind the login door.
		proxy := newInstance(
			t, "proxy-"+name, "protocols =\nlisten = "+newAddress(t).String()+"\n"+benchAuth)
		proxy.start("unix:ipc", "unix:auth-login")
		d := newDirector(t, name, ip, "--mail-servers", benchBackends, "--join", join,
			"--kick-ipc", proxy.path("ipc"), "--auth-login-socket", proxy.path("auth-login"))
		return &rivalDirector{t: t, start: d.start, stop: d.stop, pid: d.pid,
			authreply: filepath.Join(d.runDir, "director-authreply"),
			login:     filepath.Join(d.runDir, "login", "director"),
			admin:     filepath.Join(d.runDir, "director-admin")}
	}
	return rival{name: "mesh", first: make("m1", ips[0]), next: make("m2", ips[1])}
}

// benchLogin is the login door of Dovecot's director, and the auth behind it.
const benchLogin = benchAuth + `service director {
  unix_listener login/director {
    mode = 0600
  }
}
`

// ringRival is two directors of Dovecot's.
func ringRival(t *testing.T) rival {
	t.Helper()
	ips := []netip.Addr{newAddress(t), newAddress(t)}
	var directors []string
	for _, ip := range ips {
		directors = append(directors, netip.AddrPortFrom(ip, ringPort).String())
	}
	make := func(name string, ip netip.Addr) *rivalDirector {
		i := newInstance(t, name, ringConfig(ip, directors, []string{benchBackends}, benchLogin))
		return &rivalDirector{
			t: t, start: func() { i.start("unix:director-admin") }, stop: i.stop,
			pid:       func() int { return i.process("director") },
			authreply: i.path("director-authreply"), login: i.path("login/director"),
			admin: i.adminSocket(),
		}
	}
	return rival{name: "Dovecot", first: make("r1", ips[0]), next: make("r2", ips[1])}
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
