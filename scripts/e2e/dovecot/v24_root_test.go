//go:build e2e

package dovecot

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// rootTime bounds the making of the directory with Debian trixie in it.
const rootTime = 6 * time.Minute

// made24 is the directory that root24 made, "" if none; TestMain removes it.
var made24 string

// root24 is a directory with Debian trixie and its Dovecot 2.4, made once for all tests. DIRECTOR_E2E_TRIXIE can name one that
// is there already.
var root24 = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv("DIRECTOR_E2E_TRIXIE"); dir != "" {
		return dir, nil
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		return "", fmt.Errorf("%w; apt-get install debootstrap, or name a directory in DIRECTOR_E2E_TRIXIE", err)
	}
	dir, err := os.MkdirTemp("", "dv24-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("debootstrap", "--variant=minbase", "--include=dovecot-imapd,dovecot-lmtpd", "trixie", dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	timer := time.AfterFunc(rootTime, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	if err := cmd.Run(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("debootstrap: %w: %s", err, lastLines(out.String(), 3))
	}
	made24 = dir
	return dir, nil
})

// proxy24 is a Dovecot 2.4 proxy in the root directory.
type proxy24 struct {
	t    *testing.T
	name string
	root string
	cmd  *exec.Cmd
	done chan struct{}
}

// newProxy24 prepares a proxy; without Debian trixie's packages the test is skipped.
func newProxy24(t *testing.T, name string) *proxy24 {
	t.Helper()
	root, err := root24()
	if err != nil {
		t.Skipf("Dovecot 2.4 is not tested: %v", err)
	}
	p := &proxy24{t: t, root: root, name: fmt.Sprintf("%s-%d", name, os.Getpid())}
	if err := os.MkdirAll(p.path("login/x"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, lastLines(p.log(), logLines))
		}
		for _, path := range []string{p.path(""), p.inRoot(p.configPath()), p.inRoot(p.logPath())} {
			os.RemoveAll(path)
		}
	})
	return p
}

// The paths as Dovecot sees them, which runs with root as its root directory.
func (p *proxy24) base() string       { return "/run/" + p.name }
func (p *proxy24) configPath() string { return "/etc/dovecot/" + p.name + ".conf" }
func (p *proxy24) logPath() string    { return "/var/log/" + p.name + ".log" }

func (p *proxy24) inRoot(path string) string { return filepath.Join(p.root, path) }

// path is where a file of base_dir is.
func (p *proxy24) path(name string) string { return p.inRoot(filepath.Join(p.base(), name)) }

func (p *proxy24) log() string {
	text, err := os.ReadFile(p.inRoot(p.logPath()))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// start runs the proxy and waits until it listens.
func (p *proxy24) start(config string, addresses ...string) {
	p.t.Helper()
	common := fmt.Sprintf(`dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = %s
state_dir = %s/state
log_path = %s
ssl = no
auth_allow_cleartext = yes
auth_failure_delay = 0
instance_name = %s
`, p.base(), p.base(), p.logPath(), p.name)
	if err := os.WriteFile(p.inRoot(p.configPath()), []byte(common+config), 0o644); err != nil {
		p.t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("chroot", p.root, "dovecot", "-F", "-c", p.configPath())
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		_ = cmd.Wait() // the log says why
		close(done)
	}()
	for _, address := range addresses {
		if !eventually(startTime, func() bool {
			c, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		}) {
			p.t.Fatalf("%s does not listen at %s: %s%s", p.name, address, &stderr, p.log())
		}
	}
}

func (p *proxy24) stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.done:
	case <-time.After(stopTime):
		p.t.Errorf("%s has not ended after %v", p.name, stopTime)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	p.cmd = nil
}

// site24 is a Dovecot 2.4 proxy with its director beside it.
type site24 struct {
	proxy    *proxy24
	director *director
	ip       netip.Addr
	fields   string
}

func (s *site24) port(n uint16) string { return netip.AddrPortFrom(s.ip, n).String() }

// newSite24 describes a proxy and its director on one address. fields are passdb fields beside proxy.
func newSite24(t *testing.T, n, address int, backends []*backend, fields string, flags ...string) *site24 {
	t.Helper()
	var list []string
	for _, ip := range addresses(backends) {
		list = append(list, ip.String())
	}
	s := &site24{ip: loopback(address), fields: fields, proxy: newProxy24(t, fmt.Sprintf("v%d", n))}
	s.director = newDirector(t, fmt.Sprintf("d%d", n), s.ip, append([]string{
		"--mail-servers", strings.Join(list, " "),
		"--auth-login-socket", s.proxy.path("auth-login"),
		"--auth-userdb-socket", s.proxy.path("auth-userdb"),
	}, flags...)...)
	s.director.held = []string{
		"login=" + s.proxy.path("login/x/director"),
		"userdb=" + s.proxy.path("director-userdb"),
		"notify=" + s.proxy.path("login/x/proxy-notify"),
	}
	return s
}

// startSites24 starts the directors and then the proxies beside them.
func startSites24(t *testing.T, sites ...*site24) {
	t.Helper()
	var directors []*director
	for _, s := range sites {
		directors = append(directors, s.director)
	}
	startMesh(t, directors...)
	for _, s := range sites {
		s.proxy.start(s.config(), s.port(143), s.port(24))
	}
}

// kickingSites24 starts n proxies with a director each that lists and ends its proxy's sessions.
func kickingSites24(t *testing.T, backends []*backend, n, address int, fields string) []*site24 {
	t.Helper()
	var sites []*site24
	for i := range n {
		s := newSite24(t, i+1, address+i, backends, fields)
		s.director.flags = append(s.director.flags, "--kick-anvil", s.proxy.path("anvil"))
		sites = append(sites, s)
	}
	startSites24(t, sites...)
	return sites
}

func (s *site24) config() string {
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
  auth_socket_path = %[2]s/director-userdb
}
service lmtp {
  inet_listener lmtp {
    listen = %[1]s
    port = 24
  }
}
`, s.ip, s.proxy.base(), s.fields)
}

// login opens an IMAP session and returns it with the name of its backend.
func (s *site24) login(t *testing.T, user string) (*mailConn, string) {
	t.Helper()
	return openIMAP(t, s.port(143), user)
}
