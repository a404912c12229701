//go:build e2e

package dovecot

import (
	"os"
	"strings"
	"testing"
)

// The rpm, by rpm itself on a Debian whose systemd has the presets of Fedora: its scripts make the
// user and start nothing; the guide's steps start it; it is upgraded and removed. It takes a
// minute, and a root with rpm, so it wants DIRECTORMESH_RELEASES, as TestPackage.
func TestRPM(t *testing.T) {
	t.Parallel()
	releases := os.Getenv("DIRECTORMESH_RELEASES")
	if releases == "" {
		t.Skip("takes DIRECTORMESH_RELEASES")
	}
	release, _, _ := strings.Cut(releases, ",")
	p := newPackaged(t, bootRoot(t, releaseRoot(t, release)))
	if p.run("rpm", "--version").status != 0 {
		t.Skip("no rpm in the root: apt-get install rpm there")
	}
	p.write("/etc/systemd/system-preset/99-default-disable.preset", "disable *\n", 0o644)
	p.must("rpm", "--initdb")
	rpm := func(flags string) {
		t.Helper()
		p.must("sh", "-c", "rpm "+flags+" --nodeps --nosignature /root/*.rpm")
	}
	p.brings(buildPackage(t, "rpm", "1.0.0"))
	rpm("--install")
	p.is("is-active", "inactive")
	p.is("is-enabled", "disabled")
	p.shows("director director 700", "stat", "-c", "%U %G %a", "/var/lib/director")
	p.getsKey()
	p.is("is-active", "active")
	p.is("is-enabled", "enabled")
	home := p.must("director", "lookup", "alice")
	settings := p.must("cat", "/etc/director/director.yaml")
	process := p.mainPID("director.service")

	p.brings(buildPackage(t, "rpm", "1.0.1"))
	rpm("--upgrade")
	p.is("is-active", "active")
	p.is("is-enabled", "enabled")
	if after := p.mainPID("director.service"); after == process {
		t.Errorf("the director is still process %s", process)
	}
	p.must("director", "ring", "status", "--wait")
	p.shows("director 1.0.1 ", "director", "version")
	p.shows(home, "director", "lookup", "alice")
	p.shows(settings, "cat", "/etc/director/director.yaml")

	p.must("rpm", "--erase", "director")
	p.is("is-active", "inactive")
	p.shows(settings, "cat", "/etc/director/director.yaml.rpmsave")
	for path, want := range map[string]bool{
		"/etc/director/keys": true, "/var/lib/director": true, "/usr/bin/director": false,
		"/usr/lib/systemd/system/director.service": false, "/usr/share/director": false,
		"/usr/share/doc/director": false, "/usr/share/licenses/director": false,
	} {
		if _, err := os.Stat(p.path(path)); (err == nil) != want {
			t.Errorf("%s is there: %v", path, err == nil)
		}
	}
}
