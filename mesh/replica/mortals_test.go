package replica

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/ring"
)

// mortals are a fleet whose directors die and start again while users come everywhere. What of
// a message's way was behind its sender arrives, the rest is lost with it.
type mortals struct {
	*fleet
	t        *testing.T
	rand     *rand.Rand
	lostFrom map[[2]string]mono.Time // from when on what one sends to another is lost
	users    []ring.UserHash
	quietAt  mono.Time // then users stop coming
	deaths   []logs.ID
	nextUser uint32
}

func newMortals(t *testing.T, seed uint64, directors int, guards Guards) *mortals {
	m := &mortals{
		t: t, rand: rand.New(rand.NewPCG(seed, 0x646561646c79)),
		lostFrom: make(map[[2]string]mono.Time), nextUser: 1,
	}
	takes := []time.Duration{1, 5, 30, 200, 500} // milliseconds
	guarded := func(f *fleet) { f.guards = guards }
	m.fleet = newFleet(t, directors, 4, time.Millisecond, 5*time.Minute, guarded)
	m.latency = func() time.Duration { return takes[m.rand.IntN(len(takes))] * time.Millisecond }
	m.lost = func(from, to *member) bool {
		at, cut := m.lostFrom[[2]string{from.name, to.name}]
		return to.stopped || cut && m.now > at
	}
	m.quietAt = m.now.Add(time.Hour)
	for _, d := range m.members {
		m.usersAt(d)
	}
	return m
}

// usersAt has users log in for the first time at a director, about twenty a second.
func (m *mortals) usersAt(d *member) {
	if m.now >= m.quietAt || d.stopped {
		return
	}
	h := ring.UserHash(m.nextUser * 2654435761)
	m.nextUser++
	if _, ok := d.core.TryLookup(m.now, "", h); ok {
		m.users = append(m.users, h)
	}
	m.at(m.now.Add(m.between(25*time.Millisecond, 75*time.Millisecond)), func() { m.usersAt(d) })
}

func (m *mortals) between(a, b time.Duration) time.Duration {
	return a + time.Duration(m.rand.Int64N(int64(b-a)))
}

// die ends a director without a word.
func (m *mortals) die(d *member) {
	if d.stopped {
		return
	}
	d.stopped = true
	m.deaths = append(m.deaths, logs.ID{Name: d.name, Boot: d.core.boot})
	for _, other := range m.members {
		m.lostFrom[[2]string{d.name, other.name}] = m.now.Add(m.between(0, 250*time.Millisecond))
	}
}

// restart begins another life of a director.
func (m *mortals) restart(d *member) {
	d.boots(d.core.boot + 1<<32)
	for _, other := range m.members {
		if other == d || other.stopped {
			continue
		}
		delete(m.lostFrom, [2]string{d.name, other.name})
		other.core.OutClosed(m.now, d.name, nil)
		d.dial(other)
		other.dial(d)
	}
	m.usersAt(d)
}

// hang stops a process for a while. What is sent to it waits.
func (m *mortals) hang(d *member, length time.Duration) {
	d.asleep = true
	m.at(m.now.Add(length), func() {
		backlog := d.backlog
		d.asleep, d.backlog = false, nil
		for _, do := range backlog {
			do()
		}
	})
}

// sent is how many messages all have sent since they were last counted.
func (m *mortals) sent() int {
	n := 0
	for _, d := range m.members {
		n += d.messages
	}
	m.meter()
	return n
}

// cut cuts a director off from some others, or joins it to them again.
func (m *mortals) cut(d *member, others []*member, off bool) {
	for _, o := range others {
		for _, pair := range [][2]*member{{d, o}, {o, d}} {
			if off {
				m.lostFrom[[2]string{pair[0].name, pair[1].name}] = m.now
				pair[0].core.OutClosed(m.now, pair[1].name, nil)
				pair[1].core.InClosed(m.now, pair[1].sessions[pair[0]], nil)
				continue
			}
			delete(m.lostFrom, [2]string{pair[0].name, pair[1].name})
			pair[0].dial(pair[1])
		}
	}
}

// ahead is a live director that has most of a log.
func (m *mortals) ahead(of logs.ID) *member {
	var alive []*member
	for _, d := range m.members {
		if !d.stopped && d.core.logs.Get(of) != nil {
			alive = append(alive, d)
		}
	}
	return slices.MaxFunc(alive, func(a, b *member) int {
		return cmp.Compare(a.core.logs.Get(of).Have().Last(), b.core.logs.Get(of).Have().Last())
	})
}

// differences are what the live directors do not agree on in the end.
func (m *mortals) differences() []string {
	var differ []string
	note := func(format string, args ...any) {
		differ = append(differ, fmt.Sprintf(format, args...))
	}
	var first *member
	for _, d := range m.members {
		if d.stopped {
			continue
		}
		if !d.core.synced() {
			note("%s is not synced: %s", d.name, d.core.admission.reason)
		}
		if first == nil {
			first = d
			continue
		}
		for _, id := range m.deaths {
			a, b := first.core.logs.Get(id), d.core.logs.Get(id)
			switch {
			case a == nil || b == nil:
				note("log %v: %s and %s do not both know it", id, first.name, d.name)
			case a.Have().String() != b.Have().String():
				note("log %v: %s has %v, %s has %v", id, first.name, a.Have(), d.name, b.Have())
			}
		}
		missing := 0
		for _, h := range m.users {
			a, _ := first.dir.Find("", h, first.core.MeshTime(m.now))
			if b, _ := d.dir.Find("", h, first.core.MeshTime(m.now)); a != b {
				missing++
			}
		}
		if missing > 0 {
			note("%s and %s differ in %d users", first.name, d.name, missing)
		}
	}
	return differ
}
