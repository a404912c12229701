//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// guide returns the code blocks of the guide to replacing a ring, in their order.
func guide(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(documents, "migrate.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for n, part := range strings.Split(string(text), "```\n") {
		if n%2 == 1 {
			blocks = append(blocks, strings.ReplaceAll(strings.TrimSpace(part), "\n   ", "\n"))
		}
	}
	return blocks
}

// types runs a block of the guide in a shell on a host, and returns what it prints. The programs
// are those of the host.
func (s *site) types(block string) result {
	s.proxy.t.Helper()
	block = strings.NewReplacer("/run/dovecot/", s.proxy.path("")+"/", "USER", userNames(1)[0]).
		Replace(block)
	shell := fmt.Sprintf(
		"director() { %q \"$@\" -a %q; }\ndoveadm() { command doveadm -c %q \"$@\"; }\n",
		program, s.director.socket(), s.proxy.configPath())
	return runProgram(s.proxy.t, "", "bash", "-c", shell+block)
}

// A ring of three Dovecot directors is replaced and brought back as the guide tells it, with its
// commands as they stand there.
func TestGuideToReplacingARing(t *testing.T) {
	t.Parallel()
	blocks := guide(t)
	if len(blocks) != 7 {
		t.Fatalf("the guide has %d blocks, this test knows 7: %q", len(blocks), blocks)
	}
	const hosts = 3
	backends := startBackends(t, 2)
	users := userNames(12)
	for _, b := range backends {
		b.mark(users...)
	}
	var sites []*site
	var servers []string
	for i := range hosts {
		s := newSite(t, dovecot23, i+1, addresses(backends), "", "")
		sites = append(sites, s)
		servers = append(servers, fmt.Sprintf("%s:%d", s.ip, oldPort))
	}
	rings, meshes := make([]string, hosts), make([]string, hosts)
	for i, s := range sites {
		passdb := fmt.Sprintf(
			"listen = %s\nmail_location = maildir:/nonexistent\nprotocols = imap\n"+
				"passdb {\n  driver = static\n  args = password=pass proxy=y\n}\n", s.ip)
		rings[i] = passdb + fmt.Sprintf(`director_servers = %[1]s
director_mail_servers = %[2]s %[3]s
service imap-login {
  executable = imap-login director
}
service director {
  unix_listener login/director {
    mode = 0666
  }
  fifo_listener login/proxy-notify {
    mode = 0666
  }
  inet_listener {
    address = %[4]s
    port = %[5]d
  }
}
`, strings.Join(servers, " "), backends[0].ip, backends[1].ip, s.ip, oldPort)
		meshes[i] = passdb + `service imap-login {
  executable = imap-login x/director
}
login_proxy_notify_path = x/proxy-notify
service director {
  unix_listener director-admin {
    mode = 0
  }
}
`
		s.proxy.configure(rings[i])
		s.proxy.start(s.port(143), "unix:director-admin")
	}
	for _, s := range sites {
		awaitRing(t, s.proxy, hosts)
	}
	where := func(s *site) map[string]string {
		t.Helper()
		found := make(map[string]string)
		for _, user := range users {
			var err error
			if !eventually(startTime, func() bool { // login processes start anew after a reload
				var c *mailConn
				if c, err = loginIMAP(s.port(143), user, "pass"); err != nil {
					return false
				}
				defer c.Close()
				found[user], err = c.where()
				return err == nil
			}) {
				t.Fatalf("%s at %s: %v", user, s.director.name, err)
			}
		}
		return found
	}
	where(sites[0])
	for i, user := range users[:4] { // some users are not where they hash
		if got := sites[0].proxy.doveadm("director", "move", user,
			backends[i%2].ip.String()); got.status != 0 {
			t.Fatalf("doveadm director move: %+v", got)
		}
	}
	homes := where(sites[0])
	same := func(when string) {
		t.Helper()
		for _, s := range sites {
			for user, home := range where(s) {
				if home != homes[user] {
					t.Errorf("%s, at %s: %s is on %s, was on %s",
						when, s.director.name, user, home, homes[user])
				}
			}
		}
	}
	prints := func(s *site, block, want, what string) {
		t.Helper()
		var got result
		if !eventually(startTime, func() bool {
			got = s.types(block)
			return got.stdout == want
		}) {
			t.Fatalf("%s at %s: %+v", what, s.director.name, got)
		}
	}
	reload := func(i int, config string) {
		t.Helper()
		sites[i].proxy.configure(config)
		if got := sites[i].proxy.doveadm("reload"); got.status != 0 {
			t.Fatalf("doveadm reload: %+v", got)
		}
	}

	// 1. Directors beside the ring: the settings of the guide, with this test's addresses.
	for i, s := range sites {
		pairs := []string{"0.0.0.0:9091", fmt.Sprintf("%s:%d", s.ip, meshPort)}
		for n, other := range sites {
			pairs = append(pairs, fmt.Sprintf("host%d.example.org:9091", n+1),
				fmt.Sprintf("%s:%d", other.ip, meshPort))
		}
		path := filepath.Join(s.director.runDir, "director.yaml")
		if err := os.WriteFile(path,
			[]byte(strings.NewReplacer(pairs...).Replace(blocks[0])+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		s.director.flags = append(s.director.flags, "--config", path)
		sites[i].director.start()
	}
	for _, s := range sites {
		var got result
		if !eventually(syncTime, func() bool {
			got = s.types(blocks[1])
			return strings.Count(got.stdout, " synced ") == hosts
		}) {
			t.Fatalf("not %d rows that are synced: %+v", hosts, got)
		}
	}
	// 2. The mesh follows the ring.
	command := strings.NewReplacer("/run/dovecot/", sites[0].proxy.path("")+"/").Replace(blocks[2])
	args := append(strings.Fields(command)[1:], "-a", sites[0].director.socket())
	follow := exec.Command(program, args...)
	follow.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range sites {
		prints(s, blocks[3], "", "the sides differ")
	}
	// 3. Host by host, the one that is followed last; one goes back once.
	for _, i := range []int{1, 2} {
		reload(i, meshes[i])
		ours, _, _ := strings.Cut(sites[i].types(blocks[4]).stdout, " (")
		theirs, _, _ := strings.Cut(sites[0].types("doveadm "+blocks[4]).stdout, " (")
		if ours != theirs || !strings.HasPrefix(ours, "Current: ") {
			t.Errorf("host %d: %q, on the ring %q", i+1, ours, theirs)
		}
		same("one more host is switched")
		if i == 1 {
			reload(i, rings[i])
			awaitRing(t, sites[i].proxy, hosts)
			same("the host is back in the ring")
			reload(i, meshes[i])
		}
	}
	// 4. The last host.
	reload(0, meshes[0])
	if !eventually(startTime, func() bool {
		return sites[0].proxy.doveadm("director", "status").status != 0
	}) {
		t.Fatal("Dovecot's director does not go away")
	}
	_ = follow.Process.Signal(syscall.SIGINT)
	if err := follow.Wait(); err != nil {
		t.Errorf("import --follow: %v", err)
	}
	same("all hosts are switched")

	// And back.
	if got := sites[0].types("director flush all"); got.status != 0 {
		t.Errorf("flush all: %+v", got)
	}
	homes = where(sites[0])
	reload(0, rings[0])
	if !eventually(startTime, func() bool {
		return sites[0].proxy.doveadm("director", "status").status == 0
	}) {
		t.Fatal("Dovecot's director does not come back")
	}
	for line := range strings.Lines(sites[0].director.must("dump")) {
		words := slices.DeleteFunc(strings.Fields(line), func(w string) bool {
			return w == "-a" || w == sites[0].director.socket()
		})
		if got := sites[0].proxy.doveadm(words...); got.status != 0 {
			t.Errorf("doveadm %v: %+v", words, got)
		}
	}
	prints(sites[0], blocks[5], "", "the tables differ")
	for _, i := range []int{1, 2} {
		reload(i, rings[i])
	}
	for _, s := range sites {
		awaitRing(t, s.proxy, hosts)
	}
	same("back in the ring")
	prints(sites[0], blocks[6], "", "users differ")
}
