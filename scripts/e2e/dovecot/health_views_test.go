//go:build e2e

package dovecot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"directormesh/scripts/e2e/netns"
)

// seenAs is what each director sees of a backend, by name, and why.
func (d *director) seenAs(ip netip.Addr) map[string]string {
	d.t.Helper()
	got := d.ask("health", "--json") // any status
	var seen struct {
		Backends []struct {
			IP        string
			Observers []struct{ Director, Sees, Reason string }
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &seen); err != nil {
		d.t.Fatalf("health of %s: %v: %+v", d.name, err, got)
	}
	as := make(map[string]string)
	for _, b := range seen.Backends {
		for _, o := range b.Observers {
			if b.IP == ip.String() {
				as[o.Director] = strings.TrimSpace(o.Sees + " " + o.Reason)
			}
		}
	}
	return as
}

// TestUnreachableFromSome cuts a real backend off from one of three directors, and then from two.
// What one alone sees changes nothing, and its users stay; what two see takes the backend out of
// use for all, the third one too, which still reaches it.
func TestUnreachableFromSome(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	host := func(name string, last int) (*netns.Host, netip.Addr) {
		ip := netip.AddrFrom4([4]byte{10, 78, 0, byte(last)})
		return n.Host(name, netip.PrefixFrom(ip, 24)), ip
	}
	var backends, list = []*backend(nil), []string(nil)
	var cutOff *netns.Host
	for i := range 3 {
		h, ip := host(fmt.Sprintf("b%d", i+1), 11+i)
		b := &backend{ip: ip, mail: mailDir(t)}
		b.instance = newInstance(t, fmt.Sprintf("b%d", i+1), backendConfig(ip, b.mail))
		b.host = h.Prefix()
		b.instance.start("unix:auth-userdb")
		backends, list = append(backends, b), append(list, ip.String())
		if cutOff == nil {
			cutOff = h
		}
	}
	var directors []*director
	for i := range 3 {
		h, ip := host(fmt.Sprintf("d%d", i+1), 1+i)
		d := newDirector(t, fmt.Sprintf("d%d", i+1), ip, "--mail-servers", strings.Join(list, " "),
			"--health-check", "imap:143,lmtp:24")
		d.prefix = h.Prefix()
		directors = append(directors, d)
	}
	startMesh(t, directors...)
	for _, b := range backends {
		awaitHealth(t, outTime, "good", b.ip, directors...)
	}
	d1, d2, d3, cut := directors[0], directors[1], directors[2], backends[0]
	user := d1.userAt(cut.ip)
	d1.must("lookup", user)

	// Dovecot does not end before its clients can hear of it. A check may be under way now: after
	// the packets of this time have been lost, TCP sends the next one only after as long again.
	cut.instance.patience = 2 * time.Minute
	defer cutOff.Drop(netns.Packets{From: d3.ip})()
	const why = "failing imap:143: no connection in time"
	if !eventually(outTime, func() bool { return d1.seenAs(cut.ip)["d3"] == why }) {
		t.Fatalf("seen: %v", d1.seenAs(cut.ip))
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		for _, d := range directors {
			if h := d.healths()[cut.ip.String()]; h != "good" {
				t.Fatalf("%s: the backend that one cannot reach is %s: %v", d.name, h,
					d.seenAs(cut.ip))
			}
		}
	}
	if at := d3.must("lookup", user); !strings.Contains(at, cut.ip.String()) {
		t.Errorf("at the director that cannot reach it the user is sent to %s", at)
	}

	defer cutOff.Drop(netns.Packets{From: d2.ip})()
	awaitHealth(t, outTime, "failed", cut.ip, directors...)
	if seen := d3.seenAs(cut.ip); seen["d1"] != "good" || seen["d2"] != why || seen["d3"] != why {
		t.Errorf("seen: %v", seen)
	}
	at := d1.must("lookup", user)
	if strings.Contains(at, cut.ip.String()) || d2.must("lookup", user) != at {
		t.Errorf("the user is sent to %s", at)
	}
}
