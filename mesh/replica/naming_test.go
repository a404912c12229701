package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/ring"
)

const (
	lookedUp    = time.Second      // how often the names of these tests are
	missingGone = 20 * time.Second // after how long an address is gone there
)

var imap = WatchedName{Name: "imap.example.org"}

// named is a world whose directors look up the name of the backends 1 to 4.
type named struct {
	*world
	places map[ring.UserHash]netip.Addr
	// answer is what a director finds: addresses of backends, or why it does not resolve.
	answer func(d *director) (found []int, problem string)
	next   mono.Time
}

func ofName(n int) (backends []ring.Backend) {
	backends = testBackends(n)
	for i := range backends {
		backends[i].Name = imap.Name
	}
	return backends
}

func namers(t *testing.T, directors int, change ...func(*Config)) *named {
	t.Helper()
	change = append(change, func(c *Config) {
		c.Backends = ofName(4)
		c.Names = NameWatch{Names: []WatchedName{imap}, Every: lookedUp, GoneAfter: missingGone}
	})
	w := &named{}
	w.world, w.places = mapped(t, directors, 60, change...)
	w.all(1, 2, 3, 4)
	w.look(missingGone + 5*time.Second)
	return w
}

// all makes all directors find the same.
func (w *named) all(found ...int) {
	w.answer = func(*director) ([]int, string) { return found, "" }
}

// look lets time pass, with the lookups of each director.
func (w *named) look(length time.Duration) {
	w.t.Helper()
	for end := w.now.Add(length); w.now < end; {
		w.run(25 * time.Millisecond)
		if w.now < w.next {
			continue
		}
		w.next = w.now.Add(lookedUp)
		for _, d := range w.directors {
			if d.stopped {
				continue
			}
			found, problem := w.answer(d)
			var targets []ring.Target
			for _, i := range found {
				targets = append(targets, ring.Target{
					Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), VHosts: 100,
				})
			}
			d.core.ObserveName(w.now, imap, targets, problem)
		}
		w.deliver()
	}
}

// wantTable checks what all directors that run have: backends, with a mark behind one that is gone
// (-), one that is retained (+) and one that an operator drains (d).
func (w *named) wantTable(what, want string) {
	w.t.Helper()
	for _, d := range w.directors {
		if d.stopped {
			continue
		}
		var all []string
		for _, b := range d.core.table.Backends() {
			row, _ := d.core.table.Row(b.Addr)
			text := fmt.Sprint(b.Addr.As4()[3])
			switch {
			case row.Listing.Value.Retained:
				text += "+"
			case b.Gone:
				text += "-"
			}
			if row.Drain.Value.On {
				text += "d"
			}
			all = append(all, text)
		}
		if got := strings.Join(all, " "); got != want {
			w.t.Errorf("%s: %s has %s, want %s", what, d.name, got, want)
		}
	}
}

// Addresses that a name gets are used, those that it loses are drained, and those that come back
// are used again. Users of the one that went are moved, each once, and nobody else.
func TestNamedBackendsComeAndGo(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprint(n, " directors"), func(t *testing.T) {
			w := namers(t, n)
			w.wantTable("at first", "1 2 3 4")
			w.all(1, 2, 3, 5)
			w.look(3 * time.Second)
			w.wantTable("with a new address", "1 2 3 4 5")
			row, _ := w.directors[0].core.table.Row(netip.MustParseAddr("192.0.2.5"))
			if row.Presence.Value.Name != imap.Name || row.Presence.Origin != "d1" {
				t.Errorf("added as %+v", row.Presence)
			}
			w.look(missingGone - 5*time.Second)
			w.wantTable("before the time is over", "1 2 3 4 5")
			w.look(20 * time.Second)
			w.wantTable("one is gone", "1 2 3 4- 5")
			if got := w.directors[0].dir.Users(testBackend(4)); got != 0 {
				t.Errorf("%d users are left", got)
			}
			w.wantMoved(w.places, testBackend(4))
			w.wantKickedOnce(w.places, testBackend(4))
			w.all(1, 2, 3, 4, 5)
			w.look(3 * time.Second)
			w.wantTable("it is back", "1 2 3 4 5")
			w.wantKickedOnce(w.places, testBackend(4))
			changes := uint64(0)
			for _, d := range w.directors {
				changes += d.core.Counters().NameChanges
			}
			if changes != 3 {
				t.Errorf("%d changes are counted", changes)
			}
		})
	}
}

// What no answer changes: views that differ, failures, answers without an address.
func TestNamesDoNotFlap(t *testing.T) {
	for name, answer := range map[string]func(w *named, d *director) ([]int, string){
		"each director has another view": func(w *named, d *director) ([]int, string) {
			return map[string][]int{"d1": {1, 2}, "d2": {3, 4}, "d3": {1, 9}}[d.name], ""
		},
		"two of four by turns": func(w *named, _ *director) ([]int, string) {
			first := int(w.now/mono.Time(lookedUp)) % 4
			return []int{1 + first, 1 + (first+1)%4}, ""
		},
		"failures": func(*named, *director) ([]int, string) { return nil, "server failure" },
		"empty":    func(*named, *director) ([]int, string) { return nil, "" },
		"failures at most": func(_ *named, d *director) ([]int, string) {
			if d.name == "d2" {
				return []int{1, 2, 3}, ""
			}
			return nil, "timeout"
		},
	} {
		w := namers(t, 3)
		w.answer = func(d *director) ([]int, string) { return answer(w, d) }
		w.look(3 * missingGone)
		w.wantTable(name, "1 2 3 4")
		for _, d := range w.directors {
			if n := d.core.Counters().NameChanges; n != 0 {
				t.Errorf("%s: %s has changed %d", name, d.name, n)
			}
		}
		w.wantKickedOnce(w.places, netip.Addr{})
	}
}

// An operator's word holds: what was removed stays out until it is added, what was added by address
// is left alone, what is undrained stays in use, what is drained stays drained.
func TestNamesLeaveOperatorsAlone(t *testing.T) {
	w := namers(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	d3.order(RemoveBackend{Addr: testBackend(4)})
	w.look(2 * missingGone)
	w.wantTable("removed", "1 2 3")
	d1.boots(false, func(c *Config) { // where nobody may have forgotten it
		c.Backends, c.Names = ofName(4), d3.core.cfg.Names
	})
	w.look(2 * missingGone)
	w.wantTable("removed, after a restart", "1 2 3")
	d3.order(AddBackend{Addr: testBackend(4)})
	w.all(1, 2, 3)
	w.look(2 * missingGone)
	w.wantTable("added by address", "1 2 3 4")

	w.all(1, 2)
	w.look(2 * missingGone)
	w.wantTable("one is gone", "1 2 3- 4")
	d3.order(Undrain{Addr: testBackend(3)})
	w.look(2 * missingGone)
	w.wantTable("undrained", "1 2 3+ 4")
	d3.order(Drain{Addr: testBackend(3)})
	w.look(2 * missingGone)
	w.wantTable("and drained", "1 2 3+d 4")
	w.all(1, 2, 3)
	w.look(2 * missingGone)
	w.wantTable("back in the name", "1 2 3d 4")
	w.all(1, 2)
	w.look(2 * missingGone)
	w.wantTable("gone again", "1 2 3-d 4")
	d3.order(Undrain{Addr: testBackend(3)})
	w.look(2 * missingGone)
	w.wantTable("undrained, and retained", "1 2 3+ 4")
}

// More than a third of a tag is not given up at once, nor is what two names have; both is logged
// once, and shown.
func TestNamesThatLookWrong(t *testing.T) {
	w := namers(t, 3)
	w.all(1, 2)
	w.look(3 * missingGone)
	w.wantTable("half is gone", "1 2 3 4")
	other := WatchedName{Name: "spare.example.org"}
	for _, d := range w.directors {
		s := d.core.NamesStatus()
		if len(s.Alarms) != 1 || s.Alarms[0] != (NameAlarm{Gone: 2, Most: 1}) {
			t.Errorf("%s: alarms %+v", d.name, s.Alarms)
		}
		n := d.logged("too many backends are gone from their names, so none is drained")
		if n != map[string]int{"d1": 1}[d.name] {
			t.Errorf("%s: logged %d times", d.name, n)
		}
		d.core.naming.watched.Watch(other)
		d.core.ObserveName(w.now, other, []ring.Target{
			{Addr: testBackend(1)}, {Addr: netip.MustParseAddr("192.0.2.7")},
		}, "")
	}
	w.look(3 * time.Second)
	w.wantTable("with a second name", "1 2 3 4 7")
	for _, d := range w.directors {
		var states []string
		for _, name := range d.core.NamesStatus().Names {
			for _, a := range name.Addresses {
				states = append(states, fmt.Sprintf("%s %v by %d", a.Addr, a.State, len(a.SeenBy)))
			}
		}
		want := []string{
			"192.0.2.1 conflict by 3", "192.0.2.2 used by 3", "192.0.2.3 missing by 0",
			"192.0.2.4 missing by 0", "192.0.2.1 conflict by 3", "192.0.2.7 used by 3",
		}
		if !slices.Equal(states, want) {
			t.Errorf("%s: %q", d.name, states)
		}
		n := d.logged("backend is under two names, and left alone")
		if n != map[string]int{"d1": 1}[d.name] {
			t.Errorf("%s: logged %d times", d.name, n)
		}
	}
}

// The director that acts for all writes; where it is gone the next one does. One that is in contact
// with fewer than half of the others writes nothing.
func TestWhoFollowsNames(t *testing.T) {
	w := namers(t, 3)
	w.split(w.directors[:1], w.directors[1:])
	w.look(8 * time.Second) // until each counts the others as failed
	w.all(1, 2, 3, 5)
	w.look(2 * missingGone)
	if got := len(w.directors[0].core.table.Backends()); got != 4 {
		t.Errorf("the director that is alone has %d backends", got)
	}
	if s := w.directors[0].core.NamesStatus(); !s.OutOfContact || s.Writer {
		t.Errorf("it says %+v", s)
	}
	row, _ := w.directors[1].core.table.Row(testBackend(4))
	if row.Listing.Origin != "d2" || !row.Listing.Value.Gone {
		t.Errorf("on the other side: %+v", row.Listing)
	}
	w.heal()
	w.look(15 * time.Second)
	w.wantTable("after the split", "1 2 3 4- 5")
}

// Names are followed beside directors that watch none, as far as most see them; a name in the
// settings of a few takes no effect.
func TestNamesAtSomeDirectors(t *testing.T) {
	for watching, want := range map[int]string{1: "1 2 3 4", 2: "1 2 3 4- 5"} {
		w := namers(t, 3, func(c *Config) {})
		for i, d := range w.directors[watching:] {
			d.boots(false, func(c *Config) { c.Name = fmt.Sprintf("d%d", i+1+watching) })
		}
		w.until("all synced", 20*time.Second, w.allSynced)
		w.all(1, 2, 3, 5)
		w.look(2 * missingGone)
		w.wantTable(fmt.Sprint(watching, " watch"), want)
		s := w.directors[2].core.NamesStatus()
		if len(s.Watching) != watching || len(s.Names) != 1 ||
			len(s.Names[0].Directors) != watching {
			t.Errorf("d3 says %+v", s)
		}
	}
}

// A director of an earlier release would go on sending users to a backend that is gone.
func TestNamesBesideAnEarlierRelease(t *testing.T) {
	w := namers(t, 2)
	p := w.directors[0].core.peers.get("d2")
	p.registers = directory.ListingRegister - 1
	w.all(1, 2, 3, 5)
	w.look(2 * missingGone)
	w.wantTable("beside it", "1 2 3 4 5")
	n := w.directors[0].logged("backends that are gone from their names are not drained")
	if n != 1 {
		t.Errorf("logged %d times", n)
	}
	p.registers = directory.ListingRegister
	w.look(2 * time.Second)
	w.wantTable("upgraded", "1 2 3 4- 5")
}

// A name whose lookups do not end any more does not resolve; that is logged once, and its end too.
func TestNamesThatAreNotLookedUp(t *testing.T) {
	w := namers(t, 2)
	w.run(3*lookedUp + answerWithin + 2*time.Second)
	for _, d := range w.directors {
		seen := w.directors[0].core.NamesStatus().Names[0].Directors
		if len(seen) != 2 || seen[0].Resolves || seen[1].Resolves ||
			d.logged("name of backends does not resolve, its backends stay as they are") != 1 {
			t.Errorf("%s: %+v", d.name, seen)
		}
	}
	w.look(2 * time.Second)
	for _, d := range w.directors {
		if d.logged("name of backends resolves again") != 1 {
			t.Errorf("%s does not say that the name resolves again", d.name)
		}
	}
}

// Names may have more addresses than a table takes.
func TestNamesFillTheTable(t *testing.T) {
	w := namers(t, 1)
	d := w.directors[0]
	full := make([]ring.Backend, 0, ring.MaxBackends)
	for i := range ring.MaxBackends - 1 - 4 {
		full = append(full, ring.Backend{
			Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), VHosts: 1,
		})
	}
	d.core.table.Merge(directory.NewTable(d.core.table.Mesh(), "d1", full).Snapshot())
	w.all(1, 2, 3, 4, 5, 6)
	w.look(3 * time.Second)
	n, logged := len(d.core.table.Backends()), d.logged("backend cannot be added for its name")
	if n != ring.MaxBackends || logged != 1 {
		t.Errorf("%d backends; logged %d times", n, logged)
	}
}

// On either side of a split a name gets an address. On one side an operator takes it out again, or
// gives it another weight, before it is added on the other side. What the operator said holds.
func TestNamesOnBothSidesOfASplit(t *testing.T) {
	for _, test := range []struct {
		op   Operation
		want int // vhosts; 0: it is removed
	}{
		{RemoveBackend{Addr: testBackend(5)}, 0},
		{UpdateBackend{Addr: testBackend(5), VHosts: 7}, 7},
	} {
		w := namers(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		w.split([]*director{d1}, []*director{d2})
		vhosts := func(d *director) int {
			row, _ := d.core.table.Row(testBackend(5))
			if !row.Presence.Value.Present {
				return 0
			}
			return row.VHosts.Value
		}
		w.answer = func(d *director) (found []int, problem string) {
			if d == d1 {
				return []int{1, 2, 3, 4, 5}, ""
			}
			return []int{1, 2, 3, 4}, ""
		}
		w.look(failAfter + 3*time.Second)
		d1.order(test.op)
		w.all(1, 2, 3, 4, 5)
		w.look(3 * time.Second)
		if vhosts(d1) != test.want || vhosts(d2) != 100 {
			t.Fatalf("%T: before they meet they have %d and %d", test.op, vhosts(d1), vhosts(d2))
		}
		w.heal()
		w.until("all synced", 10*time.Second, w.allSynced)
		w.look(3 * time.Second)
		for _, d := range w.directors {
			if got := vhosts(d); got != test.want {
				t.Errorf("%T: %s has %d vhosts, want %d", test.op, d.name, got, test.want)
			}
		}
	}
}

// A backend comes under another name on one side of a split. On the other side an operator has
// removed it, and that holds.
func TestNameForWhatIsRemovedElsewhere(t *testing.T) {
	for _, lost := range []bool{false, true} { // by the name that it was added for
		w := namers(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		backend := testBackend(5)
		d2.order(AddBackend{Addr: backend, Name: "former.example.org"})
		if lost {
			w.run(time.Second)
			d1.core.apply(w.now, d1.core.table.SetListings(
				directory.StampAt(d1.core.MeshTime(w.now)), "d1",
				map[netip.Addr]directory.Listing{backend: {Gone: true}}), nil)
			w.run(time.Second)
			w.wantTable("lost", "1 2 3 4 5-")
		}
		w.split([]*director{d1}, []*director{d2})
		w.look(failAfter + 3*time.Second)
		d2.order(RemoveBackend{Addr: backend})
		w.answer = func(d *director) ([]int, string) {
			if d == d1 {
				return []int{1, 2, 3, 4, 5}, ""
			}
			return []int{1, 2, 3, 4}, ""
		}
		w.look(15 * time.Second)
		row, _ := d1.core.table.Row(backend)
		if row.Presence.Value.Name != imap.Name || row.Drained() {
			t.Errorf("on the other side it is %+v, %+v", row.Presence, row.Listing)
		}
		w.heal()
		w.until("all synced", 10*time.Second, w.allSynced)
		w.look(3 * time.Second)
		w.wantTable("after the split", "1 2 3 4")
	}
}

// A name has lost an address. On one side of a split an operator keeps the backend in use, before
// the other side finds that the address is gone. What the operator said holds.
func TestNameThatLosesWhatIsKeptElsewhere(t *testing.T) {
	w := namers(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	w.split([]*director{d1}, []*director{d2})
	w.look(failAfter + 3*time.Second)
	late := w.now.Add(10 * time.Second)
	w.answer = func(d *director) ([]int, string) {
		if d == d1 && w.now < late {
			return []int{1, 2, 3, 4}, ""
		}
		return []int{1, 2, 3}, ""
	}
	w.look(missingGone + 5*time.Second)
	d2.order(Undrain{Addr: testBackend(4)})
	w.look(10 * time.Second)
	if row, _ := d1.core.table.Row(testBackend(4)); !row.Listing.Value.Gone {
		t.Fatalf("d1: %+v", row.Listing)
	}
	w.heal()
	w.until("all synced", 10*time.Second, w.allSynced)
	w.look(3 * time.Second)
	w.wantTable("after the split", "1 2 3 4+")
	w.look(2 * missingGone)
	w.wantTable("later", "1 2 3 4+")
}
