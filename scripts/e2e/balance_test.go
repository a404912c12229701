//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"directormesh/cli/api"
)

// agents say how idle backends are, as those for HAProxy's agent-check do.
type agents struct {
	port uint16
	mu   sync.Mutex
	idle map[string]int
}

// startAgents runs an agent on each of these addresses, at one port.
func startAgents(t *testing.T, backends ...string) *agents {
	t.Helper()
	a := &agents{idle: make(map[string]int)}
	a.port = freePort(t, netip.MustParseAddr(backends[0]))
	for _, ip := range backends {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", ip, a.port))
		if err != nil {
			t.Fatal(err)
		}
		a.idle[ip] = 75
		done := make(chan struct{})
		t.Cleanup(func() { l.Close(); <-done })
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				a.mu.Lock()
				line := fmt.Sprintf("up %d%%\n", a.idle[ip])
				a.mu.Unlock()
				_, _ = io.WriteString(c, line)
				c.Close()
			}
		}()
	}
	return a
}

func (a *agents) say(backend string, idle int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle[backend] = idle
}

// TestBalance has one of four backends be busier than the others, by what its agent says. All
// directors give it half the weight then, and the same users the same backends, which are those of
// Dovecot's ring with these weights. The vhost counts stay.
func TestBalance(t *testing.T) {
	t.Parallel()
	backends := []string{"127.0.10.1", "127.0.10.2", "127.0.10.3", "127.0.10.4"}
	a := startAgents(t, backends...)
	a.say(backends[0], 10)
	m := startMesh(t, 3, "--mail-servers", strings.Join(backends, " "), "--user-expire", "10s",
		"--balance", "on", "--balance-load", fmt.Sprintf("agent:%d", a.port))
	d1, d3 := m.directors[0], m.directors[2]
	balance := func(d *process) (b api.Balance) {
		t.Helper()
		if err := json.Unmarshal([]byte(must(t, d, "balance", "--json")), &b); err != nil {
			t.Fatal(err)
		}
		return b
	}
	within(t, 10*time.Second, func() error {
		b := balance(d3)
		one := b.Tags[0].Backends[0]
		if b.InCharge != "d1" || b.Mode != api.BalanceOn || b.Tags[0].Frozen != "" ||
			one.Load == nil || *one.Load != 90 || one.Wanted == nil || !one.Due {
			return fmt.Errorf("it says %+v", b)
		}
		return nil
	})
	within(t, 40*time.Second, func() error {
		for _, d := range m.directors {
			for i, one := range balance(d).Tags[0].Backends {
				if want := map[bool]int{true: 50, false: 100}[i == 0]; one.Factor != want {
					return fmt.Errorf("%s: the factor of %v is %d", d.name, one.IP, one.Factor)
				}
			}
		}
		return nil
	})
	status := must(t, d3, "status")
	if !strings.Contains(status, "factor") || !strings.Contains(status, "0.50") {
		t.Errorf("the status has no factor:\n%s", status)
	}
	var table api.Backends
	if err := json.Unmarshal([]byte(must(t, d1, "status", "--json")), &table); err != nil {
		t.Fatal(err)
	}
	for _, b := range table.Backends {
		if b.VHosts != 100 {
			t.Errorf("%v has %d vhosts", b.IP, b.VHosts)
		}
	}

	o := newOracle(map[string]int{
		backends[0]: 50, backends[1]: 100, backends[2]: 100, backends[3]: 100,
	})
	names := users("balanced", 3000)
	for _, d := range m.directors {
		for user, backend := range lookupMany(t, d, names) {
			if want := o.backend(user); backend != want {
				t.Fatalf("%s: %s is on %s, the ring of the weights gives %s", d.name, user,
					backend, want)
			}
		}
	}
	var plan api.Plan
	reset := must(t, d3, "balance", "--reset", "--plan", "--json")
	if err := json.Unmarshal([]byte(reset), &plan); err != nil {
		t.Fatal(err)
	}
	if one := plan.Backends[0]; one.Share != 50.0/350 || one.ShareAfter != 0.25 || plan.Users == 0 {
		t.Errorf("plan of a reset: %+v", plan)
	}
}
