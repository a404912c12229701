package replica

import (
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
)

// A director whose peers do not answer serves alone when its time is over, and not before; it says
// so once, and counts it.
func TestServingAlone(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	d2 := w.start("d2") // has somebody to join
	w.directors[0].stopped = true
	began := w.now
	for !d2.core.synced() {
		w.run(25 * time.Millisecond)
		if w.now.Sub(began) > time.Minute {
			t.Fatal("it never serves")
		}
	}
	if took := w.now.Sub(began); took < startWait || took > startWait+50*time.Millisecond {
		t.Errorf("it serves after %v, want %v", took, startWait)
	}
	w.run(time.Second)
	if got := d2.core.Counters().ServedAlone; got != 1 || !d2.core.Self(w.now).Alone {
		t.Errorf("counted %d times, %+v", got, d2.core.Self(w.now))
	}
}

// A director that was refused hopes for as long after a refusal as it takes to see a failure.
func TestRefusedHopesOn(t *testing.T) {
	w := newWorld(t)
	w.start("d1")
	d2 := w.start("d2")
	c := d2.core
	c.admission.refusedAt = c.admission.joinsSince.Add(startWait - failAfter)
	if c.bootstrapAlone(c.admission.joinsSince.Add(startWait)); c.admission.alone {
		t.Error("it serves alone while it hopes")
	}
	if c.bootstrapAlone(c.admission.joinsSince.Add(startWait + 1)); !c.admission.alone {
		t.Error("it hopes on although its time is over")
	}
}

// A director whose contacts vanished serves alone after a while, and not while one shows signs of
// life.
func TestContactsVanished(t *testing.T) {
	for _, test := range []struct {
		name   string
		waited time.Duration
		near   bool
		want   bool
	}{
		{"not long enough", contactLost - 1, false, false},
		{"long enough", contactLost, false, true},
		{"long enough, but one is near", contactLost, true, false},
	} {
		w := newWorld(t)
		w.start("d1")
		c := w.start("d2").core
		c.admission.contact = true
		at := c.admission.joinsSince.Add(test.waited)
		if test.near {
			c.peers.add(&peer{name: "d1", boot: 1, seenAt: at})
		}
		if c.bootstrapAlone(at); c.admission.alone != test.want {
			t.Errorf("%s: alone is %v, want %v", test.name, c.admission.alone, test.want)
		}
	}
}

// startsWith adds a live peer that starts together with a director, which has its snapshot.
func startsWith(c *Core, name string) *peer {
	p := &peer{name: name, boot: 1, live: true, log: c.logs.Open(logs.ID{Name: name, Boot: 1})}
	p.CountsUs = true
	c.peers.add(p)
	c.admission.coldSince = c.admission.joinsSince
	c.admission.cold = map[string]bool{name: true}
	return p
}

// Directors that start together wait for one that is about to come, but not for ever.
func TestColdStartWaitsForOneThatIsNear(t *testing.T) {
	for _, test := range []struct {
		name    string
		waited  time.Duration
		near    bool
		founded bool
	}{
		{"nobody near, too early", coldImpatience - 1, false, false},
		{"nobody near", coldImpatience, false, true},
		{"one is near", coldImpatience, true, false},
		{"one is near, a moment too early", coldImpatience + failAfter - 1, true, false},
		{"one is near, for long enough", coldImpatience + failAfter, true, true},
	} {
		w := newWorld(t)
		w.start("d1")
		c := w.start("d2").core
		other := startsWith(c, "d1")
		now := c.admission.joinsSince.Add(test.waited)
		if test.near {
			log := c.logs.Open(logs.ID{Name: "d3", Boot: 1})
			c.peers.add(&peer{name: "d3", boot: 1, seenAt: now, log: log})
		}
		c.bootstrapCold(now, []*peer{other})
		if c.admission.bootstrapped != test.founded {
			t.Errorf("%s: founded is %v, want %v",
				test.name, c.admission.bootstrapped, test.founded)
		}
	}
}

// Two that start together do not found a mesh beside one that has just refused them, while it may
// still take them.
func TestColdStartBesideAMesh(t *testing.T) {
	for _, test := range []struct {
		name    string
		by      string
		ago     time.Duration
		waited  time.Duration
		founded bool
	}{
		{"refused by one of the mesh", "d3", failAfter, refusalWait - 1, false},
		{"refused long ago", "d3", failAfter + 1, refusalWait - 1, true},
		{"refused for long enough", "d3", 0, refusalWait, true},
		{"refused by the one that starts with it", "d2", 0, refusalWait - 1, true},
	} {
		w := newWorld(t)
		w.start("d2")
		c := w.start("d1").core
		other := startsWith(c, "d2")
		now := c.admission.joinsSince.Add(test.waited)
		c.Refused(w.now, &wire.Refuse{From: wire.Peer{Name: test.by}, Reason: "taken"})
		c.admission.refusedAt = now.Add(-test.ago)
		c.bootstrapCold(now, []*peer{other})
		if c.admission.bootstrapped != test.founded {
			t.Errorf("%s: founded is %v, want %v",
				test.name, c.admission.bootstrapped, test.founded)
		}
	}
}

// The one that founds a mesh asks for a snapshot only whom it has a stream to: nobody else hears
// the request, and the wait for the answer would be time in which nobody serves.
func TestColdStartAsksWhomItReaches(t *testing.T) {
	w := newWorld(t)
	w.start("d0")
	c := w.start("d1").core
	var live []*peer
	for _, name := range []string{"d2", "d3"} {
		p := &peer{name: name, boot: 1, live: true, out: name == "d3"}
		p.CountsUs = true
		p.log = c.logs.Open(logs.ID{Name: name, Boot: 1})
		c.peers.add(p)
		live = append(live, p)
	}
	now := c.admission.joinsSince.Add(coldWait)
	c.admission.coldSince, c.admission.cold = c.admission.joinsSince, make(map[string]bool)
	c.bootstrapCold(now, live)
	if !c.receiver.From("d3") || c.admission.bootstrapped {
		t.Errorf("it takes %+v; founded is %v", c.receiver.Current(), c.admission.bootstrapped)
	}
}

// What a peer of another time says is counted and left alone, but for what has no time; whom it
// counts is known later, when its clock is near.
func TestMessagesOfAnotherTime(t *testing.T) {
	for _, test := range []struct {
		m    wire.Message
		want uint64
	}{
		{&wire.Rows{}, 1}, {&wire.Counting{Counts: []wire.Life{{Name: "d9", Boot: 9}}}, 0},
		{&wire.Exclude{Reason: "test"}, 0}, {&wire.Leaving{}, 0},
	} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		p := d1.core.peers.get("d2")
		p.counts = nil
		p.clock.Take(w.now, meshtime.Sample{MeshTime: time.Hour})
		d1.core.admission.synced = false // else it notices by itself
		before := d1.core.Counters()
		d1.hears(d2, test.m)
		after := d1.core.Counters()
		if got := after.OtherTime - before.OtherTime; got != test.want {
			t.Errorf("%T: %d counted", test.m, got)
		}
		d9 := wire.Life{Name: "d9", Boot: 9}
		if far := d1.core.countedByPeer(d9); far {
			t.Errorf("%T: it has a say", test.m)
		}
		p.clock.Take(w.now, meshtime.Sample{})
		_, counting := test.m.(*wire.Counting)
		if near := d1.core.countedByPeer(d9); near != counting {
			t.Errorf("%T: with its clock near it has a say: %v", test.m, near)
		}
	}
}

// Without admission nobody waits for directors that were named.
func TestNoAdmissionNoWait(t *testing.T) {
	for _, without := range []bool{false, true} {
		c := crowd(0, nil)
		c.cfg.Guards.NoAdmission = without
		c.admission.named = admission.Named{{Name: "d9"}: mono.Time(time.Hour)}
		if got := c.unsyncedReason(mono.Time(time.Hour)); (got == "") != without {
			t.Errorf("without admission %v: %q", without, got)
		}
	}
}
