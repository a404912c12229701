package check

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestOperationsOfTheDead judges what follows an operation that its director did not live to
// acknowledge.
func TestOperationsOfTheDead(t *testing.T) {
	lost := func(s *story) {
		s.login("d2", calm, alice, b1)
		s.add(Admin{At(calm + sec(1)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
		s.stop("d1", calm+sec(1.01))
		s.order("d2", calm+sec(3), calm+sec(8), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	}
	testStories(t, []tale{
		{"nobody has heard of it", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, b1)
			s.login("d3", calm+sec(13), alice, b1)
		}, "", ""},
		{"all have heard of it", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, placeWithout(b1))
			s.login("d3", calm+sec(13), alice, placeWithout(b1))
		}, "", ""},
		{"nobody had heard of it, and then somebody has", func(s *story) {
			lost(s)
			s.login("d2", calm+sec(12), alice, b1)
			s.login("d3", calm+sec(13), alice, placeWithout(b1))
		}, "G2", "d3 answered"},
	})
}

// A mesh goes on that a director has passed through while it joined; one that a director has
// answered in, and left, does not.
func TestMeshesThatGoOn(t *testing.T) {
	for _, answered := range []bool{false, true} {
		c := New(rules)
		c.Foresee([]Event{
			Synced{At(sec(1)), "d1", true, "", 1},
			Synced{At(sec(1)), "d2", answered, "", 2},
			Synced{At(sec(2)), "d2", false, "", 1},
			Synced{At(sec(3)), "d2", true, "", 1},
		})
		if lost := c.contacts.lost[2]; lost != answered || c.contacts.lost[1] {
			t.Errorf("answered: %v, lost: %v", answered, c.contacts.lost)
		}
	}
}

// TestMeshes judges directors that belong to a mesh which joins another.
func TestMeshes(t *testing.T) {
	strayUntil := func(s *story, at time.Duration) {
		s.mesh = map[string]uint64{"d1": 1, "d2": 1, "d3": 3}
		s.silent["d3"] = true
		s.split("d3", 0, at)
		s.add(Synced{At(sec(3)), "d3", true, "", 3})
		s.add(Synced{At(at + sec(1)), "d3", false, "joining", 1})
		s.add(Synced{At(at + sec(2)), "d3", true, "", 1})
	}
	stray := func(s *story) { strayUntil(s, calm+sec(10)) }
	// restartedAlone has d3 restart, cut off, after b1 went down, and found a mesh.
	restartedAlone := func(s *story) {
		s.mesh = map[string]uint64{"d1": 1, "d2": 1}
		s.silent["d3"] = true
		s.add(Synced{At(sec(3)), "d3", true, "", 1})
		s.order("d1", calm, calm+sec(0.1), Op{Kind: OpDown, Backend: b1})
		s.split("d3", calm+sec(2), end)
		s.stop("d3", calm+sec(2))
		s.start("d3", calm+sec(3))
		s.add(Synced{At(calm + sec(6)), "d3", true, "", 3})
	}
	// withoutB1 has users placed without b1, but for those of d3, which restarts alone for a while.
	withoutB1 := func(s *story) {
		s.mesh = map[string]uint64{"d1": 1, "d2": 1}
		s.silent["d3"] = true
		s.add(Synced{At(sec(3)), "d3", true, "", 1})
		s.order("d1", sec(8), sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		s.stop("d3", calm+sec(2))
		s.split("d3", calm+sec(2), calm+sec(12))
		s.start("d3", calm+sec(3))
		s.add(Synced{At(calm + sec(6)), "d3", true, "", 3})
		s.add(Synced{At(calm + sec(12.5)), "d3", false, "joining", 1})
		s.add(Synced{At(calm + sec(13)), "d3", true, "", 1})
	}
	// foundsAbove has the mesh go on that one founds which restarts alone, after b4 was added to
	// that of the others. Later they join it. At a time a director lacks b4.
	foundsAbove := func(s *story, at time.Duration, lacks string) {
		restartedAlone(s)
		b4 := netip.MustParseAddr("192.0.2.4")
		s.order("d1", calm-sec(1), calm-sec(0.9), Op{Kind: OpAdd, Backend: b4})
		for i, name := range []string{"d1", "d2"} {
			s.add(Synced{At(end - sec(5-float64(i))), name, true, "", 3})
		}
		s.add(Admin{At(at), 100, "d3", Op{Kind: OpUpdate, Backend: b2, VHosts: 10}})
		s.add(Done{At: At(at + sec(0.1)), ID: 100, Failed: []string{"d1", "d2"},
			Tables: map[string]Table{lacks: with(b1, Row{Present: true, VHosts: 10})}})
	}
	// kickWithout is a kick by name that d3 never carries out.
	kickWithout := func(s *story, at time.Duration) {
		for _, d := range []string{"d1", "d2"} {
			s.add(Kick{At: At(at), Director: d, Name: "alice"})
		}
		s.order("d1", at, at+sec(0.1), Op{Kind: OpKick, Name: "alice"})
	}
	testStories(t, []tale{
		{"a kick, and one in touch that belongs to another mesh still", func(s *story) {
			stray(s)
			kickWithout(s, calm+sec(10.5))
		}, "", ""},
		{"a kick when it has joined, that it never heard of", func(s *story) {
			stray(s)
			kickWithout(s, calm+sec(15))
		}, "G5", "d3 never kicked"},
		{"one that restarted alone, back in touch just now", func(s *story) {
			s.mesh = map[string]uint64{"d1": 1, "d2": 1}
			s.silent["d3"] = true
			s.add(Synced{At(sec(3)), "d3", true, "", 1})
			s.order("d1", sec(8), sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d3", calm, alice, placeWithout(b1))
			s.stop("d3", calm+sec(2))
			s.split("d3", calm+sec(2), calm+sec(9.2))
			s.start("d3", calm+sec(5))
			s.add(Synced{At(calm + sec(8)), "d3", true, "", 3})
			s.login("d3", calm+sec(10.1), alice, b1)
			s.add(Synced{At(calm + sec(10.2)), "d3", false, "joining", 1})
		}, "", ""},
		{"a flush in another mesh, by its table", func(s *story) {
			withoutB1(s)
			s.order("d3", calm+sec(11), calm+sec(11.1), Op{Kind: OpFlush})
			s.login("d1", calm+sec(14), alice, b1)
		}, "", ""},
		{"no flush in another mesh", func(s *story) {
			withoutB1(s)
			s.login("d1", calm+sec(14), alice, b1)
		}, "G2", "d1 answered"},
		{"one that founds, cut off, the mesh that goes on", func(s *story) {
			foundsAbove(s, calm+sec(7), "d3")
		}, "", ""},
		{"one of the mesh that joins it", func(s *story) { foundsAbove(s, end-sec(1), "d2") }, "G5",
			"d2 does not hold what was acknowledged"},
		{"one that was forgotten, and made again by one that serves alone", func(s *story) {
			forgottenBut(s, b1)
			s.login("d1", calm+sec(14), alice, b1)
		}, "", ""},
		{"one that was forgotten, and another made by one that serves alone", func(s *story) {
			forgottenBut(s, b3)
			s.login("d1", calm+sec(14), alice, b1)
		}, "G2", "d1 answered"},
		{"a stray goes by its own table", func(s *story) {
			stray(s)
			s.login("d3", calm+sec(5), alice, b2)
			s.login("d1", calm+sec(20), alice, b1)
		}, "", ""},
		{"a stray knows nothing of a director of the mesh that has just started", func(s *story) {
			stray(s)
			s.stop("d1", calm)
			s.start("d1", calm+sec(1))
			s.login("d1", calm+sec(3.1), alice, b1)
			s.login("d3", calm+sec(3.5), alice, b2)
		}, "", ""},
		{"a mapping of the mesh lives on although a stray could take it for dead", func(s *story) {
			strayUntil(s, sec(40))
			s.login("d1", sec(5), alice, b1)
			s.order("d1", sec(20), sec(20.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
			s.login("d3", sec(35), alice, b2)
			s.login("d3", sec(43), alice, b1)
		}, "", ""},
		{"a move in the mesh beats what a stray answers later", func(s *story) {
			stray(s)
			s.order("d3", calm-sec(1), calm-sec(0.9), Op{Kind: OpAdd, Backend: b3, VHosts: 10})
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpMove, User: alice, Backend: b3}, "d3")
			for _, d := range []string{"d1", "d2", "d3"} {
				s.kick(d, calm+sec(0.05), alice, b3)
			}
			s.login("d3", calm+sec(2), alice, b1)
			s.login("d3", calm+sec(14), alice, b3)
		}, "", ""},
		{"a director of the mesh does not", func(s *story) {
			stray(s)
			s.login("d2", calm+sec(5), alice, b2)
			s.login("d3", calm+sec(20), alice, b2)
		}, "G2", "hashes to"},
		{"a change that another mesh does not take", func(s *story) {
			s.mesh = map[string]uint64{"d1": 1, "d2": 1}
			s.silent["d3"] = true
			s.add(Synced{At(sec(3)), "d3", true, "", 3})
			s.add(Synced{At(calm + sec(2)), "d3", true, "", 1})
			tables := map[string]Table{
				"d1": with(b1, Row{Present: true, VHosts: 10, Down: true}),
				"d3": with(b1, Row{Present: true, VHosts: 10}),
			}
			s.add(Admin{At(calm), 100, "d1", Op{Kind: OpDown, Backend: b1}})
			s.add(Done{At: At(calm + sec(0.1)), ID: 100, Tables: tables})
			s.add(Admin{At(calm + sec(1)), 101, "d1", Op{Kind: OpDown, Backend: b1}})
			s.add(Done{At: At(calm + sec(1.1)), ID: 101, Tables: tables})
		}, "", ""},
		{"what a stray answered comes to the mesh when that has admitted it", func(s *story) {
			s.mesh = map[string]uint64{"d1": 1, "d2": 1, "d3": 3}
			s.silent["d3"] = true
			s.split("d3", 0, calm+sec(7))
			s.add(Synced{At(sec(3)), "d3", true, "", 3})
			s.add(Synced{At(calm + sec(11)), "d3", false, "joining", 1})
			s.add(Synced{At(calm + sec(12)), "d3", true, "", 1})
			s.login("d3", calm+sec(5), alice, b2)
			s.login("d1", calm+sec(6), alice, b1)
			s.login("d1", calm+sec(11.5), alice, b1)
			s.login("d1", calm+sec(14), alice, b2)
		}, "", ""},
		{"a stray goes by its own table, and ends alone", func(s *story) {
			restartedAlone(s)
			s.login("d3", calm+sec(7), alice, b1)
			s.stop("d3", calm+sec(10))
		}, "", ""},
		{"all are forgotten, but for those of a backend that only the stray has", func(s *story) {
			b4 := netip.MustParseAddr("192.0.2.4")
			stray(s)
			s.order("d3", calm+sec(1), calm+sec(1.1), Op{Kind: OpAdd, Backend: b4})
			s.login("d3", calm+sec(2), alice, b4)
			s.order("d1", calm+sec(6), calm+sec(6.1), Op{Kind: OpForget})
			s.login("d1", calm+sec(20), alice, b4)
		}, "", ""},
		{"forgotten in the mesh, and so at a stray that joins it", func(s *story) {
			stray(s)
			s.part("d1", "d3", 0, calm+sec(14.5))
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpForget, Backend: b1})
			s.login("d1", calm+sec(7), alice, b1)
			s.login("d3", calm+sec(8), alice, b1)
			s.order("d1", calm+sec(9), calm+sec(9.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.login("d3", calm+sec(14), alice, placeWithout(b1))
			s.kick("d1", calm+sec(15), alice, placeWithout(b1))
			s.finalWithout(end, Mapping{User: alice, Backend: placeWithout(b1)})
		}, "", ""},
		{"forgotten in the mesh of the director", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpForget, Backend: b1})
			s.login("d3", calm+sec(8), alice, b1)
		}, "G2", "d3 answered"},
		{"what the mesh answers binds it when it has joined", func(s *story) {
			stray(s)
			s.login("d1", calm+sec(5), alice, b1)
			s.login("d3", calm+sec(14), alice, b2)
		}, "G2", "d3 answered"},
	})
}

// A mesh that is given up does not hear of a removal in the one that goes on. An add in it, without
// a vhost count, may find the backend there and leave its count as it is.
func TestAddInAnotherMesh(t *testing.T) {
	for _, test := range []struct {
		stranger bool
		counts   []int // that the backend may have afterwards
	}{
		{stranger: false, counts: []int{100}},
		{stranger: true, counts: []int{10, 100}},
	} {
		backends := newTable([]Backend{{Addr: b1, VHosts: 10}}, nil)
		backends.order(sec(4), &operation{
			op: Op{
				Kind:    OpRemove,
				Backend: b1,
			},
			at:         sec(4),
			done:       true,
			doneAt:     sec(4.1),
			everywhere: sec(4.1),
		})
		add := &operation{
			op:       Op{Kind: OpAdd, Backend: b1, VHosts: -1},
			at:       sec(9),
			stranger: test.stranger,
		}
		backends.order(sec(9), add)
		for _, count := range []int{10, 100} {
			got := allowed(backends.find(b1).writes[regVHosts], add, count)
			if want := slices.Contains(test.counts, count); got != want {
				t.Errorf("stranger %v: a count of %d is allowed: %v, want %v",
					test.stranger, count, got, want)
			}
		}
	}
}

// forgottenBut has alice forgotten by the mesh while d3, which has restarted and serves alone,
// answers her a backend; then d3 joins.
func forgottenBut(s *story, b netip.Addr) {
	s.mesh = map[string]uint64{"d1": 1, "d2": 1}
	s.silent["d3"] = true
	s.add(Synced{At(sec(3)), "d3", true, "", 1})
	s.login("d1", sec(7), alice, b1)
	s.order("d1", sec(8), sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.stop("d3", calm+sec(2))
	s.split("d3", calm+sec(2), calm+sec(10))
	s.start("d3", calm+sec(5))
	s.add(Synced{At(calm + sec(8)), "d3", true, "", 3})
	s.login("d3", calm+sec(8.5), alice, b)
	s.order("d1", calm+sec(9), calm+sec(9.1), Op{Kind: OpForget}, "d3")
	s.add(Synced{At(calm + sec(11)), "d3", false, "joining", 1})
	s.add(Synced{At(calm + sec(13)), "d3", true, "", 1})
}

// TestStartsAfterAFlush judges what follows a flush in calm, after which nobody is answered until
// one that has started since, cut off, answers as before.
func TestStartsAfterAFlush(t *testing.T) {
	first := placeWithout(b1)
	second := placeWithout(b1, first)
	flushes := func(s *story, of netip.Addr) {
		s.order("d1", calm, calm, Op{Kind: OpFlush, Backend: of})
		s.add(FlushEnded{At(calm + sec(2)), s.lastID})
	}
	const soon, expired = calm + 5*time.Second, calm + 41*time.Second
	testStories(t, []tale{
		{"what the flush made", func(s *story) {
			flushes(s, b1)
			answersAlone(s, soon, true, first)
		}, "", ""},
		{"no flush", func(s *story) { answersAlone(s, soon, true, first) }, "G2", "d3 answered"},
		{"what the flush made, where the others join", func(s *story) {
			flushes(s, b1)
			answersAlone(s, soon, false, first)
		}, "", ""},
		{"no flush, where the others join", func(s *story) {
			answersAlone(s, soon, false, first)
		}, "G2", "d3 answered"},
		{"a flush of another backend", func(s *story) {
			flushes(s, b3)
			answersAlone(s, soon, true, first)
		}, "G2", "d3 answered"},
		{"a flush that moves elsewhere", func(s *story) {
			flushes(s, b1)
			answersAlone(s, soon, true, second)
		}, "G2", "d3 answered"},
		{"one that has not started since", func(s *story) {
			s.login("d1", calm-sec(2), alice, b1)
			s.order("d1", calm-sec(1.5), calm-sec(1.4), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			flushes(s, b1)
			s.split("d3", calm+sec(4), calm+sec(12))
			s.login("d3", calm+sec(10), alice, b1)
			s.login("d3", calm+sec(16), alice, first)
		}, "G2", "d3 answered"},
		{"another one had answered as before, after the flush", func(s *story) {
			flushes(s, b1)
			s.login("d2", soon+sec(3), alice, b1)
			answersAlone(s, soon, true, first)
		}, "G2", "d3 answered"},
		{"another one has answered as before, after all had met", func(s *story) {
			flushes(s, b1)
			s.login("d2", soon+sec(9.5), alice, b1)
			answersAlone(s, soon, true, first)
		}, "G2", "d3 answered"},
		{"a place after what the flush made was forgotten", func(s *story) {
			flushes(s, b1)
			s.order("d1", calm+sec(4), calm+sec(4.1),
				Op{Kind: OpUpdate, Backend: first, VHosts: 0})
			s.order("d1", calm+sec(4.5), calm+sec(4.6), Op{Kind: OpForget, Backend: first})
			answersAlone(s, soon, true, second)
		}, "", ""},
		{"what the flush made, when the mapping before it had expired", func(s *story) {
			flushes(s, b1)
			answersAlone(s, expired, false, first)
		}, "", ""},
		{"no flush, when the mapping had expired", func(s *story) {
			answersAlone(s, expired, false, first)
		}, "G2", "d3 answered"},
		{"what the flush made, when that had expired too", func(s *story) {
			flushes(s, b1)
			answersAlone(s, expired+sec(4), false, first)
		}, "G2", "d3 answered"},
	})
}

// answersAlone has alice on b1, which then loses its vhosts, and d3 answer her so once more, by its
// configuration: it has started, cut off, and founded a mesh. Then it joins that of the others, or
// they join its, and it answers another backend.
func answersAlone(s *story, start time.Duration, joins bool, then netip.Addr) {
	const ours, its = 1, 3
	for _, d := range []string{"d1", "d2", "d3"} {
		s.silent[d] = true
		s.add(Synced{At(sec(3)), d, true, "", ours})
	}
	s.login("d1", calm-sec(2), alice, b1)
	s.order("d1", calm-sec(1.5), calm-sec(1.4), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
	s.stop("d3", calm+sec(3))
	s.split("d3", calm+sec(3), start+sec(7))
	s.start("d3", start)
	s.add(Synced{At(start + sec(3)), "d3", true, "", its})
	s.login("d3", start+sec(4), alice, b1)
	join := func(d string, mesh uint64) {
		s.add(Synced{At(start + sec(8)), d, false, "joining", mesh})
		s.add(Synced{At(start + sec(8.5)), d, true, "", mesh})
	}
	if joins {
		join("d3", ours)
	} else {
		join("d1", its)
		join("d2", its)
	}
	s.login("d3", start+sec(10), alice, then)
}
