//go:build e2e

package dovecot

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// verdicts counts how often a director has noted that a backend has failed, and that it works
// again.
func (d *director) verdicts(ip netip.Addr) (failed, works int) {
	for line := range strings.Lines(d.log()) {
		if !strings.Contains(line, `"backend":"`+ip.String()+`"`) {
			continue
		}
		if strings.Contains(line, "backend has failed") {
			failed++
		}
		if strings.Contains(line, "backend works again") {
			works++
		}
	}
	return failed, works
}

// longHealth skips a test that takes minutes unless DIRECTORMESH_HEALTH, a duration, is set, and
// returns it.
func longHealth(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("DIRECTORMESH_HEALTH")
	if text == "" {
		t.Skip("takes minutes; DIRECTORMESH_HEALTH=10m runs it")
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return long
}

// TestFlappingDovecot has a real backend freeze and go on every 7 s. A check waits 4 s, so it may
// miss that; the directors agree all the same, the backend is taken out once a minute at most, and
// it is in use once that has ended.
func TestFlappingDovecot(t *testing.T) {
	t.Parallel()
	long := longHealth(t)
	backends := startBackends(t, 3)
	directors := watchedMesh(t, backends)
	flapping := backends[0]
	defer flapping.signalAll(syscall.SIGCONT) // one that is frozen does not end
	signals := []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT}
	var seen []string
	began := time.Now()
	for turn := 0; time.Since(began) < long || turn%2 == 1; turn++ {
		flapping.signalAll(signals[turn%2])
		for end := time.Now().Add(7 * time.Second); time.Now().Before(end); {
			if now := directors[0].healths()[flapping.ip.String()]; len(seen) == 0 ||
				seen[len(seen)-1] != now {
				seen = append(seen, now)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	const damped = 5 * time.Minute // for so long it must be good at most
	awaitHealth(t, damped+backTime, "good", flapping.ip, directors...)
	first, _ := directors[0].verdicts(flapping.ip)
	for _, d := range directors {
		failed, works := d.verdicts(flapping.ip)
		if failed != first || works != failed || failed > int(long/time.Minute)+1 {
			t.Errorf("%s: taken out %d times, back %d times; seen: %v", d.name, failed, works, seen)
		}
	}
	t.Logf("taken out %d times in %v; seen at %s: %v", first, long, directors[0].name, seen)
}

// TestFullDisk: a backend whose disk is full lets users log in and read what they have read before.
// So the checks, which store nothing, see it good, and it stays in use.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	mail := filepath.Join(mailDir(t), "small")
	if err := os.Mkdir(mail, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", mail, "tmpfs", 0, "size=512k"); err != nil {
		t.Skipf("no small disk can be had here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mail, syscall.MNT_DETACH) })
	if err := os.Chown(mail, mailUser, mailUser); err != nil {
		t.Fatal(err)
	}
	full := &backend{ip: newAddress(t), mail: mail}
	full.instance = startBackend(t, "full", full.ip, mail, "")
	full.mark("known", "test")
	at := netip.AddrPortFrom(full.ip, 143).String()
	if c, home := openIMAP(t, at, "known"); home != full.name {
		t.Fatalf("before: on %s", home)
	} else {
		c.Close()
	}
	backends := append(startBackends(t, 2), full)
	directors := watchedMesh(t, backends)
	fill, err := os.Create(filepath.Join(mail, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = fill.Write(block)
	}
	fill.Close()

	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); {
		for _, d := range directors {
			if h := d.healths()[full.ip.String()]; h != "good" {
				t.Fatalf("%s: the backend with the full disk is %s: %s", d.name, h,
					d.ask("health", "-v").stdout)
			}
		}
		time.Sleep(time.Second)
	}
	c, err := loginIMAP(at, "known", "pass")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if home, err := c.where(); err != nil || home != full.name {
		t.Errorf("a mail of before: %q, %v", home, err)
	}
	const text = "Subject: x\r\n\r\nx\r\n"
	got, err := c.say(fmt.Sprintf("c APPEND INBOX {%d+}\r\n%s", len(text), text), "c ")
	if err != nil || !strings.Contains(got, "c NO") {
		t.Errorf("storing a mail: %q, %v", got, err)
	}
}

// TestPoolmonBeside runs poolmon at two directors, as it is run beside Dovecot's, while a backend
// greets and lets nobody in: our checks log in, those of poolmon do not. So the directors take the
// backend out, and poolmon, which is shown operators' states only, undoes nothing. A backend that
// an operator has given other vhosts keeps them.
func TestPoolmonBeside(t *testing.T) {
	t.Parallel()
	long := longHealth(t)
	backends := startBackends(t, 4)
	directors := watchedMesh(t, backends)
	directors[0].must("update", backends[3].ip.String(), "50")
	monitors := []poolmon{
		{t, filepath.Join(directors[0].runDir, "director-admin")},
		{t, filepath.Join(directors[1].runDir, "director-admin")},
	}
	scans, told, outs := 0, 0, 0
	began := time.Now()
	for turn := 0; time.Since(began) < long; turn++ {
		sick := backends[turn%3]
		sick.reload(denyConfig(sick))
		out := false
		for end := time.Now().Add(outTime / 2); time.Now().Before(end); {
			for _, m := range monitors {
				told += m.scan()
				scans++
				if vhosts := m.vhosts(); vhosts[backends[3].ip.String()] != "50" {
					t.Fatalf("the vhosts are %v", vhosts)
				}
			}
			out = out || directors[0].healths()[sick.ip.String()] == "failed"
			time.Sleep(time.Second)
		}
		if out {
			outs++
		}
		sick.reload(backendConfig(sick.ip, sick.mail))
		awaitHealth(t, backTime, "good", sick.ip, directors...)
	}
	if told > 0 || outs == 0 {
		t.Errorf("poolmon gave %d commands in %d scans; %d times a backend was out", told, scans,
			outs)
	}
	for _, d := range directors {
		log := d.log()
		if strings.Contains(log, `"action":"down"`) || strings.Contains(log, `"action":"up"`) {
			t.Errorf("%s has changed an operator's state", d.name)
		}
	}
	t.Logf("%v: %d scans, %d commands, %d times a backend was out", time.Since(began).Round(
		time.Second), scans, told, outs)
}

// scan does what poolmon 0.6 does in a turn: it lists the backends, connects to each and reads a
// greeting (imap and pop3), and takes down and flushes the ones that fail, or up what is down and
// works. It returns how many commands it gave. Unlike poolmon it does not try again thrice.
func (m poolmon) scan() (told int) {
	m.t.Helper()
	for host, state := range m.states() {
		works := !slices.ContainsFunc([]string{"143", "110"}, func(port string) bool {
			return !greets(host + ":" + port)
		})
		switch {
		case works && state == "D":
			m.tell("HOST-UP\t" + host)
			told++
		case !works && state == "U":
			m.tell("HOST-DOWN\t"+host, "HOST-FLUSH\t"+host)
			told++
		}
	}
	return told
}

// greets reports whether a server greets within poolmon's 5 s.
func greets(at string) bool {
	c, err := dialMail(at)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false
	}
	line, err := c.in.ReadString('\n')
	return err == nil && (strings.HasPrefix(line, "* OK") || strings.HasPrefix(line, "+OK"))
}
