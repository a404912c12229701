package replica

import (
	"testing"
	"time"

	"directormesh/mesh/wire"
)

// A machine that was frozen with all its clocks learns of it by the first beat that was sent
// meanwhile. Until the others have answered, it answers nothing: users may have been moved.
func TestThaw(t *testing.T) {
	for _, test := range []struct {
		name    string
		stood   time.Duration
		guards  Guards
		answers bool
	}{
		{"too short for others to act", 900 * time.Millisecond, Guards{}, true},
		{"long", 6 * time.Second, Guards{}, false},
		{"just long enough", 1100 * time.Millisecond, Guards{}, false},
		{"unguarded", 6 * time.Second, Guards{NoThawCheck: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := started(t, 3, func(c *Config) { c.Guards = test.guards })
			d1, d2 := w.directors[0], w.directors[1]
			d1.must(7)
			theirs := d2.core
			d1.hears(d2, &wire.Beat{
				SentAt: int64(w.now), MeshTime: theirs.clock.micros(w.now).Add(test.stood),
				Wall: theirs.clock.wall(w.now), Synced: true, Counted: true,
				Seq: theirs.log.last, Mesh: theirs.meshRank(w.now), Majority: true,
			})
			if _, answers := d1.core.TryLookup(w.now, "", 7); answers != test.answers {
				t.Errorf("after a beat of a peer that is %v ahead it answers: %v", test.stood, answers)
			}
			w.until("all synced", 10*time.Second, w.allSynced)
		})
	}
}

// After a pause a director reads hellos that were written before it. They seem to come from
// directors whose clocks are far behind; yet these are those that it must ask before it answers.
func TestOldHelloAfterAPause(t *testing.T) {
	w := started(t, 3)
	d1, others := w.directors[0], w.directors[1:]
	d1.must(7)
	var hellos []*wire.Hello
	for _, d := range others {
		hellos = append(hellos, d.core.Hello(w.now, Dial{Name: d1.name, Addr: d1.core.cfg.Addr}))
	}
	w.now += 36 * time.Second
	d1.core.Tick(w.now)
	for i, h := range hellos {
		_, session, err := d1.core.Accept(w.now, h)
		if err != nil {
			t.Fatal(err)
		}
		d1.sessions[others[i].name] = session
		d1.core.Tick(w.now)
	}
	if _, answers := d1.core.TryLookup(w.now, "", 7); answers {
		t.Error("it answers by what it knew before the pause")
	}
	for _, d := range others {
		if p := d1.core.peers[d.name]; !p.live || !p.counted {
			t.Errorf("%s: live %v, counted %v", d.name, p.live, p.counted)
		}
	}
	w.until("all synced", 20*time.Second, w.allSynced)
}
