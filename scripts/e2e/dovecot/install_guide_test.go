//go:build e2e

package dovecot

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/scripts/e2e/netns"
)

// blocksElsewhere are parts of the blocks of cli/doc/install.md that other tests follow.
var blocksElsewhere = map[string]string{
	"apt remove":                         "TestPackage",
	"apt purge":                          "TestPackage",
	"make install":                       "TestSystemd",
	"service/imap-login/executable":      "TestSystemd",
	"executable = imap-login director\n": "TestDovecotService",
	"drop_priv_before_exec":              "TestDovecotService24",
}

// newcomer is somebody who follows cli/doc/install.md on the hosts of its example.
type newcomer struct {
	t        *testing.T
	hosts    []*packaged
	places   []*netns.Host // of the hosts
	backends []*fakeBackend
	desk     *netns.Host // another host of the network
	done     []string    // blocks of the guide that were followed
}

// followGuide makes a mesh of three hosts, each with a systemd and a Dovecot of its own, by the
// commands of the guide as they are written: with key, metrics, page, checks of backends, logins.
// It is upgraded, too.
func followGuide(t *testing.T, root, first, second string) {
	n := &newcomer{t: t}
	n.hasHosts(root, first)
	n.makesMesh()
	n.looks()
	n.logsIn()
	n.losesBackend()
	n.letsOperatorsIn()
	n.upgrades(second)
	n.holds(n.hosts[2])
	for _, block := range guideBlocks(t) {
		elsewhere := false
		for part := range blocksElsewhere {
			elsewhere = elsewhere || strings.Contains(block, part)
		}
		if !elsewhere && !slices.Contains(n.done, block) {
			t.Errorf("no test follows this block of the guide:\n%s", block)
		}
	}
}

// exampleAddress is one of the guide's example.
func exampleAddress(number int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 12, 90, byte(number)}), 24)
}

// hasHosts starts the hosts of the example: proxies whose Dovecot runs already, and backends.
func (n *newcomer) hasHosts(root, deb string) {
	network := netns.New(n.t)
	n.desk = network.Host("desk", exampleAddress(200))
	for i := range 3 {
		address := exampleAddress(11 + i)
		n.backends = append(n.backends, startFakeBackend(n.t,
			network.Host(fmt.Sprintf("backend%d", i+1), address), address.Addr()))
	}
	for i := range 3 {
		name := fmt.Sprintf("proxy%d", i+1)
		place := network.Host(name, exampleAddress(1+i))
		host := newPackaged(n.t, bootHost(n.t, place, root, name))
		n.places, n.hosts = append(n.places, place), append(n.hosts, host)
		host.write("/etc/dovecot/local.conf", proxyingUsers[host.dovecot()], 0o644)
		host.must("sed", "-i", "/^!include auth-system/d", "/etc/dovecot/conf.d/10-auth.conf")
		host.must("systemctl", "start", "dovecot.service")
		host.brings(deb)
	}
}

// proxyingUsers are the part of Dovecot's configuration that is a site's own.
var proxyingUsers = map[release]string{
	dovecot24: `ssl = no
auth_allow_cleartext = yes
log_path = /var/log/dovecot.log
passdb static {
  password = pass
  fields {
    proxy = yes
  }
}
`,
	dovecot23: `ssl = no
disable_plaintext_auth = no
log_path = /var/log/dovecot.log
passdb {
  driver = static
  args = password=pass proxy=y
}
`,
}

// block is the one of the guide that has a part in it.
func (n *newcomer) block(part string) string {
	n.t.Helper()
	block := guideBlock(n.t, part)
	n.done = append(n.done, block)
	return block
}

// types runs a block of the guide on hosts, and returns what it prints on each.
func (n *newcomer) types(part string, hosts ...*packaged) (printed []string) {
	n.t.Helper()
	block := n.block(part)
	for _, host := range hosts {
		if host.dovecot() == dovecot23 { // as the guide says
			block = strings.ReplaceAll(block, "dovecot-2.4.conf", "dovecot-2.3.conf")
		}
		printed = append(printed, host.must("bash", "-c", "cd /root; set -e\n"+block))
	}
	return printed
}

// makesMesh is the guide up to the start of the directors.
func (n *newcomer) makesMesh() {
	n.t.Helper()
	n.types("apt install", n.hosts...)
	n.types("keys generate", n.hosts[0])
	key := n.hosts[0].must("cat", "/etc/director/keys")
	settings := n.block("mail-servers:")
	for _, host := range n.hosts {
		host.write("/etc/director/keys", key, 0o600)
		for line := range strings.Lines(settings) {
			host.edits(strings.TrimSpace(line))
		}
		if host.dovecot() == dovecot24 {
			host.edits("#kick-ipc: /run/dovecot/ipc", "kick-anvil: /run/dovecot/anvil")
		}
	}
	n.types("chown director: /etc/director/keys", n.hosts...)
	n.types("enable --now", n.hosts...)
}

// looks is the guide's look at the mesh, on each host, and from elsewhere.
func (n *newcomer) looks() {
	n.t.Helper()
	for i, printed := range n.types("ring status --wait", n.hosts...) {
		ring, rest, _ := strings.Cut(printed, "key id ")
		if strings.Count(ring, " synced ") != 3 || strings.Count(ring, " yes ") != 2 {
			n.t.Errorf("host %d: not three synced directors:\n%s", i+1, ring)
		}
		for _, b := range n.backends {
			if !strings.Contains(printed, b.ip.String()) {
				n.t.Errorf("host %d: no backend %s:\n%s", i+1, b.ip, printed)
			}
		}
		for _, want := range []string{"encrypts", "\nready\n", "\ndirector_synced 1\n",
			`director_backend_users{backend="10.12.90.13",tag=""} 0`} {
			if !strings.Contains(printed, want) {
				n.t.Errorf("host %d does not print %q:\n%s", i+1, want, rest)
			}
		}
		if !strings.Contains(n.hosts[i].logs(), `"encrypted":true`) {
			n.t.Errorf("host %d has not taken the key", i+1)
		}
		at := exampleAddress(1 + i).Addr()
		for path, want := range map[string]string{
			"/readyz": "ready\n", "/healthz": "", "/metrics": "\ndirector_synced 1\n",
		} {
			status, text := get(n.desk, fmt.Sprintf("http://%s:9091%s", at, path), nil)
			if status != 200 || !strings.Contains(text, want) {
				n.t.Errorf("host %d, %s from another host: %d %.300s", i+1, path, status, text)
			}
		}
		status, page := get(n.places[i], "http://127.0.0.1:9080/", nil)
		for _, want := range []string{"<!doctype html>", "proxy1", "proxy3", "10.12.90.11"} {
			if status != 200 || !strings.Contains(strings.ToLower(page), want) {
				n.t.Errorf("host %d: the page, %d, has no %q:\n%.500s", i+1, status, want, page)
			}
		}
		if status, _ := get(n.desk, fmt.Sprintf("http://%s:9080/", at), nil); status != 0 {
			n.t.Errorf("host %d serves the page to other hosts: %d", i+1, status)
		}
	}
}

// logsIn is the guide's part for Dovecot, after which one user logs in at all hosts.
func (n *newcomer) logsIn() {
	n.t.Helper()
	n.types("doveadm reload", n.hosts...)
	doctor := n.block("director doctor\n")
	var got result
	if !eventually(startTime, func() bool { // Dovecot takes its new configuration in a moment
		got = n.hosts[1].run("bash", "-c", doctor)
		return got.status == 0
	}) || got.stdout != "healthy; proxy1 proxy2 proxy3 answered\n" {
		n.t.Errorf("director doctor: %+v", got)
	}
	for i, host := range n.hosts {
		n.loginAt(i, "alice@example.org")
		status := host.must("director", "status", "alice@example.org")
		on := slices.IndexFunc(n.backends, func(b *fakeBackend) bool {
			return strings.Contains(status, "Current: "+b.ip.String()+" (expires ")
		})
		if on < 0 || n.backends[on].logins("alice@example.org") != i+1 {
			n.t.Errorf("host %d: after %d logins: %s", i+1, i+1, status)
		}
	}
	if n.hosts[0].dovecot() == dovecot24 {
		printed := n.types("doveconf login_socket_path", n.hosts...)
		checkDoveconf(n.t, printed[0], "x/director", "x/proxy-notify",
			"/run/director/director-userdb")
	} else {
		n.done = append(n.done, guideBlock(n.t, "doveconf login_socket_path"))
	}
}

// loginAt logs a user in at a host, from another one.
func (n *newcomer) loginAt(host int, user string) {
	n.t.Helper()
	var err error
	if !eventually(startTime, func() bool {
		var c net.Conn
		if err = n.desk.Do(func() (err error) {
			at := netip.AddrPortFrom(exampleAddress(1+host).Addr(), 143)
			c, err = net.DialTimeout("tcp", at.String(), 5*time.Second)
			return err
		}); err != nil {
			return false
		}
		defer c.Close()
		mail := &mailConn{Conn: c, in: bufio.NewReader(c)}
		if _, err = mail.expect("", "* OK", "* "); err == nil {
			_, err = mail.expect("a LOGIN "+user+" pass", "a OK", "a ", "* BYE")
		}
		return err == nil
	}) {
		n.t.Fatalf("%s at host %d: %v", user, host+1, err)
	}
}
