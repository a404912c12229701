package directory

import (
	"net/netip"
	"testing"
	"time"

	"directormesh/ring"
)

// start is a moment at which tests begin.
const start = Time(1_800_000_000_000)

func ticks(d time.Duration) Tick { return Tick(d / (250 * time.Millisecond)) }

// presentRow is the row of a backend in the table.
func presentRow(addr netip.Addr, tag ring.Tag, forgotten Stamp) BackendRow {
	return BackendRow{
		Addr: addr,
		Presence: Register[Presence]{
			Value: Presence{Present: true, Tag: tag}, Stamp: 1, Origin: "d1",
		},
		Forgotten: forgotten,
	}
}

// twoTags has the backends b1 and b2 without tag, and b3 with the tag ssd.
func twoTags() []BackendRow {
	return []BackendRow{presentRow(b1, "", 0), presentRow(b2, "", 0), presentRow(b3, "ssd", 0)}
}

func newDirectory() *Directory {
	d := New(0)
	d.SetBackends(twoTags())
	return d
}

func TestShare(t *testing.T) {
	for _, test := range []struct{ expire, share, life time.Duration }{
		{0, 45 * time.Second, 15*time.Minute + 45*time.Second},
		{-time.Second, 45 * time.Second, 15*time.Minute + 45*time.Second},
		{time.Minute, 20 * time.Second, 80 * time.Second},
		{10 * time.Minute, 30 * time.Second, 630 * time.Second},
		{24 * time.Hour, 45 * time.Second, 24*time.Hour + 45*time.Second},
	} {
		d := New(test.expire)
		if d.Share() != test.share {
			t.Errorf("share of %v is %v, want %v", test.expire, d.Share(), test.share)
		}
		m := Mapping{Activity: start.Tick()}
		if got := d.Ends(m).Sub(start); got != test.life {
			t.Errorf("a mapping with expire time %v lives %v, want %v", test.expire, got, test.life)
		}
	}
}

// An expire time that is no whole number of ticks is rounded up.
func TestLifeInTicks(t *testing.T) {
	for expire, want := range map[time.Duration]uint64{
		time.Minute:                           320,
		time.Minute + time.Millisecond:        321,
		time.Minute + 250*time.Millisecond:    321,
		time.Minute + 251*time.Millisecond:    322,
		time.Minute + 249*time.Millisecond:    321,
		time.Minute - 249*time.Millisecond:    320,
		2*time.Minute + 1499*time.Millisecond: 566,
	} {
		if got := New(expire).lifeTicks; got != want {
			t.Errorf("a row with expire time %v is dead after %d ticks, want %d", expire, got, want)
		}
	}
}

func TestLifeOfAMapping(t *testing.T) {
	d := newDirectory()
	const user = 0x12345678
	if m, status := d.Find("", user, start); status != None || m != (Mapping{}) {
		t.Fatalf("an empty directory finds %+v, %v", m, status)
	}
	m, ok := d.Assign("", user, b1, start)
	want := Mapping{
		Hash: user, Backend: b1, Activity: start.Tick(), Stamp: start.Tick(), Generation: 1,
	}
	if !ok || m != want {
		t.Fatalf("assigned %+v, %v; want %+v", m, ok, want)
	}
	if m, ok := d.Assign("", user, b2, start+1); ok || m != want {
		t.Fatalf("assigned again: %+v, %v; want the live %+v and false", m, ok, want)
	}
	if _, status := d.Find("ssd", user, start); status != None {
		t.Errorf("the mapping is seen under another tag: %v", status)
	}

	later := start.Add(10 * time.Minute)
	want.Activity += ticks(10 * time.Minute)
	if m, ok = d.Touch("", m, later); !ok || m != want {
		t.Fatalf("touched: %+v, %v; want %+v", m, ok, want)
	}
	if back, ok := d.Touch("", m, start); !ok || back != want {
		t.Errorf("recorded activity went back: %+v, %v; want %+v", back, ok, want)
	}

	end := d.Ends(m)
	if got, status := d.Find("", user, end-1); status != Live || got != m {
		t.Errorf("just before its end: %+v, %v", got, status)
	}
	if got, status := d.Find("", user, end); status != Dead || got != m {
		t.Errorf("at its end: %+v, %v", got, status)
	}
	if got, ok := d.Touch("", m, end); ok {
		t.Errorf("a dead mapping was touched: %+v", got)
	}
	if rows := d.Leaf("", 0x1234, end, nil); len(rows) != 0 {
		t.Errorf("dead rows are handed out: %+v", rows)
	}

	want = Mapping{Hash: user, Backend: b2, Activity: end.Tick(), Stamp: end.Tick(), Generation: 2}
	if m, ok := d.Assign("", user, b2, end); !ok || m != want {
		t.Errorf("assigned anew: %+v, %v; want %+v", m, ok, want)
	}
}

func TestAssignRefusesBackends(t *testing.T) {
	d := newDirectory()
	for _, test := range []struct {
		name    string
		tag     ring.Tag
		backend netip.Addr
	}{
		{"of another tag", "", b3},
		{"of no tag", "ssd", b1},
		{"of an unknown tag", "hdd", b1},
		{"not in the table", "", b6},
		{"none", "", noBackend},
	} {
		if m, ok := d.Assign(test.tag, 5, test.backend, start); ok || m != (Mapping{}) {
			t.Errorf("backend %s: assigned %+v, %v", test.name, m, ok)
		}
		if _, status := d.Find(test.tag, 5, start); status != None {
			t.Errorf("backend %s: something is stored", test.name)
		}
	}
}

func TestForgotten(t *testing.T) {
	d := newDirectory()
	m, _ := d.Assign("", 5, b1, start)
	other, _ := d.Assign("", 6, b2, start)

	d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(start)+3), presentRow(b2, "", 0)})
	if got, status := d.Find("", 5, start); status != Dead || got != m {
		t.Errorf("forgotten: %+v, %v; want it dead", got, status)
	}
	if _, status := d.Find("", 6, start); status != Live {
		t.Errorf("%+v went with another backend's mappings: %v", other, status)
	}
	if dropped := d.Merge("", []Mapping{m}, start, nil); dropped != 1 {
		t.Error("a late row brings back what was forgotten")
	}
	// Within the same tick a new mapping must not be forgotten at birth.
	want := Mapping{
		Hash: 5, Backend: b1, Activity: start.Tick(), Stamp: start.Tick() + 1, Generation: 2,
	}
	if got, ok := d.Assign("", 5, b1, start); !ok || got != want {
		t.Errorf("assigned %+v, %v; want %+v", got, ok, want)
	}
	if got, status := d.Find("", 5, start); status != Live || got != want {
		t.Errorf("found %+v, %v; want %+v", got, status, want)
	}
	d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(maxStampTime))})
	if got, ok := d.Assign("", 5, b1, start); ok {
		t.Errorf("assigned %+v, although no stamp is late enough to live", got)
	}
}

func TestTableMakesMappingsDead(t *testing.T) {
	removed := presentRow(b1, "", 0)
	removed.Presence.Value.Present = false
	for _, test := range []struct {
		name string
		rows []BackendRow
	}{
		{"backend is not known", nil},
		{"backend is removed", []BackendRow{removed}},
		{"backend has another tag", []BackendRow{presentRow(b1, "ssd", 0)}},
	} {
		d := newDirectory()
		m, _ := d.Assign("", 5, b1, start)
		d.SetBackends(test.rows)
		if got, status := d.Find("", 5, start); status != Dead || got != m {
			t.Errorf("%s: found %+v, %v; want %+v dead", test.name, got, status, m)
		}
		d.SetBackends(twoTags())
		if got, status := d.Find("", 5, start); status != Live || got != m {
			t.Errorf("%s, then back: found %+v, %v; want %+v live", test.name, got, status, m)
		}
	}
}

func TestMove(t *testing.T) {
	d := newDirectory()
	first, _ := d.Assign("", 5, b1, start)
	now := start.Add(time.Minute)
	moved, previous, was := d.Supersede("", 5, b2, true, now, 0)
	want := Mapping{
		Hash: 5, Backend: b2, Activity: now.Tick(), Stamp: now.Tick(), Generation: 2, Moving: true,
	}
	if moved != want || previous != first || was != Live {
		t.Fatalf("moved: %+v after %+v, %v; want %+v after %+v, live",
			moved, previous, was, want, first)
	}
	if m, ok := d.Touch("", moved, now+1000); ok {
		t.Errorf("activity was recorded in a moving mapping: %+v", m)
	}
	if m, ok := d.Release("", first); ok {
		t.Errorf("a release of the old mapping ended the move: %+v", m)
	}
	want.Moving = false
	for range 2 {
		if m, ok := d.Release("", moved); !ok || m != want {
			t.Errorf("released: %+v, %v; want %+v", m, ok, want)
		}
	}
	if m, ok := d.Release("", Mapping{Hash: 77}); ok {
		t.Errorf("released an unknown user: %+v", m)
	}

	// An originator that was beaten starts again above the row that beat it.
	moved, _, _ = d.Supersede("", 5, b1, true, now, 40)
	if moved.Generation != 41 {
		t.Errorf("generation above 40 is %d", moved.Generation)
	}
	moved, _, _ = d.Supersede("", 5, b1, true, now, 7)
	if moved.Generation != 42 {
		t.Errorf("generation above 7 and 41 is %d", moved.Generation)
	}
}

// A director whose clock is a little behind must not take activity back.
func TestMoveKeepsLaterActivity(t *testing.T) {
	d := newDirectory()
	first, _ := d.Assign("", 5, b1, start.Add(time.Second))
	moved, _, _ := d.Supersede("", 5, b2, true, start, 0)
	if moved.Activity != first.Activity || moved.Stamp != start.Tick() {
		t.Errorf("moved: %+v after %+v", moved, first)
	}
	later := start.Add(time.Minute)
	if moved, _, _ := d.Supersede("", 5, b1, true, later, 0); moved.Activity != later.Tick() {
		t.Errorf("moved: %+v, want activity %d", moved, later.Tick())
	}
}

// A director whose clock is a little behind gives a backend to a user whose mapping was forgotten:
// all the others, which merge the two rows, keep the later activity.
func TestAssignKeepsLaterActivity(t *testing.T) {
	d := newDirectory()
	first := Mapping{
		Hash: 5, Backend: b1, Activity: start.Add(time.Second).Tick(), Stamp: start.Tick(),
		Generation: 1,
	}
	d.Merge("", []Mapping{first}, start, nil)
	d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(start)+3)})
	given, ok := d.Assign("", 5, b1, start)
	if !ok || given.Generation != 2 || given.Activity != first.Activity {
		t.Errorf("assigned %+v, %v after %+v; want its activity", given, ok, first)
	}
	later := d.Ends(given)
	if given, ok := d.Assign("", 5, b1, later); !ok || given.Activity != later.Tick() {
		t.Errorf("assigned %+v, %v; want activity %d", given, ok, later.Tick())
	}
}

// The first ticks are no exception to when a mapping ends.
func TestLifeOfTheFirstTick(t *testing.T) {
	d := newDirectory()
	row := Mapping{Hash: 5, Backend: b1, Generation: 1, Stamp: 1}
	end := d.Ends(row)
	d.Merge("", []Mapping{row}, end-1, nil)
	if _, status := d.Find("", 5, end-1); status != Live {
		t.Errorf("a millisecond before its end it is %v", status)
	}
	if _, status := d.Find("", 5, end); status != Dead {
		t.Errorf("at its end it is %v", status)
	}
}

func TestForgetOneUser(t *testing.T) {
	d := newDirectory()
	d.Assign("", 5, b1, start)
	none, _, _ := d.Supersede("", 5, noBackend, true, start, 0)
	if got, status := d.Find("", 5, start); status != Live || got != none || got.Backend.IsValid() {
		t.Fatalf("found %+v, %v; want a live mapping to no backend", got, status)
	}
	if m, ok := d.Assign("", 5, b2, start); ok || m != none {
		t.Errorf("assigned %+v, %v while the user is moving", m, ok)
	}
	d.Release("", none)
	m, ok := d.Assign("", 5, b2, start)
	if !ok || m.Generation != 3 || m.Backend != b2 {
		t.Errorf("assigned %+v, %v; want generation 3 on %v", m, ok, b2)
	}
}

func TestForgetUnderUnknownTag(t *testing.T) {
	d := newDirectory()
	none, previous, was := d.Supersede("hdd", 5, noBackend, false, start, 0)
	if none.Generation != 1 || previous != (Mapping{}) || was != None {
		t.Fatalf("%+v after %+v, %v", none, previous, was)
	}
	if got, status := d.Find("hdd", 5, start); status != Live || got != none {
		t.Errorf("found %+v, %v; want %+v", got, status, none)
	}
	if d := diff([]ring.Tag{"", "hdd", "ssd"}, d.Tags()); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}
}

func TestSupersedeRefuses(t *testing.T) {
	d := newDirectory()
	first, _ := d.Assign("", 5, b1, start)
	for _, test := range []struct {
		tag     ring.Tag
		backend netip.Addr
		before  Mapping
		was     Status
	}{
		{"", b3, first, Live},
		{"", b6, first, Live},
		{"ssd", b1, Mapping{}, None},
		{"hdd", b1, Mapping{}, None},
	} {
		m, previous, was := d.Supersede(test.tag, 5, test.backend, true, start, 0)
		if m != (Mapping{}) || previous != test.before || was != test.was {
			t.Errorf("tag %q, backend %v: %+v after %+v, %v",
				test.tag, test.backend, m, previous, was)
		}
	}
	if got, _ := d.Find("", 5, start); got != first {
		t.Errorf("the mapping changed to %+v", got)
	}
}

func TestLastGeneration(t *testing.T) {
	d := newDirectory()
	if m, _, _ := d.Supersede("", 5, noBackend, false, start, MaxGeneration-1); m != (Mapping{}) {
		t.Errorf("%+v takes the backend for as long as the mapping lives", m)
	}
	last := Mapping{Hash: 5, Activity: start.Tick(), Stamp: start.Tick(), Generation: MaxGeneration}
	d.Merge("", []Mapping{last}, start, nil)
	if m, ok := d.Assign("", 5, b1, start); ok || m != last {
		t.Errorf("assigned %+v, %v over the last generation: other directors would not take it",
			m, ok)
	}
	if m, previous, was := d.Supersede("", 5, b1, false, start, 0); m != (Mapping{}) ||
		previous != last || was != Live {
		t.Errorf("superseded the last generation: %+v after %+v, %v", m, previous, was)
	}
	// Dead rows do not matter to others: then counting just stops.
	if m, ok := d.Assign("", 5, b1, d.Ends(last)); !ok || m.Generation != MaxGeneration {
		t.Errorf("assigned %+v, %v after the last one died", m, ok)
	}
}

func TestGuardsOff(t *testing.T) {
	forget := []BackendRow{presentRow(b1, "", StampAt(start))}

	lax := NewUnguarded(0, Guards{IgnoreForgotten: true})
	lax.SetBackends(twoTags())
	lax.Assign("", 5, b1, start)
	lax.SetBackends(forget)
	if _, status := lax.Find("", 5, start); status != Live {
		t.Errorf("IgnoreForgotten: the mapping is %v", status)
	}
	if m, ok := lax.Assign("", 6, b1, start); !ok || m.Stamp != start.Tick() {
		t.Errorf("IgnoreForgotten: assigned %+v, %v", m, ok)
	}

	lax = NewUnguarded(0, Guards{ResetGeneration: true})
	lax.SetBackends(twoTags())
	m, _ := lax.Assign("", 5, b1, start)
	end := lax.Ends(m)
	if m, ok := lax.Assign("", 5, b1, end); !ok || m.Generation != 1 {
		t.Errorf("ResetGeneration: assigned %+v, %v over a dead row", m, ok)
	}
	m, _, _ = lax.Supersede("", 5, b2, false, end, 0)
	if m.Generation != 2 {
		t.Errorf("ResetGeneration: moved a live mapping to generation %d", m.Generation)
	}
	m, _, _ = lax.Supersede("", 5, b2, false, lax.Ends(m), 0)
	if m.Generation != 1 {
		t.Errorf("ResetGeneration: moved a dead mapping to generation %d", m.Generation)
	}
}

func TestFindAndTouchDoNotAllocate(t *testing.T) {
	d := newDirectory()
	m, _ := d.Assign("ssd", 5, b3, start)
	if n := testing.AllocsPerRun(100, func() {
		d.Find("ssd", 5, start)
		d.Find("ssd", 6, start)
		d.Touch("ssd", m, start)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStatusText(t *testing.T) {
	for status, want := range map[Status]string{
		None: "none", Dead: "dead", Live: "live", 9: "invalid status",
	} {
		if status.String() != want {
			t.Errorf("status %d is %q, want %q", int(status), status, want)
		}
	}
}

// A mapping is touched and released only as what it is: another hash, generation, stamp or backend
// is another mapping.
func TestAnotherMappingIsNotTouched(t *testing.T) {
	d := newDirectory()
	m, _, _ := d.Supersede("", 5, b1, true, start, 0)
	for name, change := range map[string]func(*Mapping){
		"hash":       func(m *Mapping) { m.Hash++ },
		"generation": func(m *Mapping) { m.Generation++ },
		"stamp":      func(m *Mapping) { m.Stamp++ },
		"backend":    func(m *Mapping) { m.Backend = b2 },
	} {
		other := m
		change(&other)
		if got, ok := d.Release("", other); ok {
			t.Errorf("with another %s %+v is released", name, got)
		}
	}
	m, ok := d.Release("", m)
	if !ok {
		t.Fatal("not released")
	}
	for name, change := range map[string]func(*Mapping){
		"generation": func(m *Mapping) { m.Generation++ },
		"stamp":      func(m *Mapping) { m.Stamp++ },
		"backend":    func(m *Mapping) { m.Backend = b2 },
	} {
		other := m
		change(&other)
		if got, ok := d.Touch("", other, start.Add(time.Minute)); ok {
			t.Errorf("with another %s %+v is touched", name, got)
		}
	}
	if _, ok := d.Touch("", m, start.Add(time.Minute)); !ok {
		t.Error("the mapping itself is not touched")
	}
}

// TestAll walks mappings of several tags, in order, and stops where it is told to.
func TestAll(t *testing.T) {
	d := New(15 * time.Minute)
	d.SetBackends([]BackendRow{presentRow(b1, "", 0), presentRow(b2, "a", 0)})
	type mapped struct {
		Tag  ring.Tag
		Hash ring.UserHash
	}
	want := []mapped{{"", 1}, {"", 2 << 16}, {"", 2<<16 + 1}, {"a", 0}, {"a", 1<<32 - 1}}
	for i := len(want) - 1; i >= 0; i-- {
		backend := b1
		if want[i].Tag == "a" {
			backend = b2
		}
		d.Assign(want[i].Tag, want[i].Hash, backend, start)
	}
	for stop := range len(want) + 1 {
		var got []mapped
		for tag, m := range d.All(start) {
			if len(got) == stop {
				break
			}
			got = append(got, mapped{tag, m.Hash})
		}
		if diff := diff(want[:stop], got); diff != "" && stop > 0 {
			t.Errorf("the first %d (-want +got):\n%s", stop, diff)
		}
	}
	for _, m := range d.All(start.Add(16 * time.Minute)) {
		t.Errorf("%v has expired", m)
	}
}
