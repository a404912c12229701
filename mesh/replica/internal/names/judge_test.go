package names

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
)

// sight is what a director sees of the first name: settled, and resolving since long ago.
func sight(list ...int) Sights {
	return Sights{key: {
		Name: key.Name, Resolves: true, Settled: true, Since: 1, Targets: targets(list...),
	}}
}

// with changes what the director sees of the name.
func (s Sights) with(change func(*wire.NameSight)) Sights {
	change(s[key])
	return s
}

// table has a backend of the first name for each number.
func table(list ...int) (all []Backend) {
	for _, i := range list {
		all = append(all, Backend{Addr: addr(i), Present: true, Key: key, VHosts: 100, InUse: true})
	}
	return all
}

// but changes the last backend of a table.
func but(all []Backend, change func(*Backend)) []Backend {
	change(&all[len(all)-1])
	return all
}

// text is a verdict in short: the states of addresses, and what is to be written.
func text(v Verdict) string {
	var parts []string
	for _, n := range v.Names {
		for _, a := range n.Addresses {
			parts = append(parts, fmt.Sprintf("%d %v", a.Addr.As4()[3], a.State))
		}
	}
	list := func(what string, addrs []netip.Addr) {
		for _, a := range addrs {
			parts = append(parts, fmt.Sprintf("%s%d", what, a.As4()[3]))
		}
	}
	for _, a := range v.Add {
		list("+", []netip.Addr{a.Addr})
	}
	list("=", v.Adopt)
	list("-", v.Gone)
	list("<", v.Back)
	for _, a := range v.Alarms {
		parts = append(parts, fmt.Sprintf("alarm %q %d of %d", a.Tag, a.Gone, a.Most))
	}
	return strings.Join(parts, ", ")
}

const now = directory.Time(1_000_000_000)

func TestJudge(t *testing.T) {
	failing := func(since directory.Time) func(*wire.NameSight) {
		return func(s *wire.NameSight) { s.Resolves, s.Since = false, since }
	}
	two := sight(1, 2)
	fresh := sight(1, 2).with(func(s *wire.NameSight) { s.Settled = false })
	spare := Sights{other: {Name: other.Name, Resolves: true, Settled: true, Targets: targets(3)}}
	both := Sights{key: sight(3)[key], other: spare[other]}
	for name, test := range map[string]struct {
		directors int
		sights    []Sights
		table     []Backend
		want      string
	}{
		"nobody watches": {3, nil, table(1, 2), ""},
		"nothing new":    {3, []Sights{sight(1), sight(1), sight(1)}, table(1), "1 used"},
		"most see it":    {3, []Sights{sight(1), sight(1), sight()}, nil, "1 ready, +1"},
		"one of three":   {3, []Sights{sight(1), sight(), sight()}, nil, "1 new"},
		"half of four":   {4, []Sights{sight(1), sight(1), sight(), sight()}, nil, "1 new"},
		"alone":          {1, []Sights{sight(1, 2)}, nil, "1 ready, 2 ready, +1, +2"},
		"one watches":    {3, []Sights{sight(1)}, nil, "1 new"},
		"failing lately": {
			3, []Sights{sight(1), sight(1).with(failing(now - 9000))}, nil, "1 ready, +1",
		},
		"failing for long": {
			3, []Sights{sight(1), sight(1).with(failing(now - 601_000))}, nil, "1 new",
		},
		"given by address": {1, []Sights{sight(1)}, but(table(1), func(b *Backend) {
			b.Key = Key{}
		}), "1 by_address"},
		"removed": {1, []Sights{sight(1)}, but(table(1), func(b *Backend) {
			*b = Backend{Addr: addr(1)}
		}), "1 removed"},
		"one sees it": {
			3, []Sights{sight(1, 2, 3), two, two}, table(1, 2, 3), "1 used, 2 used, 3 used",
		},
		"none sees it": {
			3, []Sights{two, two, two}, table(1, 2, 3), "1 used, 2 used, 3 missing, -3",
		},
		"not for long": {
			3, []Sights{fresh, fresh, two}, table(1, 2, 3), "1 used, 2 used, 3 missing",
		},
		"most for long": {
			3, []Sights{fresh, two, two}, table(1, 2, 3), "1 used, 2 used, 3 missing, -3",
		},
		"fails at most": {
			3, []Sights{two, sight(1, 2).with(failing(1)), sight(1, 2).with(failing(1))},
			table(1, 2, 3), "1 used, 2 used, 3 missing",
		},
		"seen before it failed": {
			3, []Sights{two, two, sight(1, 2, 3).with(failing(now - 9000))}, table(1, 2, 3),
			"1 used, 2 used, 3 used",
		},
		"seen long before it failed": {
			3, []Sights{two, two, sight(1, 2, 3).with(failing(1))}, table(1, 2, 3),
			"1 used, 2 used, 3 missing, -3",
		},
		"more than a third": {
			1, []Sights{sight(1, 2, 3)}, table(1, 2, 3, 4, 5),
			`1 used, 2 used, 3 used, 4 missing, 5 missing, alarm "" 2 of 1`,
		},
		"a third": {
			1, []Sights{sight(1, 2, 3, 4)}, table(1, 2, 3, 4, 5, 6),
			"1 used, 2 used, 3 used, 4 used, 5 missing, 6 missing, -5, -6",
		},
		"the last one": {
			1, []Sights{sight(2)}, table(1), `1 missing, 2 ready, +2, alarm "" 1 of 1`,
		},
		"one that is down": {1, []Sights{sight(1)}, but(table(1, 2), func(b *Backend) {
			b.InUse = false
		}), "1 used, 2 missing, -2"},
		"a third is gone": {1, []Sights{sight(1)}, but(table(1, 2, 3), func(b *Backend) {
			b.Listing.Gone, b.InUse = true, false
		}), `1 used, 2 missing, 3 gone, alarm "" 2 of 1`},
		"gone and back": {3, []Sights{two, two, sight(1)}, but(table(1, 2), func(b *Backend) {
			b.Listing.Gone = true
		}), "1 used, 2 gone, <2"},
		"back at one": {3, []Sights{two, sight(1), sight(1)}, but(table(1, 2), func(b *Backend) {
			b.Listing.Gone = true
		}), "1 used, 2 gone"},
		"retained": {1, []Sights{sight(1)}, but(table(1, 2), func(b *Backend) {
			b.Listing = directory.Listing{Gone: true, Retained: true}
		}), "1 used, 2 retained"},
		"retained and back": {1, []Sights{two}, but(table(1, 2), func(b *Backend) {
			b.Listing = directory.Listing{Gone: true, Retained: true}
		}), "1 used, 2 retained, <2"},
		"two names": {1, []Sights{both}, nil, "3 conflict, 3 conflict"},
		"of another one": {1, []Sights{both}, but(table(3), func(b *Backend) {
			b.Key = other
		}), "3 conflict, 3 conflict"},
		"two names at two directors": {
			3, []Sights{sight(3), spare, spare}, table(3), "3 conflict, 3 conflict",
		},
		"another tag": {1, []Sights{sight(1)}, but(table(1), func(b *Backend) {
			b.Key.Tag = "x"
		}), "1 conflict"},
		"renamed": {3, []Sights{spare, spare, spare}, table(3), "3 ready, =3"},
		"renamed at one": {
			3, []Sights{spare, sight(3), sight(3)}, table(3), "3 conflict, 3 conflict",
		},
		"renamed at most": {3, []Sights{spare, {}, {}}, table(3), "3 new"},
	} {
		got := text(Judge(View{
			Directors: test.directors, Sights: test.sights, Table: test.table, At: now,
			GoneAfter: GoneAfter,
		}))
		if got != test.want {
			t.Errorf("%s: %s\nwant %s", name, got, test.want)
		}
	}
}

// Of the weights that directors see the middle one counts, and of roles what most see.
func TestWhatIsAdded(t *testing.T) {
	as := func(vhosts int, standby bool) Sights {
		return sight(1).with(func(s *wire.NameSight) {
			s.Targets[0].VHosts, s.Targets[0].Standby = vhosts, standby
		})
	}
	v := Judge(View{Directors: 3, Sights: []Sights{as(10, true), as(30, true), as(20, false)},
		GoneAfter: GoneAfter})
	if len(v.Add) != 1 || v.Add[0].VHosts != 20 || !v.Add[0].Standby || v.Keys[addr(1)] != key {
		t.Errorf("%+v", v)
	}
}

func TestStates(t *testing.T) {
	for i, s := range States() {
		if int(s) != i || s.String() == "" {
			t.Errorf("state %d is %d, %v", i, s, s)
		}
	}
}

// mesh is some directors, each with name servers of its own, and the table that the first writes.
type mesh struct {
	watched []*Watched
	table   map[netip.Addr]Backend
	written map[netip.Addr]int // how often something was written of an address
	alarms  int
}

func newMesh(directors int) *mesh {
	m := &mesh{table: make(map[netip.Addr]Backend), written: make(map[netip.Addr]int)}
	for range directors {
		m.watched = append(m.watched, Watch([]Key{key}, round, GoneAfter))
	}
	return m
}

// step has all directors look in a round, and writes what follows.
func (m *mesh) step(i int, answer func(director int) (reason string, list []int)) {
	v := View{Directors: len(m.watched), GoneAfter: GoneAfter}
	for d, w := range m.watched {
		reason, list := answer(d)
		look(w, i, reason, list...)
		v.Sights = append(v.Sights, Sights{key: w.Sight(key)})
		v.At = directory.Time(mono.Time(time.Hour).Add(time.Duration(i)*round) / 1e6)
	}
	for _, b := range m.table {
		v.Table = append(v.Table, b)
	}
	verdict := Judge(v)
	m.alarms += len(verdict.Alarms)
	for _, a := range verdict.Add {
		m.written[a.Addr]++
		m.table[a.Addr] = Backend{Addr: a.Addr, Present: true, Key: key, VHosts: 100, InUse: true}
	}
	write := func(addrs []netip.Addr, gone bool) {
		for _, a := range addrs {
			m.written[a]++
			b := m.table[a]
			b.Listing.Gone, b.InUse = gone, !gone
			m.table[a] = b
		}
	}
	write(verdict.Gone, true)
	write(verdict.Back, false)
}

// Eight random ones of twenty addresses, another eight at each director, with name servers that
// fail, do not answer, or answer with nothing: all twenty are added once, and none is ever given
// up.
func TestRandomAnswersDoNotFlap(t *testing.T) {
	for directors := range 6 {
		random := rand.New(rand.NewPCG(uint64(directors), 1))
		m := newMesh(1 + directors/2)
		for i := range 2880 { // a day
			m.step(i, func(int) (string, []int) {
				if directors%2 == 1 && random.IntN(4) == 0 {
					return []string{"server failure", ""}[random.IntN(2)], nil
				}
				return "", random.Perm(20)[:8]
			})
		}
		if len(m.written) != 20 || m.alarms != 0 {
			t.Errorf("%d addresses, %d alarms", len(m.written), m.alarms)
		}
		for a, n := range m.written {
			if n != 1 {
				t.Errorf("of %v something was written %d times", a, n)
			}
		}
	}
}

// Whatever name servers say, at most a third of the backends is drained for it, one at least is in
// use, and what was removed stays out.
func TestNoAnswersDoHarm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMesh(rapid.IntRange(1, 3).Draw(t, "directors"))
		removed := addr(9)
		m.table[removed] = Backend{Addr: removed}
		i := 0
		for range rapid.IntRange(1, 6).Draw(t, "phases") {
			list := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 9).Draw(t, "answer")
			alike := rapid.Bool().Draw(t, "alike")
			for range rapid.IntRange(1, 50).Draw(t, "rounds") {
				i++
				m.step(i, func(director int) (string, []int) {
					if alike {
						return "", list
					}
					return "", list[min(director, len(list)):]
				})
			}
		}
		present, gone := 0, 0
		for _, b := range m.table {
			if b.Present {
				present++
				if b.Listing.Gone {
					gone++
				}
			}
		}
		if gone > directory.MostOut(present) || present > 0 && gone == present ||
			m.table[removed].Present {
			t.Fatalf("%d of %d are gone; the removed one is %+v", gone, present, m.table[removed])
		}
	})
}

// Addresses that change are followed once each: the new ones are added in the first minute, an old
// one is given up after ten, and if it returns it is used again.
func TestChangedAddresses(t *testing.T) {
	m := newMesh(3)
	var told []string
	for i := range 100 {
		list := []int{1, 2, 3, 4}
		if i >= 30 && i < 70 {
			list = []int{1, 2, 3, 5}
		}
		before := make(map[netip.Addr]int)
		for a, n := range m.written {
			before[a] = n
		}
		m.step(i, func(int) (string, []int) { return "", list })
		for a, n := range m.written {
			if before[a] != n {
				told = append(told, fmt.Sprintf("%d:%d", i, a.As4()[3]))
			}
		}
	}
	slices.Sort(told)
	want := "0:1 0:2 0:3 0:4 30:5 49:4 70:4 89:5"
	if got := strings.Join(told, " "); got != want {
		t.Errorf("written %s, want %s", got, want)
	}
}
