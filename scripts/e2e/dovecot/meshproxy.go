//go:build e2e

package dovecot

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// proxyConfig is the configuration of a Dovecot that proxies IMAP, POP3 and LMTP to where its
// director says. Users log in with the password "pass"; more passdb fields and settings can be
// added.
func proxyConfig(ip netip.Addr, userdb, fields, more string) string {
	return fmt.Sprintf(`protocols = imap pop3 lmtp
listen = %[1]s
mail_location = maildir:/nonexistent
first_valid_uid = 1
auth_cache_size = 0
passdb {
  driver = static
  args = password=pass proxy=y %[3]s
}
userdb {
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}
service imap-login {
  executable = imap-login x/director
}
service pop3-login {
  executable = pop3-login x/director
}
login_proxy_notify_path = x/proxy-notify
lmtp_proxy = yes
protocol lmtp {
  auth_socket_path = %[2]s
}
service lmtp {
  inet_listener lmtp {
    address = %[1]s
    port = 24
  }
}
%[4]s`, ip, userdb, fields, more)
}

// proxyConfig24 is proxyConfig for Dovecot 2.4, without POP3.
func proxyConfig24(ip netip.Addr, userdb, fields, more string) string {
	return fmt.Sprintf(`protocols = imap lmtp
listen = %[1]s
mail_driver = maildir
mail_path = /nonexistent
login_socket_path = x/director
login_proxy_notify_path = x/proxy-notify
passdb static {
  password = pass
  fields {
    proxy = yes
    %[3]s
  }
}
userdb static {
  fields {
    uid = 65534
    gid = 65534
    home = /nonexistent
  }
}
lmtp_proxy = yes
protocol lmtp {
  auth_socket_path = %[2]s
}
service lmtp {
  inet_listener lmtp {
    listen = %[1]s
    port = 24
  }
}
%[4]s`, ip, userdb, fields, more)
}

// site is a proxy with its director beside it.
type site struct {
	proxy    *instance
	director *director
	ip       netip.Addr
}

// newSite describes a proxy and its director on one address. The director's sockets and the FIFO
// are kept open by "director hold", as a service manager would do. fields are passdb fields beside
// proxy, and more is configuration, in the syntax of the release.
func newSite(
	t *testing.T, r release, n int, backends []netip.Addr, fields, more string, flags ...string,
) *site {
	t.Helper()
	s := &site{ip: newAddress(t), proxy: newInstanceOf(t, r, fmt.Sprintf("p%d", n), "")}
	var list []string
	for _, b := range backends {
		list = append(list, b.String())
	}
	s.director = newDirector(t, fmt.Sprintf("d%d", n), s.ip, append([]string{
		"--mail-servers", strings.Join(list, " "),
		"--auth-login-socket", s.proxy.path("auth-login"),
		"--auth-userdb-socket", s.proxy.path("auth-userdb"),
	}, flags...)...)
	s.director.keptOpen = []string{
		"login=" + s.proxy.path("login/x/director"),
		"userdb=" + s.proxy.path("director-userdb"),
		"notify=" + s.proxy.path("login/x/proxy-notify"),
	}
	config := proxyConfig
	if r == dovecot24 {
		config = proxyConfig24
	}
	s.proxy.configure(config(s.ip, s.proxy.seen("director-userdb"), fields, more))
	return s
}

// kicks lets the director list and end the proxy's sessions.
func (s *site) kicks() *site {
	if s.proxy.release == dovecot24 {
		s.director.flags = append(s.director.flags, "--kick-anvil", s.proxy.path("anvil"))
	} else {
		s.director.flags = append(s.director.flags, "--kick-ipc", s.proxy.path("ipc"))
	}
	return s
}

// doveadm runs "doveadm director …" of Dovecot 2.3, whatever the proxy's release, against the
// site's director. It must succeed.
func (s *site) doveadm(command string, args ...string) string {
	s.proxy.t.Helper()
	args = append([]string{
		"director", command, "-a", filepath.Join(s.director.runDir, "director-admin"),
	}, args...)
	got := runProgram(s.proxy.t, "", "doveadm", args...)
	if got.status != 0 {
		s.proxy.t.Fatalf("doveadm %s: %+v", strings.Join(args, " "), got)
	}
	return got.stdout + got.stderr
}

// port returns where the proxy listens for a protocol.
func (s *site) port(n uint16) string { return netip.AddrPortFrom(s.ip, n).String() }

// startSites starts the directors and then the proxies beside them.
func startSites(t *testing.T, sites ...*site) {
	t.Helper()
	var directors []*director
	for _, s := range sites {
		directors = append(directors, s.director)
	}
	startMesh(t, directors...)
	for _, s := range sites {
		ports := []string{s.port(143), s.port(24)}
		if s.proxy.release == dovecot23 {
			ports = append(ports, s.port(110))
		}
		s.proxy.start(ports...)
	}
}

// startProxies starts n proxies with a director each that lists and ends its proxy's sessions.
func startProxies(
	t *testing.T, r release, backends []*backend, n int, fields string, flags ...string,
) []*site {
	t.Helper()
	var sites []*site
	for i := range n {
		sites = append(sites, newSite(t, r, i+1, addresses(backends), fields, "", flags...).kicks())
	}
	startSites(t, sites...)
	return sites
}

// backend is a Dovecot that holds mail in a directory of its own, so that a mail tells where it was
// delivered.
type backend struct {
	*instance
	ip   netip.Addr
	mail string
}

func startBackends(t *testing.T, n int) []*backend {
	t.Helper()
	return startBackendsWith(t, n, "")
}

// startBackendsWith is startBackends with more configuration.
func startBackendsWith(t *testing.T, n int, more string) []*backend {
	t.Helper()
	var list []*backend
	for i := range n {
		b := &backend{ip: newAddress(t), mail: mailDir(t)}
		b.instance = startBackend(t, fmt.Sprintf("b%d", i+1), b.ip, b.mail, more)
		list = append(list, b)
	}
	return list
}

func addresses(backends []*backend) []netip.Addr {
	var list []netip.Addr
	for _, b := range backends {
		list = append(list, b.ip)
	}
	return list
}

// mark puts a mail into a user's mailbox whose subject names the backend.
func (b *backend) mark(users ...string) {
	b.t.Helper()
	for _, user := range users {
		dir := b.mail
		for _, name := range []string{user, "Maildir", "new"} {
			dir = filepath.Join(dir, name)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				b.t.Fatal(err)
			}
			if err := os.Chown(dir, mailUser, mailUser); err != nil {
				b.t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "1000000000.mark.host")
		err := os.WriteFile(file, []byte("Subject: on "+b.name+"\n\nmark\n"), 0o600)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.Chown(file, mailUser, mailUser); err != nil {
			b.t.Fatal(err)
		}
	}
}
