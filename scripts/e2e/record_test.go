//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/cli/api"
)

// TestRecordsChangeNothing records all that three directors with a key send each other, and sends
// it to them once more: after one of them has been started again, and after all have. Nobody may
// believe any of it: no old change, mapping or removal, nor that a director of then still runs.
func TestRecordsChangeNothing(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	key := m.keyFile("mesh", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	var taps []*tap
	var join []string
	for i, d := range m.directors {
		k := newTap(t, netip.AddrFrom4([4]byte{127, 0, 0, byte(200 + i)}), d)
		taps, join = append(taps, k), append(join, k.addr.String())
	}
	for i, d := range m.directors {
		d.flags = []string{"--advertise", taps[i].addr.String(), "--join", strings.Join(join, ","),
			"--encrypt-key-file", key, "--mail-servers", "192.0.2.1-192.0.2.4",
			"--user-kick-delay", "100ms"}
		d.start()
	}
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	awaitRest(t, m.directors, time.Now())
	fresh := newOracle(evenly(100, fourBackends...))
	lookupAll(t, d2, users("known", 200), fresh)
	must(t, d1, "down", "192.0.2.1")
	must(t, d3, "update", "192.0.2.2", "40")
	must(t, d2, "remove", "192.0.2.4")
	must(t, d3, "ring", "add", "127.0.0.77", "9090")
	must(t, d1, "ring", "remove", "127.0.0.77", "9090")
	for _, user := range users("moved", 10) {
		must(t, d3, "move", "--wait", user, "192.0.2.3")
	}
	want := shown(t, d1)
	within(t, time.Minute, func() error {
		r := recorded(taps)
		if len(r.packets) < 200 || len(r.states) < 12 || len(r.streams) < 6 {
			return fmt.Errorf("recorded only %v", r)
		}
		return nil
	})
	then := recorded(taps)
	t.Logf("recorded %v", then)

	d1.kill()
	d1.start()
	then.playToAll(t, m)
	for _, d := range m.directors {
		if diff := cmp.Diff(want, shown(t, d)); diff != "" {
			t.Errorf("%s, after d1 was started again (-before +after):\n%s", d.name, diff)
		}
	}

	for _, d := range m.directors {
		d.kill()
	}
	for _, d := range m.directors {
		d.start()
	}
	awaitRest(t, m.directors, time.Now())
	lookupAll(t, d2, users("new", 50), fresh)
	want = shown(t, d2)
	then.playToAll(t, m)
	for _, d := range m.directors {
		if diff := cmp.Diff(want, shown(t, d)); diff != "" {
			t.Errorf("%s, after all were started again (-before +after):\n%s", d.name, diff)
		}
	}
}

// playToAll plays a recording to all directors of a mesh several times: when they have just been
// started, and later.
func (r recording) playToAll(t *testing.T, m *mesh) {
	t.Helper()
	begun := time.Now()
	for range 3 {
		for _, d := range m.directors {
			within(t, restTime, func() error { return isUp(t, d) })
			r.play(t, d)
		}
		pause(t, 2*time.Second)
	}
	t.Logf("played in %v", time.Since(begun).Round(time.Millisecond))
	awaitRest(t, m.directors, time.Now())
	for _, d := range m.directors {
		select {
		case <-d.ended:
			t.Errorf("%s has ended: %v", d.name, d.err)
		default:
		}
	}
}

// shown is what a director holds: backends, mappings, and the directors with their addresses.
func shown(t *testing.T, d *process) map[string]string {
	t.Helper()
	all := mappings(t, d)
	all["table"] = table(t, d)
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	ring, err := client(t, d).Directors(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ring.Directors {
		kind := r.Type
		if kind == api.TypeSelf {
			kind = api.TypePeer
		}
		all[fmt.Sprintf("director %v:%d", r.IP, r.Port)] = kind + " " + r.Name
	}
	return all
}
