//go:build e2e

package dovecot

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The packaged units.
var packagedUnits = []string{
	"director.service", "director-login.socket", "director-userdb.socket",
	"director-authreply.socket", "director-admin.socket", "director-notify.socket",
}

// The deb, on Debians that have a systemd and have never seen a director, by the commands of the
// guide. On one host it is installed and answers, gets a key, is upgraded, removed and purged:
// settings and state outlive what they should, and nothing is left in the end. Three more hosts
// become a mesh. DIRECTORMESH_RELEASES can name other releases, such as trixie,bookworm.
func TestPackage(t *testing.T) {
	t.Parallel()
	first, second := buildPackage(t, "deb", "1.0.0"), buildPackage(t, "deb", "1.0.1")
	releases := []string{"trixie"}
	if others := os.Getenv("DIRECTORMESH_RELEASES"); others != "" {
		releases = strings.Split(others, ",")
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			root := releaseRoot(t, release)
			t.Run("one host", func(t *testing.T) {
				t.Parallel()
				newPackaged(t, bootRoot(t, root)).comesAndGoes(first, second)
			})
			t.Run("without Dovecot", func(t *testing.T) {
				if os.Getenv("DIRECTORMESH_RELEASES") == "" {
					t.Skip("takes DIRECTORMESH_RELEASES")
				}
				t.Parallel()
				p := newPackaged(t, bootRoot(t, root))
				p.must("apt-get", "-q", "purge", "dovecot-core")
				p.comesAndGoes(first, second)
			})
			t.Run("three hosts", func(t *testing.T) {
				t.Parallel()
				followGuide(t, root, first, second)
			})
		})
	}
}

// comesAndGoes is all that happens to the package on one host.
func (p *packaged) comesAndGoes(first, second string) {
	p.t.Helper()
	before := p.files()
	p.installs(first)
	p.getsKey()
	if _, err := os.Stat(p.path("/usr/sbin/dovecot")); err == nil {
		p.asksDovecot()
	}
	p.upgrades(second)
	p.goes(before)
}

// buildPackage builds the deb or rpm of a version.
func buildPackage(t *testing.T, kind, version string) string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../package", kind)
	cmd.Env = append(os.Environ(), "VERSION="+version, "OUT="+out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the %s: %v: %s", kind, err, text)
	}
	built, err := filepath.Glob(filepath.Join(out, "*."+kind))
	if err != nil || len(built) != 1 {
		t.Fatalf("built: %q, %v", built, err)
	}
	return built[0]
}

// releaseRoot returns a directory with a release of Debian, its Dovecot and systemd.
// DIRECTORMESH_ and its name can name one that is there already.
func releaseRoot(t *testing.T, release string) string {
	t.Helper()
	if release == "trixie" {
		return dovecot24.root(t)
	}
	if root := os.Getenv("DIRECTORMESH_" + strings.ToUpper(release)); root != "" {
		return root
	}
	root := t.TempDir()
	if err := makeRoot(release, root, hostPackages); err != nil {
		t.Fatal(err)
	}
	return root
}

// packaged is a machine on which the deb is installed.
type packaged struct{ *machine }

func newPackaged(t *testing.T, m *machine) *packaged {
	t.Helper()
	// Nobody sits there to be asked.
	m.write("/etc/apt/apt.conf.d/e2e", "APT::Get::Assume-Yes \"true\";\n", 0o644)
	m.logsToFile()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(lastLines(m.logs(), logLines))
		}
	})
	return &packaged{m}
}

// types runs a block of the guide in a directory in which the deb is.
func (p *packaged) types(part string) string {
	p.t.Helper()
	return p.must("bash", "-c", "cd /root\n"+installBlock(p.t, part))
}

// brings puts a package where types looks for it, in place of the one before.
func (p *packaged) brings(file string) {
	p.t.Helper()
	old, err := filepath.Glob(p.path("/root/*" + filepath.Ext(file)))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			p.t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("/root/"+filepath.Base(file), string(raw), 0o644)
}

// files are those of the machine that packages and their scripts could make, but not those of dpkg
// and apt, and not the copies that are made when users are.
func (p *packaged) files() []string {
	p.t.Helper()
	return slices.DeleteFunc(
		strings.Fields(p.must("find", "/etc", "/run", "/usr", "/var/lib", "-xdev")),
		func(path string) bool {
			for _, others := range []string{
				"/var/lib/dpkg/", "/var/lib/apt/", "/run/systemd/", "/etc/.pwd.lock",
				"/var/lib/systemd/deb-systemd-helper-", "/run/lock",
			} {
				if strings.HasPrefix(path, others) && !strings.Contains(path, "director") {
					return true
				}
			}
			return strings.HasPrefix(path, "/etc/") && strings.HasSuffix(path, "-")
		})
}

// is demands what systemctl says of all units, or of one.
func (p *packaged) is(question, want string, units ...string) {
	p.t.Helper()
	if len(units) == 0 {
		units = packagedUnits
	}
	got := p.run(append([]string{"systemctl", question}, units...)...).stdout
	if want := strings.Repeat(want+"\n", len(units)); got != want {
		p.t.Errorf("systemctl %s %q: %q, want %q\n%s", question, units, got, want,
			p.run("systemctl", "status", "--no-pager", "director*").stdout)
	}
}

// shows demands that a command prints something.
func (p *packaged) shows(want string, command ...string) {
	p.t.Helper()
	if got := p.must(command...); !strings.Contains(got, want) {
		p.t.Errorf("%q prints %q, want %q in it", command, got, want)
	}
}

// edits gives settings other values, as an operator does with an editor: a line in the place of the
// first one with the setting, be it a comment or not.
func (p *packaged) edits(lines ...string) {
	p.t.Helper()
	const path = "/etc/director/director.yaml"
	settings := p.must("cat", path)
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		old := regexp.MustCompile(`(?m)^#?` + strings.TrimPrefix(name, "#") + `:.*$`).
			FindString(settings)
		if old == "" {
			p.t.Fatalf("director.yaml has no line for %q:\n%s", line, settings)
		}
		settings = strings.Replace(settings, old, line, 1)
	}
	p.write(path, settings, 0o644)
}

func (p *packaged) installs(deb string) {
	p.t.Helper()
	p.brings(deb)
	p.types("apt install")
	p.is("is-active", "active")
	p.is("is-enabled", "enabled")
	p.shows("director 1.0.0 ", "director", "version")
	p.shows("127.0.0.1", "director", "ring", "status", "--wait")
	p.shows("director director 700", "stat", "-c", "%U %G %a", "/var/lib/director")
	if ok, err := p.hasReader("/run/dovecot/login/x/proxy-notify"); !ok {
		p.t.Errorf("nobody reads the FIFO: %v", err)
	}
	for _, name := range []string{"README.md", "alerts.yml", "alerts_test.yml", "dashboard.json"} {
		want, err := os.ReadFile(filepath.Join("../../observe", name))
		if err != nil {
			p.t.Fatal(err)
		}
		p.shows(string(want), "cat", "/usr/share/director/observe/"+name)
	}
	for _, file := range []string{
		"/usr/share/man/man1/director.1.gz", "/usr/share/man/man5/director.yaml.5.gz",
		"/usr/share/bash-completion/completions/director",
		"/usr/share/zsh/vendor-completions/_director",
		"/usr/share/fish/vendor_completions.d/director.fish",
		"/usr/share/doc/director/copyright", "/usr/share/director/dovecot-2.4.conf",
	} {
		if info, err := os.Stat(p.path(file)); err != nil || info.Size() == 0 {
			p.t.Errorf("%s: %v", file, err)
		}
	}
}

// getsKey edits the settings as the guide tells, with what a single host needs.
func (p *packaged) getsKey() {
	p.t.Helper()
	p.types("keys generate")
	p.edits("mail-servers: [192.0.2.1]", "encrypt-key-file: /etc/director/keys",
		"bind: 0.0.0.0:9090")
	p.types("chown director: /etc/director/keys")
	p.types("systemctl restart director.service")
	p.must("director", "ring", "status", "--wait")
	p.shows("encrypts", "director", "keys", "list")
	p.must("director", "add", "192.0.2.77", "50")
	p.must("director", "lookup", "alice")
}

// dovecot is the release of the machine's Dovecot.
func (p *packaged) dovecot() release {
	p.t.Helper()
	if strings.HasPrefix(p.must("dovecot", "--version"), "2.4.") {
		return dovecot24
	}
	return dovecot23
}

// asksDovecot gives Dovecot what the package has for it, and checks it.
func (p *packaged) asksDovecot() {
	p.t.Helper()
	const copied = "/etc/dovecot/conf.d/99-director.conf"
	p.must("cp", fmt.Sprintf("/usr/share/director/dovecot-%s.conf", p.dovecot()), copied)
	wants := []string{"x/proxy-notify", "/run/director/director-userdb"}
	if p.dovecot() == dovecot24 {
		checkDoveconf(p.t, p.types("doveconf login_socket_path"), append(wants, "x/director")...)
	} else {
		checkDoveconf(p.t, p.types("doveconf service/imap-login/executable"),
			append(wants, "imap-login x/director", "pop3-login x/director")...)
	}
	p.must("rm", copied)
}

func (p *packaged) upgrades(deb string) {
	p.t.Helper()
	settings := p.must("cat", "/etc/director/director.yaml")
	home := p.must("director", "lookup", "alice")
	process := p.mainPID("director.service")
	p.brings(deb)
	p.types("apt install")
	p.is("is-active", "active")
	p.shows("director 1.0.1 ", "director", "version")
	if after := p.mainPID("director.service"); after == process {
		p.t.Errorf("the director is still process %s", process)
	}
	p.must("director", "ring", "status", "--wait")
	p.shows("192.0.2.77", "director", "status")
	p.shows("(expires", "director", "status", "alice")
	p.shows(home, "director", "lookup", "alice")
	p.shows(settings, "cat", "/etc/director/director.yaml")
	p.shows("encrypts", "director", "keys", "list")
}

// goes removes the package, and purges it.
func (p *packaged) goes(before []string) {
	p.t.Helper()
	p.types("apt remove")
	p.is("is-active", "inactive")
	left := p.files()
	for _, path := range []string{"/etc/director/director.yaml", "/var/lib/director"} {
		if !slices.Contains(left, path) {
			p.t.Errorf("removing has taken %s", path)
		}
	}
	for _, path := range []string{"/usr/bin/director", "/run/director", "/run/dovecot"} {
		if slices.Contains(left, path) {
			p.t.Errorf("removing has left %s", path)
		}
	}
	p.types("apt purge")
	// The key is not the package's; nobody but root can read it now.
	want := append(before, "/etc/director", "/etc/director/keys")
	after := p.files()
	slices.Sort(want)
	slices.Sort(after)
	if diff := cmp.Diff(want, after); diff != "" {
		p.t.Errorf("files (-before +after purging):\n%s", diff)
	}
	p.shows("root root 600", "stat", "-c", "%U %G %a", "/etc/director/keys")
	if got := p.run("getent", "passwd", "director"); got.status == 0 {
		p.t.Errorf("purging has left the user: %s", got.stdout)
	}
	if got := p.run("getent", "group", "director"); got.status == 0 {
		p.t.Errorf("purging has left the group: %s", got.stdout)
	}
}
