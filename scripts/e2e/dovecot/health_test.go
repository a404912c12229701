//go:build e2e

package dovecot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outTime and backTime are until a backend that fails is out of use everywhere, and until one that
// works again is back: 6 s and three rounds of agreement, after the checks have shown it, and as
// much again where checks of a busy machine fail for want of time.
const (
	outTime  = 60 * time.Second
	backTime = 90 * time.Second
)

// healths are what a director says of each backend, by address.
func (d *director) healths() map[string]string {
	d.t.Helper()
	got := d.ask("health", "--json") // any status
	var seen struct {
		Backends []struct{ IP, Health string }
	}
	if err := json.Unmarshal([]byte(got.stdout), &seen); err != nil {
		d.t.Fatalf("health of %s: %v: %+v", d.name, err, got)
	}
	healths := make(map[string]string)
	for _, b := range seen.Backends {
		healths[b.IP] = b.Health
	}
	return healths
}

// awaitHealth waits until all directors say the same of a backend.
func awaitHealth(
	t *testing.T, within time.Duration, want string, ip netip.Addr, directors ...*director,
) {
	t.Helper()
	var last string
	if !eventually(within, func() bool {
		for _, d := range directors {
			if last = d.name + ": " + d.healths()[ip.String()]; !strings.HasSuffix(last, " "+want) {
				return false
			}
		}
		return true
	}) {
		t.Fatalf("%v is not %s within %v; %s; %s", ip, want, within, last,
			directors[0].ask("health", "-v").stdout)
	}
}

// awaitReason waits until a director says why a backend has failed, with one of the texts, which
// have | between them. On a busy machine a check may have failed before that for want of time.
func awaitReason(t *testing.T, texts string, d *director) {
	t.Helper()
	var got result
	if !eventually(outTime, func() bool {
		got = d.ask("health")
		for text := range strings.SplitSeq(texts, "|") {
			if got.status == 1 && strings.Contains(got.stdout, text) {
				return true
			}
		}
		return false
	}) {
		t.Errorf("when it has failed: %+v, want %q", got, texts)
	}
}

// family are a process and all its descendants.
func family(pid int) (pids []int) {
	pids = []int{pid}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, family(child)...)
			}
		}
	}
	return pids
}

// signalAll sends a signal to all processes of a Dovecot.
func (i *instance) signalAll(s syscall.Signal) {
	for _, pid := range family(i.cmd.Process.Pid) {
		_ = syscall.Kill(pid, s) // some end by themselves
	}
}

// watchedMesh starts three directors that check real backends, with a test user who logs in.
func watchedMesh(t *testing.T, backends []*backend) []*director {
	t.Helper()
	var list []string
	for _, b := range backends {
		list = append(list, b.ip.String())
	}
	login := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(login, []byte("test:pass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var directors []*director
	for n := range 3 {
		directors = append(directors, newDirector(t, fmt.Sprintf("d%d", n+1), newAddress(t),
			"--mail-servers", strings.Join(list, " "),
			"--health-check", "imap:143,pop3:110,lmtp:24", "--health-login", login))
	}
	startMesh(t, directors...)
	for _, b := range backends {
		awaitHealth(t, outTime, "good", b.ip, directors...)
	}
	return directors
}

// TestFailedDovecot lets a real backend fail, in several ways. It is out of use, a user on it is
// moved at the next login, operators' states stay as they are, and it comes back.
func TestFailedDovecot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		fails  func(b *backend)
		works  func(b *backend) // nil: it stays as it is
		reason string           // one of these, with | between them
	}{
		{"stopped", func(b *backend) { b.stop() }, nil, "connection refused"},
		{
			"frozen", func(b *backend) { b.signalAll(syscall.SIGSTOP) },
			func(b *backend) { b.signalAll(syscall.SIGCONT) },
			"no greeting in time",
		},
		{
			"greets without login", func(b *backend) { b.reload(denyConfig(b)) }, nil,
			// Dovecot refuses at once or seconds later: its delays grow with each refusal.
			"login of the test user refused|no answer to LOGIN in time",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			backends := startBackends(t, 3)
			directors := watchedMesh(t, backends)
			d1, failing := directors[0], backends[0]
			defer func() {
				if failing.cmd != nil { // one that is frozen does not end
					failing.signalAll(syscall.SIGCONT)
				}
			}()
			user := d1.userAt(failing.ip)
			d1.must("lookup", user)
			if got := d1.ask("health"); got.status != 0 {
				t.Errorf("at first: %+v", got)
			}

			test.fails(failing)
			awaitHealth(t, outTime, "failed", failing.ip, directors...)
			awaitReason(t, test.reason, d1)
			if state := d1.must("status"); !strings.Contains(state, "up, failed") {
				t.Errorf("status: %s", state)
			}
			m := poolmon{t, filepath.Join(d1.runDir, "director-admin")}
			for host, state := range m.states() {
				if state != "U" {
					t.Errorf("doveadm and poolmon see %s in the state %s", host, state)
				}
			}
			at := directors[1].must("lookup", user)
			if strings.Contains(at, failing.ip.String()) {
				t.Errorf("at the next login the user is sent to %s", at)
			}
			if again := directors[2].must("lookup", user); again != at {
				t.Errorf("sent to %s, then to %s", at, again)
			}

			if test.works == nil {
				return
			}
			test.works(failing)
			awaitHealth(t, backTime, "good", failing.ip, directors...)
			if got := d1.ask("health"); got.status != 0 {
				t.Errorf("at last: %+v", got)
			}
		})
	}
}

// denyConfig is a backend that lets nobody in.
func denyConfig(b *backend) string {
	return strings.Replace(backendConfig(b.ip, b.mail), "args = nopassword=y",
		"args = password=another", 1)
}

// reload gives a running backend another configuration.
func (b *backend) reload(config string) {
	b.t.Helper()
	b.configure(config)
	if got := b.doveadm("reload"); got.status != 0 {
		b.t.Fatalf("reload: %+v", got)
	}
}
