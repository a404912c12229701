package check

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// What breaks the rules of slow starts is reported, and what does not is not.
func TestStartsAreJudged(t *testing.T) {
	one := netip.MustParseAddr("192.0.2.1")
	const began, over = 20 * time.Second, 30 * time.Second
	stamp := func(at time.Duration) uint64 { return uint64(at.Milliseconds())<<16 + 1 }
	step := func(at time.Duration, percent int, by string) Event {
		return Judged{At: At(at), Director: "d1", Backends: []Standing{{
			Addr: one, VHosts: 100, Start: percent, StartOver: over, StartSince: stamp(began),
			StartWritten: stamp(at), StartBy: by,
		}}}
	}
	final := func(left time.Duration) Event {
		row := Row{Present: true, VHosts: 100, Start: 75, StartLeft: left}
		return Final{At: At(2 * time.Minute), Directors: map[string]State{
			"d1": {Table: Table{one: row}, Pins: Pins{}},
		}}
	}
	begins := step(began, 25, "d1")
	for _, test := range []struct {
		name   string
		events []Event
		breach string
	}{
		{"as it should be", []Event{
			begins, step(30*time.Second, 50, "d1"), step(40*time.Second, 75, "d1"),
			step(50*time.Second, 0, "d1"),
		}, ""},
		{"steps are left out", []Event{begins, step(70*time.Second, 0, "d1")}, ""},
		{"too early", []Event{begins, step(29*time.Second, 50, "d1")}, "50 % of its weight 9s"},
		{"ends too early", []Event{begins, step(49*time.Second, 0, "d1")}, "100 % of its weight"},
		{"too early, by another", []Event{begins, step(29*time.Second, 50, "d2")}, ""},
		{"begins with too much", []Event{step(began, 50, "d1")}, "50 % of its weight 0s"},
		{"goes on", []Event{begins, final(-time.Minute)}, "1m0s after the end of its slow start"},
		{"goes on for good reason", []Event{begins, final(time.Minute)}, ""},
	} {
		c := New(Rules{Expire: time.Minute, Backends: []Backend{{Addr: one, VHosts: 100}}})
		c.Event(Start{Director: "d1"})
		c.Event(Synced{At: At(time.Second), Director: "d1", Synced: true})
		for _, e := range test.events {
			c.Event(e)
		}
		var texts []string
		for _, b := range c.Breaches() {
			texts = append(texts, b.String())
		}
		text := strings.Join(texts, "; ")
		if (text == "") != (test.breach == "") || !strings.Contains(text, test.breach) {
			t.Errorf("%s: %q, want %q", test.name, text, test.breach)
		}
	}
}

// The places of users may be those of each weight that some director has.
func TestPlacesInASlowStart(t *testing.T) {
	backends := newTable([]Backend{{Addr: b1, VHosts: 100}}, nil)
	b := backends.find(b1)
	b.starts.note(sec(10), "d1", 25)
	b.starts.note(sec(20), "d1", 50)
	for at, want := range map[time.Duration]int{sec(15): 25, sec(25): 50} {
		if got := b.pointCounts(at, at, everyone); len(got) != 1 || got[0] != want {
			t.Errorf("after %v: %v points, want %d", at, got, want)
		}
	}
}
