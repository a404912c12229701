//go:build e2e

package dovecot

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mailUser owns the mail of all users of the backends.
const mailUser = 65534

// backendConfig is the configuration of a Dovecot that holds mail: IMAP, POP3 and LMTP on their
// usual ports of an address. Every user exists, with any password; mail is kept in a directory that
// backends may share.
func backendConfig(ip netip.Addr, mail string) string {
	return fmt.Sprintf(`protocols = imap pop3 lmtp
listen = %[1]s
mail_location = maildir:~/Maildir
first_valid_uid = 1
login_trusted_networks = 127.0.0.0/8
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=%[3]d gid=%[3]d home=%[2]s/%%u
}
service lmtp {
  inet_listener lmtp {
    address = %[1]s
    port = 24
  }
}
namespace inbox {
  inbox = yes
}
`, ip, mail, mailUser)
}

// mailDir makes a directory for the mail of all users.
func mailDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "dv-mail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chown(dir, mailUser, mailUser); err != nil {
		t.Fatal(err)
	}
	return dir
}

// startBackend starts a Dovecot that holds mail, with more configuration.
func startBackend(t *testing.T, name string, ip netip.Addr, mail, more string) *instance {
	t.Helper()
	i := newInstance(t, name, backendConfig(ip, mail)+more)
	i.start(netip.AddrPortFrom(ip, 143).String(), netip.AddrPortFrom(ip, 110).String(),
		netip.AddrPortFrom(ip, 24).String())
	return i
}

// ringConfig is the configuration of a Dovecot that is a director of Dovecot's own kind. Logins are
// made through its director-authreply.
func ringConfig(ip netip.Addr, directors, backends []string, more string) string {
	return fmt.Sprintf(`protocols =
listen = %[1]s
director_servers = %[2]s
director_mail_servers = %[3]s
service director {
  unix_listener director-admin {
    mode = 0600
  }
  unix_listener director-authreply {
    mode = 0600
  }
  inet_listener ring {
    address = %[1]s
    port = %[4]d
  }
}
%[5]s`, ip, strings.Join(directors, " "), strings.Join(backends, " "), ringPort, more)
}

const (
	// ringPort is where Dovecot's directors listen for each other.
	ringPort = 9090
	// ringTime is how long Dovecot's directors may take to be synced: one that has failed to reach
	// another takes its time before it tries again. On a busy machine that was over 20 s.
	ringTime = 90 * time.Second
)

// startRing starts Dovecot's directors as a ring, and waits until they are synced.
func startRing(t *testing.T, n int, backends []string, more string) []*instance {
	t.Helper()
	var ips []netip.Addr
	var directors []string
	for range n {
		ip := newAddress(t)
		ips, directors = append(ips, ip),
			append(directors, netip.AddrPortFrom(ip, ringPort).String())
	}
	var ring []*instance
	for i, ip := range ips {
		d := newInstance(t, fmt.Sprintf("ring%d", i+1), ringConfig(ip, directors, backends, more))
		d.start("unix:director-admin")
		ring = append(ring, d)
	}
	for _, d := range ring {
		awaitRing(t, d, n)
	}
	return ring
}

// awaitRing waits until a director of a ring is synced with all others.
func awaitRing(t *testing.T, d *instance, n int) {
	t.Helper()
	var got result
	if !eventually(ringTime, func() bool {
		got = d.doveadm("director", "ring", "status")
		lines := strings.Count(got.stdout, "\n")
		return got.status == 0 && strings.Contains(got.stdout, "ring synced") && lines >= n+1 &&
			!strings.Contains(got.stdout, "handshaking")
	}) {
		t.Fatalf("%s is not synced: %s%s", d.name, got.stdout, got.stderr)
	}
}

// adminSocket is where doveadm asks a director that is Dovecot's own.
func (i *instance) adminSocket() string { return filepath.Join(i.path(""), "director-admin") }
