package daemon

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/eventhook"
	"directormesh/mesh/event"
	"directormesh/mesh/meshtest/nodes"
	"directormesh/mesh/replica"
)

// Whichever director is killed, that it is gone is told once, and a drain that ends too.
func TestHooksTellOnce(t *testing.T) {
	dir := t.TempDir()
	out, script := filepath.Join(dir, "out"), filepath.Join(dir, "hook")
	lines := "#!/bin/sh\nread event\ncase $event in *'\"peer\":\"'*) " +
		"p=${event#*'\"peer\":\"'}; p=${p%%'\"'*};; esac\necho \"$1 $2 $p\" >>" + out + "\n"
	if err := os.WriteFile(script, []byte(lines), 0o755); err != nil {
		t.Fatal(err)
	}
	told := func() []string {
		raw, err := os.ReadFile(out)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(raw)), "\n")
	}
	count := func(what string) (n int) {
		for _, line := range told() {
			if strings.TrimSpace(line) == what {
				n++
			}
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		hooks := make(map[string]*eventhook.Hooks)
		m := nodes.Start(t, nodes.Options{
			Directors: 3, Seed: 5, Happened: func(name string, events []event.Event) {
				mu.Lock()
				defer mu.Unlock()
				if h := hooks[name]; h != nil {
					var shown []api.Event
					for _, e := range events {
						shown = append(shown, shownEvent(e))
					}
					h.Happened(shown)
				}
			},
		})
		m.WaitSynced(20 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		for _, d := range m.Directors {
			command, err := eventhook.ParseCommand(script)
			if err != nil {
				t.Fatal(err)
			}
			h, err := eventhook.New(eventhook.Config{
				Kinds: []string{api.KindPeer, api.KindDrain}, Command: command, Now: time.Now,
				Log: zerolog.Nop(), ActsForAll: func() bool {
					for _, live := range m.Live() {
						if live.Name == d.Name {
							return live.ActsForAll()
						}
					}
					return false
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			hooks[d.Name] = h
			mu.Unlock()
			running.Go(func() { h.Run(ctx) })
		}
		time.Sleep(20 * time.Second)
		for i, name := range []string{"d1", "d2", "d3"} {
			if _, err := m.Directors[(i+1)%3].Do(t.Context(), replica.Drain{
				Addr: nodes.Backends(4)[i].Addr, Force: true,
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			if n := count("drain done"); n != i+1 {
				t.Errorf("%d drains done are told after %d; %q", n, i+1, told())
			}
			m.Kill(i)
			time.Sleep(20 * time.Second)
			if n := count("peer unreachable " + name); n != 1 {
				t.Errorf("%s is gone: told %d times; %q", name, n, told())
			}
			m.Restart(i)
			m.WaitSynced(30 * time.Second)
			time.Sleep(20 * time.Second)
		}
		if slices.Contains(told(), "") {
			t.Error("nothing was told")
		}
	})
}
