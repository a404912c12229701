//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"directormesh/cli/api"
)

const (
	// restTime is within what of a fault's end all directors must show each other as synced.
	restTime = 15 * time.Second
	// restFor is for how long they must then do so without a break.
	restFor = 3 * time.Second
	// restRate is how many lookups a second each of the five directors is asked.
	restRate = 400
	// restConns is how many connections each load opens: a director that hangs has three of them.
	restConns = 150
)

// TestComesToRest disturbs one director of five after the other, for longer than it takes the
// others to give it up, while 2,000 users a second log in. Each time all must show each other as
// synced soon after the fault's end, and go on to do so. No lookup may fail at a director that
// nothing disturbed, nor at the disturbed one once it listens again: others could answer for it.
func TestComesToRest(t *testing.T) {
	m := startMesh(t, 5, "--mail-servers", "192.0.2.1-192.0.2.4")
	known, o := users("known", 4000), newOracle(evenly(100, fourBackends...))
	lookupAll(t, m.directors[0], known, o)
	for i, fault := range []struct {
		killed bool // else stopped
		length time.Duration
	}{{false, 6500 * time.Millisecond}, {false, 9 * time.Second}, {false, 12 * time.Second},
		{true, time.Second}, {true, 8 * time.Second}} {
		victim := m.directors[1+i%4]
		what := fmt.Sprintf("%s, stopped for %v", victim.name, fault.length)
		if fault.killed {
			what = fmt.Sprintf("%s, killed and started again %v later", victim.name, fault.length)
		}
		ask := func(d *process, when string) *load {
			prefix := fmt.Sprintf("fault-%d-%s-%s-", i, d.name, when)
			return startLoadOf(newAskerOf(t, d, restConns), restRate, mixedUsers(known, prefix))
		}
		var loads []*load // whose lookups must be answered
		for _, d := range m.directors {
			if d != victim {
				loads = append(loads, ask(d, "during"))
			}
		}
		before := ask(victim, "before")
		pause(t, time.Second)

		var asked []<-chan []answer
		var ended time.Time
		if fault.killed {
			victim.kill()
			endLater(before)
			pause(t, fault.length)
			victim.start()
			ended = time.Now()
			within(t, restTime, func() error { return isUp(t, victim) })
			loads = append(loads, ask(victim, "after"))
		} else {
			victim.signal(syscall.SIGSTOP)
			asked = append(asked, endLater(before))
			pause(t, fault.length-time.Second)
			loads = append(loads, ask(victim, "after")) // by proxies that are there when it goes on
			pause(t, time.Second)
			victim.signal(syscall.SIGCONT)
			ended = time.Now()
		}
		took := awaitRest(t, m.directors, ended)
		for _, l := range loads {
			asked = append(asked, endLater(l))
		}
		count, failed := 0, 0
		for _, answers := range asked {
			for _, a := range <-answers {
				if count++; a.err == nil && a.backend == o.backend(a.user) {
					continue
				}
				if failed++; failed <= 5 {
					t.Errorf("%s: %s at %s, %v after that was over: %q %v, after %v", what, a.user,
						a.at.name, a.asked.Sub(ended), a.backend, a.err, a.took())
				}
			}
		}
		t.Logf("%s: at rest %v after that; %d of %d lookups failed", what,
			took.Round(time.Millisecond), failed, count)
	}
	checkSame(t, m.directors)
}

// endLater stops asking, and gives all answers once the last lookup has ended.
func endLater(l *load) <-chan []answer {
	answers := make(chan []answer, 1)
	go func() { answers <- l.end() }()
	return answers
}

// isUp asks a director whether it answers at all.
func isUp(t *testing.T, d *process) error {
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	_, err := client(t, d).Self(ctx)
	return err
}

// awaitRest waits until all directors have shown each other as synced without a break for a while,
// and returns after how long they began to.
func awaitRest(t *testing.T, directors []*process, ended time.Time) time.Duration {
	t.Helper()
	var clients []*api.Client
	for _, d := range directors {
		clients = append(clients, client(t, d))
	}
	since := time.Since(ended)
	for time.Since(ended)-since < restFor {
		for i, c := range clients {
			if err := showsAllSynced(t, c, len(directors)); err != nil {
				if since = time.Since(ended); since > restTime {
					t.Fatalf("%v after the fault's end %s shows %v", since, directors[i].name, err)
				}
				break
			}
		}
		pause(t, 100*time.Millisecond)
	}
	return since
}

// showsAllSynced asks a director for all n of its mesh.
func showsAllSynced(t *testing.T, c *api.Client, n int) error {
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	shown, err := c.Directors(ctx)
	if err != nil {
		return err
	}
	count := 0
	for _, d := range shown.Directors {
		switch {
		case d.Type == api.TypeRemoved:
		case d.State != api.StateSynced:
			return fmt.Errorf("%s as %s %s", d.Name, d.State, d.Reason)
		default:
			count++
		}
	}
	if count != n {
		return fmt.Errorf("%d directors", count)
	}
	return nil
}
