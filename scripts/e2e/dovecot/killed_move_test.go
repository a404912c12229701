//go:build e2e

package dovecot

import (
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// All directors are killed at some moment of a move, between hold and release among them. After the
// start from their data directories the user never has sessions on two backends: neither those of
// before the move beside new ones, nor new ones at two proxies.
func TestAllKilledInMove(t *testing.T) {
	t.Parallel()
	backends := startBackends(t, 2)
	for _, b := range backends {
		b.mark("alice")
	}
	var sites []*site
	for i := range 2 {
		s := newSite(t, dovecot23, i+1, addresses(backends), "", "").kicks()
		s.director.flags = append(s.director.flags, "--user-kick-delay", "1s",
			"--data-dir", filepath.Join(s.director.runDir, "data"))
		sites = append(sites, s)
	}
	startSites(t, sites...)
	moved, kept := 0, 0
	// "director hold" lets a program that has died thrice wait before it starts it again.
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 600 * time.Millisecond} {
		var before, open []*mailConn
		var home string
		for _, s := range sites {
			c, at := s.login(t, "alice")
			before, home = append(before, c), at
		}
		target := other(backends, home)
		time.Sleep(1500 * time.Millisecond) // the mapping is on both disks
		pids := []int{sites[0].director.pid(), sites[1].director.pid()}
		var moving sync.WaitGroup
		moving.Go(func() { sites[0].director.ask("move", "alice", target.ip.String()) })
		time.Sleep(after)
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
		moving.Wait()
		// "director hold" starts them again; a login waits for that, and for the move.
		var mu sync.Mutex
		now := make(map[string]bool)
		var logins sync.WaitGroup
		for _, s := range sites {
			logins.Go(func() {
				at, err := "", error(nil)
				eventually(syncTime, func() bool {
					var c *mailConn
					if c, err = loginIMAP(s.port(143), "alice", "pass"); err != nil {
						return false
					}
					mu.Lock()
					open = append(open, c)
					mu.Unlock()
					at, err = c.where()
					return err == nil
				})
				mu.Lock()
				defer mu.Unlock()
				if now[at] = true; err != nil {
					t.Errorf("killed after %v: no login at %s: %v", after, s.director.name, err)
				}
			})
		}
		logins.Wait()
		if len(now) != 1 {
			t.Errorf("killed after %v: new sessions are on %v", after, now)
		}
		for i, c := range before {
			if now[home] {
				continue // they may go on where they are
			}
			if err := c.alive(); err == nil {
				t.Errorf("killed after %v: a session has stayed at %s, on %s; new ones are on %v",
					after, fmt.Sprint("d", i+1), home, now)
			}
		}
		for _, c := range append(before, open...) {
			c.Close()
		}
		if now[home] {
			kept++
		} else {
			moved++
		}
		sites[0].director.awaitMesh(2)
	}
	t.Logf("%d moves went on after the start, of %d nothing was left", moved, kept)
}
