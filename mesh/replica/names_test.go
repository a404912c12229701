package replica

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// at gives a director the address of another.
func at(addr netip.AddrPort) func(*Config) {
	return func(c *Config) { c.Founder, c.Addr = false, addr }
}

// logged reports whether a director has logged a text.
func (d *director) logged(text string) int {
	n := 0
	for _, l := range d.logs {
		if l.Text == text {
			n++
		}
	}
	return n
}

// Where nobody has said where a director is, no reason and no line of the log has Go's word for it.
func TestUnknownAddressIsPlain(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	hello := d2.core.Hello(w.now, Dial{Name: "d9"})
	hello.From.Addr = netip.AddrPort{}
	_, _, err := d1.core.Accept(w.now, hello)
	if err == nil {
		t.Fatal("a hello for d9 is accepted by d1")
	}
	refusal := d1.core.Refusal(w.now, err)
	refusal.From.Addr = netip.AddrPort{}
	d2.core.Refused(w.now, refusal)
	w.run(time.Second)
	var said []string
	for _, d := range []*director{d1, d2} {
		for _, l := range d.logs {
			said = append(said, fmt.Sprint(l.Text, l.Fields))
		}
	}
	all := strings.Join(append(said, refusal.Reason), "\n")
	if strings.Contains(all, "invalid") || strings.Count(all, "an unknown address") < 3 {
		t.Errorf("said:\n%s", all)
	}
}

// A director that is started again under another name takes the place of the one before: nobody
// waits for that one, dials it or names it as failed, and the mesh does not confuse them.
func TestRenamedDirector(t *testing.T) {
	for name, after := range map[string]time.Duration{
		"at once": 0, "after it has failed": failAfter + time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, 3)
			d1, d2, old := w.directors[0], w.directors[1], w.directors[2]
			addr := old.core.cfg.Addr
			old.crash()
			w.run(after)
			renamed := w.start("renamed", at(addr))
			// memberlist has not noticed
			renamed.core.MemberJoined(w.now, "d3", addr, old.core.cfg.Boot)
			w.until("renamed synced", 3*time.Second, func() bool { return renamed.core.synced() })
			w.run(time.Second)
			outcome, err := d1.do(UpdateBackend{Addr: testBackend(1), VHosts: 50})
			if err != nil || len(outcome.FailedPeers) > 0 {
				t.Errorf("an update names %v as failed, %v", outcome.FailedPeers, err)
			}
			for _, d := range []*director{d1, d2} {
				if d.core.Wanted("d3") || slices.ContainsFunc(d.core.Dials(), func(x Dial) bool {
					return x.Name == "d3"
				}) {
					t.Errorf("%s still wants d3", d.name)
				}
				for _, p := range d.core.Peers(w.now) {
					if p.Name == "d3" {
						t.Errorf("%s lists d3: %+v", d.name, p)
					}
				}
				d.core.MemberJoined(w.now, "d3", addr, old.core.cfg.Boot)
				if d.core.hints.Len() > 0 {
					t.Errorf("%s believes that d3 is at the address of the renamed one", d.name)
				}
			}
			n := renamed.logged("the address of this director is known under another name too")
			if n != 1 {
				t.Errorf("the renamed one has said %d times that its address has two names", n)
			}
			self := renamed.core.selfStatus(w.now)
			if !strings.Contains(self.Reason, "d3") {
				t.Errorf("ring status says %q of the renamed one", self.Reason)
			}
			renamed.core.MemberFailed(w.now, "d3")
			w.run(hints.AliasFor + time.Second)
			if self := renamed.core.selfStatus(w.now); self.Reason != "" {
				t.Errorf("ring status still says %q of the renamed one", self.Reason)
			}
		})
	}
}

// A host that dies without a word and starts again under another name is refused until its former
// name is given up. It waits for that instead of serving beside the mesh that refuses it.
func TestRenamedAfterASilentDeath(t *testing.T) {
	w := started(t, 3)
	d1, old := w.directors[0], w.directors[2]
	old.stopped = true
	w.run(time.Second)
	renamed := w.start("renamed", at(old.core.cfg.Addr))
	for _, d := range w.directors[:2] { // whose memberlists still have d3 at that address
		w.cut[[2]string{d.name, "renamed"}] = true
	}
	w.run(startWait + time.Second)
	w.heal()
	w.until("renamed synced", failAfter, func() bool { return renamed.core.synced() })
	if got, want := renamed.core.table.Mesh(), d1.core.table.Mesh(); got != want {
		t.Errorf("renamed is in mesh %v, want that of the others, %v", got, want)
	}
	if n := renamed.logged("no peer answers, serving alone; trying again"); n > 0 {
		t.Errorf("renamed served alone %d times", n)
	}
}

// A director that is refused for longer than a former name lives serves alone, like one that nobody
// answers.
func TestRefusedForGood(t *testing.T) {
	w := newWorld(t)
	d1 := w.start("d1", func(c *Config) { c.Founder = false })
	for end := w.now.Add(refusalWait); w.now < end; {
		d1.core.Refused(w.now, &wire.Refuse{
			From: wire.Peer{Name: "d2"}, Reason: "the address is taken",
		})
		if d1.core.synced() {
			t.Fatalf("answers by itself after %v although it may still be taken", w.now)
		}
		w.run(500 * time.Millisecond)
	}
	w.run(time.Second)
	if self := d1.core.Self(w.now); !self.Synced || !self.Alone {
		t.Errorf("does not serve alone: %+v", self)
	}
}

// A director that advertises the address of a healthy one, with which its configuration was copied,
// is refused and does not disturb that one.
func TestCopiedAdvertise(t *testing.T) {
	w := started(t, 3)
	d1, d2 := w.directors[0], w.directors[1]
	copied := w.start("copied", at(d2.core.cfg.Addr))
	w.run(30 * time.Second)
	for _, d := range w.directors[:3] {
		if !d.core.synced() || d.core.peers.all.live() != 2 {
			t.Errorf("%s is disturbed: %+v, %d peers",
				d.name, d.core.Self(w.now), d.core.peers.all.live())
		}
		if d.core.peers.get("copied") != nil {
			t.Errorf("%s takes the copied one for a peer", d.name)
		}
	}
	if d1.logged("peer failed") > 0 || d2.logged("peer failed") > 0 {
		t.Error("a healthy director was called failed")
	}
	if d2.logged("the address of this director is known under another name too") != 1 {
		t.Error("d2 does not say that its address is known under another name")
	}
	if reason := d1.core.peers.get("d2"); !reason.live || copied.core.peers.all.live() > 0 {
		t.Error("d2 has lost its place")
	}
	// The copied one hears why. That it answers nothing until then is the business of admission.
	if !strings.Contains(copied.core.admission.refused, "--advertise") {
		t.Errorf("the copied one was told %q", copied.core.admission.refused)
	}
	_ = d1.must(ring.UserHash(77))
}

// A dialler that wants another director is refused before anything changes.
func TestHelloForAnother(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	before := *d1.core.peers.get("d2")
	hello := d2.core.Hello(w.now, Dial{Name: "d3", Addr: d1.core.cfg.Addr})
	_, _, err := d1.core.Accept(w.now, hello)
	if err == nil || !strings.Contains(err.Error(), "d1, not d3") {
		t.Errorf("accepted: %v", err)
	}
	after := d1.core.peers.get("d2")
	if after.in != before.in || after.boot != before.boot || !after.live {
		t.Errorf("the refused hello has replaced the stream of before: %+v", after)
	}
	answer := d1.core.hello(w.now)
	answer.Answers = d2.core.boot
	if err := d2.core.Opened(w.now, Dial{Name: "d3", Addr: d1.core.cfg.Addr}, answer); err == nil {
		t.Error("the answer of another director is taken")
	}
}

// Directors are removed and let in again by name.
func TestRemoveDirectorByName(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	if _, err := d1.do(SetDirectorRemoved{Name: "d3", Removed: true}); err != nil {
		t.Fatal(err)
	}
	if !d2.core.table.Removed(d3.core.cfg.Addr) {
		t.Error("d3 is not removed")
	}
	w.run(time.Minute) // the name is kept
	if _, err := d1.do(SetDirectorRemoved{Name: "d3"}); err != nil {
		t.Fatal(err)
	}
	w.until("all synced", 20*time.Second, w.allSynced)
	_, err := d1.do(SetDirectorRemoved{Name: "d9", Removed: true})
	if !errors.Is(err, ErrUnknownDirector) {
		t.Errorf("an unknown name: %v", err)
	}
}

// A name that is not that of the director at its address must not remove that director.
func TestRemoveFormerName(t *testing.T) {
	w := started(t, 3)
	d1, old := w.directors[0], w.directors[2]
	addr := old.core.cfg.Addr
	old.crash()
	w.run(failAfter + time.Second)
	renamed := w.start("renamed", at(addr))
	w.until("renamed synced", 20*time.Second, func() bool { return renamed.core.synced() })
	_, err := d1.do(SetDirectorRemoved{Name: "d3", Removed: true})
	if !errors.Is(err, ErrSharedAddress) || !strings.Contains(err.Error(), "d3, renamed") {
		t.Errorf("removing the former name: %v", err)
	}
	if _, err := d1.do(SetDirectorRemoved{Name: "renamed", Removed: true}); err != nil {
		t.Errorf("removing the director by its name: %v", err)
	}
	if row, ok := d1.core.table.Director(addr); !ok || !row.Removed.Value {
		t.Errorf("the address is not removed: %+v", row)
	}
}

// A director that is removed while it is away must not go on answering once it can hear of it; nor
// may one that was removed and starts again. Let in again, it joins.
func TestRemovedWhileAway(t *testing.T) {
	w := started(t, 3)
	d1, d3 := w.directors[0], w.directors[2]
	w.split(w.directors[:2], w.directors[2:])
	w.run(failAfter + time.Second)
	remove := func(removed bool) {
		t.Helper()
		_, err := d1.do(SetDirectorRemoved{Addr: d3.core.cfg.Addr, Removed: removed})
		if err != nil {
			t.Fatal(err)
		}
	}
	remove(true)
	w.heal()
	w.run(5 * time.Second)
	if _, id := d3.ask(4711); id == 0 {
		t.Errorf("removed, and in touch again, but answers by itself: %+v", d3.core.Self(w.now))
	}
	d3.crash()
	d3.boots(false)
	w.run(startWait + 5*time.Second)
	if _, id := d3.ask(4711); id == 0 {
		t.Errorf("removed, and started again, but answers by itself: %+v", d3.core.Self(w.now))
	}
	remove(false)
	w.until(
		"d3 is let in", 20*time.Second, func() bool { return d3.core.synced() && w.allSynced() })
}

// A name belongs to the director that has it, as long as that lives: neither another process at
// another address may have it, nor is the same process refused when it is seen elsewhere.
func TestNameOfALiveDirector(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	p := c.peers.get("d2")
	elsewhere := netip.MustParseAddrPort("198.51.100.9:9")
	for _, test := range []struct {
		name string
		who  wire.Peer
		live bool
		ok   bool
	}{
		{"itself", wire.Peer{Name: "d2", Boot: p.boot, Addr: p.addr}, true, true},
		{"itself, seen elsewhere", wire.Peer{Name: "d2", Boot: p.boot, Addr: elsewhere},
			true, true},
		{"its next life", wire.Peer{Name: "d2", Boot: p.boot + 1, Addr: p.addr}, true, true},
		{"another one", wire.Peer{Name: "d2", Boot: p.boot + 1, Addr: elsewhere}, true, false},
		{"another one, when it has failed",
			wire.Peer{Name: "d2", Boot: p.boot + 1, Addr: elsewhere}, false, true},
	} {
		p.live = test.live
		h := c.Hello(w.now, Dial{})
		h.From = test.who
		if err := c.acceptable(w.now, h); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Where another director answers now, whatever stream stood with the former one is closed.
func TestStreamsOfAFormerNameAreClosed(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(p *peer)
		closed bool
	}{
		{"both", func(*peer) {}, true},
		{"theirs", func(p *peer) { p.out = false }, true},
		{"ours", func(p *peer) { p.in = 0 }, true},
		{"none", func(p *peer) { p.out, p.in = false, 0 }, false},
	} {
		w := started(t, 2)
		c := w.directors[0].core
		p := c.peers.get("d2")
		test.change(p)
		c.Take()
		c.endFormerNames(w.now, p.addr, "d9")
		closed := slices.ContainsFunc(c.Take(), func(e Effect) bool {
			cl, ok := e.(CloseStream)
			return ok && cl.Peer == "d2"
		})
		if closed != test.closed || !p.left {
			t.Errorf("%s: closed is %v, left is %v", test.name, closed, p.left)
		}
	}
}

// A director that was turned away for its key, or another setting that must be the same, serves
// nobody, however long it waits: there is a mesh, and a user could be on two backends. It serves as
// soon as some director takes it, or if it was told to.
func TestTurnedAwayServesNobody(t *testing.T) {
	for _, test := range []struct {
		name string
		away func(c *Core, now mono.Time)
	}{
		{"before anybody knows who it is", func(c *Core, now mono.Time) {
			c.TurnedAway(now, "peer uses another encryption key")
		}},
		{"by its settings", func(c *Core, now mono.Time) {
			c.Refused(now, &wire.Refuse{
				From: wire.Peer{Name: "d9"}, Reason: "peer uses another encryption key",
				Differs: true,
			})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			d1 := w.start("d1", func(c *Config) { c.Founder = false })
			test.away(d1.core, w.now)
			w.run(time.Hour)
			self := d1.core.Self(w.now)
			want := "refused by a peer: peer uses another encryption key"
			if self.Synced || self.Alone || self.Reason != want {
				t.Errorf("after an hour: %+v", self)
			}
			told := w.start("told", at(netip.MustParseAddrPort("127.0.0.77:9090")),
				func(c *Config) { c.Founder, c.ServeAlone = false, true })
			w.cut[[2]string{"d1", "told"}] = true
			test.away(told.core, w.now)
			w.run(time.Minute)
			if self := told.core.Self(w.now); !self.Synced {
				t.Errorf("told to serve alone: %+v", self)
			}
		})
	}
	w := started(t, 2)
	joiner := w.start("joiner", func(c *Config) { c.Founder = false })
	joiner.core.TurnedAway(w.now, "peer uses another encryption key")
	w.until("the joiner is synced", time.Minute, func() bool { return joiner.core.synced() })
}
