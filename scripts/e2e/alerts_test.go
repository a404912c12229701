//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// prometheus is a Prometheus that scrapes directors every second.
type prometheus struct {
	t    *testing.T
	addr netip.AddrPort
	log  string
}

// shortWaits makes alerts happen two seconds after what they are about, if they wait at all: a test
// does not last for minutes. How long they wait is tested beside the rules.
var shortWaits = regexp.MustCompile(`(?m)^( +for:) .*$`)

// startPrometheus starts a Prometheus with the alert rules. It ends with the test.
func startPrometheus(t *testing.T, dir string, targets []string) *prometheus {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no prometheus: apt-get install prometheus")
		}
		t.Skip("no prometheus: apt-get install prometheus")
	}
	rules, err := os.ReadFile(filepath.Join("..", "observe", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("alerts.yml", shortWaits.ReplaceAllString(string(rules), "$1 2s"))
	config := write("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: director
    static_configs: [{targets: [%s]}]
`, strings.Join(targets, ", ")))
	ip := netip.MustParseAddr("127.0.0.1")
	p := &prometheus{t: t, addr: netip.AddrPortFrom(ip, freePort(t, ip))}
	p.log = filepath.Join(dir, "prometheus.log")
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(binary, "--config.file", config, "--web.listen-address", p.addr.String(),
		"--storage.tsdb.path", filepath.Join(dir, "prometheus"))
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			t.Logf("log of Prometheus:\n%s", lastLines(string(text), logLines))
		}
	})
	return p
}

// ask asks Prometheus for something and decodes the data of the answer.
func (p *prometheus) ask(path string, data any) error {
	asker := &http.Client{Timeout: commandTime}
	reply, err := asker.Get("http://" + p.addr.String() + path)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	answer := struct {
		Status string
		Data   any
	}{Data: data}
	if err := json.NewDecoder(reply.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return nil
}

// healthy reports how many targets Prometheus has scraped well.
func (p *prometheus) healthy() (n int, err error) {
	var data struct{ ActiveTargets []struct{ Health string } }
	err = p.ask("/api/v1/targets", &data)
	for _, target := range data.ActiveTargets {
		if target.Health == "up" {
			n++
		}
	}
	return n, err
}

// firing are the alerts that fire, with the labels that say about what.
func (p *prometheus) firing() (map[string]bool, error) {
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	err := p.ask("/api/v1/alerts", &data)
	alerts := make(map[string]bool)
	for _, a := range data.Alerts {
		if a.State != "firing" {
			continue
		}
		about := a.Labels["alertname"]
		for _, label := range []string{"instance", "peer", "backend", "reason"} {
			if value := a.Labels[label]; value != "" {
				about += " " + value
			}
		}
		alerts[about] = true
	}
	return alerts, err
}

// await waits for these alerts, and demands that no other one fires then.
func (p *prometheus) await(d time.Duration, want ...string) {
	p.t.Helper()
	wanted := make(map[string]bool)
	for _, alert := range want {
		wanted[alert] = true
	}
	within(p.t, d, func() error {
		firing, err := p.firing()
		if err != nil {
			return err
		}
		if diff := cmp.Diff(wanted, firing); diff != "" {
			return fmt.Errorf("alerts that fire (-want +got):\n%s", diff)
		}
		return nil
	})
}

// A real Prometheus scrapes a mesh to which many things happen at once. The alerts about these
// fire, and no others.
func TestAlerts(t *testing.T) {
	t.Parallel()
	port := freePort(t, netip.MustParseAddr("127.0.9.1")) // of all backends
	backends, listeners := []string{}, []net.Listener{}
	for i := range 4 {
		ip := fmt.Sprintf("127.0.9.%d", i+1)
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Close()
			}
		}()
		backends, listeners = append(backends, ip), append(listeners, l)
	}
	m := newMesh(t, 3, "--mail-servers", strings.Join(backends, " "),
		"--health-check", fmt.Sprintf("tcp:%d", port), "--kick-command", "false")
	config := filepath.Join(m.dir, "director.yaml")
	if err := os.WriteFile(config, []byte("log-level: info\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, d := range m.directors {
		at := netip.AddrPortFrom(d.addr.Addr(), freePort(t, d.addr.Addr())).String()
		targets = append(targets, at)
		d.start("--metrics", at, "--config", config)
	}
	m.awaitSynced(10*time.Second, m.directors...)
	p := startPrometheus(t, m.dir, targets)
	within(t, 20*time.Second, func() error {
		n, err := p.healthy()
		if err == nil && n < 3 {
			err = fmt.Errorf("%d of 3 directors are scraped", n)
		}
		return err
	})
	pause(t, 2*time.Second)                                            // for rates
	open := func(at string) string { return "DirectorMeshOpen " + at } // this mesh has no key
	p.await(15*time.Second, open(targets[0]), open(targets[1]), open(targets[2]))

	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	d3.kill()
	listeners[0].Close()
	d2.signal(syscall.SIGSTOP)
	pause(t, 1500*time.Millisecond)
	d2.signal(syscall.SIGCONT)
	if err := os.WriteFile(config, []byte("log-level: loud\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d1.signal(syscall.SIGHUP)
	must(t, d1, "lookup", "alice")
	must(t, d1, "move", "--wait", "alice", backends[1])
	must(t, d1, "move", "--wait", "alice", backends[2])
	other := m.describe()
	other.start("--mesh-name", "other", "--join", d1.addr.String())
	at1, at2, at3 := targets[0], targets[1], targets[2]
	failed := "DirectorBackendFailed " + backends[0] // until no other one is usable
	alerts := []string{
		"DirectorDown " + at3,
		open(at1), open(at2),
		"DirectorPeerUnreachable " + at1 + " d3", "DirectorPeerUnreachable " + at2 + " d3",
		failed,
		"DirectorPaused " + at2,
		"DirectorSettingsBad " + at1,
		"DirectorKicksFail " + at1, "DirectorKicksFail " + at2,
		"DirectorRefused " + at1 + " mesh",
	}
	p.await(40*time.Second, alerts...)

	for _, backend := range backends {
		must(t, d1, "down", backend)
	}
	waits := exec.Command(program, "-a", d1.socket(), "lookup", "bob")
	if err := waits.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = waits.Process.Kill()
		_ = waits.Wait()
	})
	alerts[slices.Index(alerts, failed)] = "DirectorBackendKept " + backends[0]
	p.await(20*time.Second, append(alerts,
		"DirectorNoUsableBackend", "DirectorLookupsWait "+at1+" no_backend")...)
}
