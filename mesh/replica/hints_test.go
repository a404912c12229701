package replica

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/mesh/replica/internal/hints"
)

func invented(i int) (name string, addr netip.AddrPort) {
	return fmt.Sprintf("x%04d", i), netip.AddrPortFrom(
		netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 9090)
}

// dials are those that the core has asked for since the last call.
func (d *director) dials() []Dial {
	var dials []Dial
	for _, e := range d.core.Take() {
		if e, ok := e.(Dial); ok {
			dials = append(dials, e)
		}
	}
	return dials
}

// Directors that nobody has met cost a dial now and then, whatever memberlist tells of them.
func TestInventedDirectors(t *testing.T) {
	w := started(t, 2)
	d1 := w.directors[0]
	pace := d1.core.pace()
	const names = 3 * hints.Max
	for i := range names {
		name, addr := invented(i)
		d1.core.MemberJoined(w.now, name, addr, uint64(i+1))
	}
	if got := len(d1.dials()); got != hints.Max {
		t.Errorf("%d dials are asked for at once, want %d", got, hints.Max)
	}
	if got := d1.core.Counters().IgnoredHints; got != names-hints.Max {
		t.Errorf("%d names counted as ignored, want %d", got, names-hints.Max)
	}
	if d1.core.pace() != pace {
		t.Error("invented directors slow this one down")
	}
	// A director that a peer counts is dialled all the same.
	name, addr := invented(names)
	d1.core.hear(w.now, hints.Hint{Name: name, Addr: addr, Trust: Named}, 7)
	diff := cmp.Diff([]Dial{{name, addr, Named}}, d1.dials(),
		cmpopts.EquateComparable(netip.AddrPort{}))
	if diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
	outcome, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 50})
	if err != nil || len(outcome.FailedPeers) > 0 {
		t.Errorf("an update names %v, %v", outcome.FailedPeers, err)
	}
	for i := range names {
		name, _ := invented(i)
		d1.core.MemberFailed(w.now, name)
	}
	w.run(hints.KeptFor + time.Second)
	if d1.core.hints.Len() > 0 || len(d1.core.peers.all) != 1 {
		t.Errorf("%d hints and %d peers are left", d1.core.hints.Len(), len(d1.core.peers.all))
	}
}

// A hint is dialled again and again, ever more rarely, and forgotten if nobody speaks of it any
// more.
func TestHintIsDialledMoreAndMoreRarely(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1")
	name, addr := invented(1)
	d1.core.hear(w.now, hints.Hint{Name: name, Addr: addr}, 1)
	var at []time.Duration
	for start := w.now; w.now < start.Add(2*hints.KeptFor); w.now = w.now.Add(
		25 * time.Millisecond) {
		d1.core.Tick(w.now)
		for range d1.dials() {
			at = append(at, w.now.Sub(start).Round(50*time.Millisecond))
		}
	}
	ms := time.Millisecond
	want := []time.Duration{
		0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms, 7750 * ms, 15750 * ms, 25750 * ms,
	}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
	if d1.core.hints.Len() > 0 {
		t.Error("the hint is not forgotten")
	}
}

// What memberlist, or a record of it, says of a peer does not touch what streams have proven.
func TestHintsAboutPeers(t *testing.T) {
	leaves := func(w *world, d2 *director) {
		d2.core.Leave(w.now)
		w.deliver()
		d2.crash()
		w.run(time.Second)
	}
	for _, test := range []struct {
		name string
		do   func(w *world, d2 *director)
		addr netip.AddrPort // zero: the peer's own
		boot uint64         // beside that of the peer's life
		want []Trust        // dials
	}{
		{"in touch", func(*world, *director) {}, netip.AddrPort{}, 0, nil},
		{"in touch, an older life", func(*world, *director) {}, netip.AddrPort{}, 1, nil},
		{"in touch, elsewhere", func(*world, *director) {},
			netip.MustParseAddrPort("198.51.100.1:9090"), 1, nil},
		{"dead", func(w *world, d2 *director) { d2.crash(); w.run(failAfter + time.Second) },
			netip.AddrPort{}, 0, nil},
		{"dead, another life", func(w *world, d2 *director) {
			d2.crash()
			w.run(failAfter + time.Second)
		}, netip.AddrPort{}, 1, []Trust{Proven}},
		{"dead, elsewhere",
			func(w *world, d2 *director) { d2.crash(); w.run(failAfter + time.Second) },
			netip.MustParseAddrPort("198.51.100.1:9090"), 1, []Trust{Heard}},
		{"left", leaves, netip.AddrPort{}, 0, nil},
		{"left, elsewhere", leaves, netip.MustParseAddrPort("198.51.100.1:9090"), 0, nil},
		{"left, another life", leaves, netip.AddrPort{}, 1, []Trust{Heard}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 2)
			d1, d2 := w.directors[0], w.directors[1]
			test.do(w, d2)
			d1.core.Take()
			p := d1.core.peers.get("d2")
			before := []any{p.addr, p.boot, p.live, p.left}
			addr := test.addr
			if !addr.IsValid() {
				addr = p.addr
			}
			d1.core.MemberJoined(w.now, "d2", addr, p.boot+test.boot)
			var got []Trust
			for _, d := range d1.dials() {
				got = append(got, d.Trust)
				if d.Addr != addr {
					t.Errorf("dials %v, want %v", d.Addr, addr)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("dials (-want +got):\n%s", diff)
			}
			after := []any{p.addr, p.boot, p.live, p.left}
			diff := cmp.Diff(before, after, cmpopts.EquateComparable(netip.AddrPort{}))
			if diff != "" {
				t.Errorf("the peer has changed (-before +after):\n%s", diff)
			}
		})
	}
}
