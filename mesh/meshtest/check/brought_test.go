package check

import (
	"testing"
	"time"
)

// TestBrought judges users of a backend that one director had forgotten which told nobody, stopped,
// and started again.
func TestBrought(t *testing.T) {
	const disk, nothing = calm + 6*time.Second, time.Duration(0)
	later := func(back float64, kept time.Duration, at float64) func(s *story) {
		return func(s *story) {
			s.split("d3", calm+sec(1), calm+sec(back))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.login("d2", calm+sec(19), alice, b1)
			s.startFrom("d3", calm+sec(back), kept)
			if at > back+10 {
				s.login("d2", calm+sec(at-1), alice, b1)
			}
			s.login("d1", calm+sec(at), alice, placeWithout(b1))
		}
	}
	testStories(t, []tale{
		{"from its disk", later(20, disk, 24), "", ""},
		{"with nothing", later(20, nothing, 24), "G2", "d1 answered"},
		{"from its disk, as all know who have been in touch since", later(20, disk, 33),
			"G2", "d1 answered"},
		{"from its disk, and it is admitted late", func(s *story) {
			s.silent["d3"] = true
			s.add(Synced{At(sec(2)), "d3", true, "", 0})
			s.add(Synced{At(calm + sec(32.5)), "d3", true, "", 0})
			later(20, disk, 33)(s)
		}, "", ""},
		{"by nobody yet", later(25, disk, 24), "G2", "d1 answered"},
		{"from its disk, apart from the others", func(s *story) { alone(s, disk) }, "", ""},
		{"with nothing, apart from the others", func(s *story) { alone(s, nothing) },
			"G2", "d1 answered"},
		{"from its disk, after it had died once more",
			func(s *story) { diesTwice(s, disk) }, "", ""},
		{"from its disk, which was new when it died once more",
			func(s *story) { diesTwice(s, nothing) }, "G2", "d1 answered"},
		{"from its disk, once more when all had been in touch", func(s *story) {
			s.split("d3", calm+sec(1), calm+sec(20))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.login("d2", calm+sec(19), alice, b1)
			s.startFrom("d3", calm+sec(20), disk)
			s.stop("d3", calm+sec(31))
			s.login("d2", calm+sec(34), alice, b1)
			s.startFrom("d3", calm+sec(35), calm+sec(30))
			s.login("d2", calm+sec(38), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"by nobody, as it had died once more before it met the others", func(s *story) {
			s.split("d3", calm+sec(1), calm+sec(30))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.startFrom("d3", calm+sec(9), disk)
			s.stop("d3", calm+sec(14))
			s.login("d2", calm+sec(24), alice, b1)
			s.login("d1", calm+sec(25), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
		{"where it came back from outside the mesh", func(s *story) {
			s.split("d3", calm+sec(1), calm+sec(8))
			forgottenAlone(s)
			s.add(Stop{At(calm + sec(8)), "d3", true})
			s.gone("d3", calm+sec(8))
			s.login("d2", calm+sec(19), alice, b1)
			s.start("d3", calm+sec(20))
			s.login("d2", calm+sec(20.4), alice, b1)
			s.login("d1", calm+sec(21), alice, placeWithout(b1))
		}, "", ""},
		{"by another one, which it had told", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			forgottenAlone(s)
			broughtByOther(s, 8.5, disk)
		}, "", ""},
		{"by another one, while it starts with nothing", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8))
			s.start("d3", calm+sec(8.2))
			broughtByOther(s, 8.6, disk)
		}, "", ""},
		{"by another one, which it told after a start from its disk", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			s.part("d2", "d3", calm+sec(1), calm+sec(9))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.startFrom("d3", calm+sec(9.2), disk)
			broughtByOther(s, 12, calm+sec(11))
		}, "", ""},
		{"by another one, which it could not tell after a start with nothing", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			s.part("d2", "d3", calm+sec(1), calm+sec(9))
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.start("d3", calm+sec(9.2))
			broughtByOther(s, 12, calm+sec(11))
		}, "G2", "d1 answered"},
		{"by another one, which starts with nothing", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			forgottenAlone(s)
			broughtByOther(s, 8.5, nothing)
		}, "G2", "d1 answered"},
		{"by another one, which had stopped before", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			forgottenAlone(s)
			broughtByOther(s, 6.5, disk)
		}, "G2", "d1 answered"},
		{"by another one, which was apart from it", func(s *story) {
			s.split("d1", calm+sec(1), calm+sec(25))
			s.part("d2", "d3", calm+sec(1), end)
			forgottenAlone(s)
			broughtByOther(s, 8.5, disk)
		}, "G2", "d1 answered"},
		{"by one that stopped when all were done with it", func(s *story) {
			forgottenAlone(s)
			s.stop("d3", calm+sec(8.5))
			s.login("d2", calm+sec(19), alice, b1)
			s.stop("d1", calm+sec(20))
			s.startFrom("d1", calm+sec(22), calm+sec(19))
			s.login("d2", calm+sec(26), alice, placeWithout(b1))
		}, "G2", "d2 answered"},
		{"when all had forgotten, by one that had stopped meanwhile", func(s *story) {
			s.login("d1", calm, alice, b1)
			s.add(Admin{At(calm + sec(7)), 100, "d1", Op{Kind: OpForget, Backend: b1}})
			s.stop("d3", calm+sec(7.1))
			s.add(Done{At: At(calm + sec(12.1)), ID: 100, Failed: []string{"d3"}})
			s.login("d2", calm+sec(14), alice, b1)
			s.order("d1", calm+sec(15), calm+sec(15.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
			s.startFrom("d3", calm+sec(16), calm+sec(7))
			s.login("d2", calm+sec(18), alice, b1)
			s.login("d1", calm+sec(19), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
	})
}

// forgottenAlone has d3, of which others hear nothing, forget the users of b1, which then loses its
// vhosts for all others.
func forgottenAlone(s *story) {
	s.login("d1", calm, alice, b1)
	s.add(Admin{At(calm + sec(7)), 100, "d3", Op{Kind: OpForget, Backend: b1}})
	s.order("d1", calm+sec(8), calm+sec(8.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d3")
}

// alone has d3 start at once, and meet the others late.
func alone(s *story, kept time.Duration) {
	s.split("d3", calm+sec(1), calm+sec(25))
	forgottenAlone(s)
	s.stop("d3", calm+sec(8.5))
	s.startFrom("d3", calm+sec(9), kept)
	s.login("d2", calm+sec(19), alice, b1)
	s.login("d2", calm+sec(24), alice, b1)
	s.login("d1", calm+sec(28), alice, placeWithout(b1))
}

// diesTwice has d3 start in vain before it meets the others.
func diesTwice(s *story, kept time.Duration) {
	s.split("d3", calm+sec(1), calm+sec(30))
	forgottenAlone(s)
	s.stop("d3", calm+sec(8.5))
	s.startFrom("d3", calm+sec(9), kept)
	s.stop("d3", calm+sec(14))
	s.login("d2", calm+sec(19), alice, b1)
	s.login("d2", calm+sec(29), alice, b1)
	s.startFrom("d3", calm+sec(30), calm+sec(13))
	s.login("d1", calm+sec(33), alice, placeWithout(b1))
}

// broughtByOther has d3 and d2 stop, and d2 start again and meet d1, which was apart from both.
func broughtByOther(s *story, stop float64, kept time.Duration) {
	s.stop("d2", calm+sec(stop))
	if s.awake("d3", calm+sec(stop)) {
		s.stop("d3", calm+sec(max(stop, 8.5)))
	}
	s.login("d1", calm+sec(24), alice, b1)
	s.startFrom("d2", calm+sec(25), kept)
	s.login("d1", calm+sec(28), alice, placeWithout(b1))
}

// TestMayHaveHeard asks to whom an operation of d1 may have come through others.
func TestMayHaveHeard(t *testing.T) {
	const at, before = 20 * time.Second, 17 * time.Second
	for _, test := range []struct {
		name         string
		sent, former time.Duration // of d2, to d3
		want         bool
	}{
		{"since it began", at, never, true},
		{"in a former life of the one between", never, at, true},
		{"nothing since it began", before, before, false},
	} {
		c := newContacts(rules)
		d1, d2, d3 := c.of("d1"), c.of("d2"), c.of("d3")
		c.links[d2][d1].sent = at
		c.links[d3][d2].sent, c.links[d3][d2].former = test.sent, test.former
		if got := c.mayHaveHeard(d3, &operation{director: d1, at: at}); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestForsaken judges answers of a director that starts from its disk beside one which dies before
// it has admitted it, and goes on alone.
func TestForsaken(t *testing.T) {
	// away has d2 gone for twelve seconds, and d1 change the table meanwhile, or before. d1 dies
	// soon after.
	away := func(s *story, change float64, kept time.Duration, op Op) {
		s.stop("d3", sec(1))
		s.silent["d2"], s.mesh["d1"], s.mesh["d3"] = true, 1, 1
		s.add(Synced{At(sec(2)), "d2", true, "", 1})
		s.add(Synced{At(calm + sec(12.1)), "d2", false, "joining", 1})
		s.stop("d2", calm)
		var failed []string
		if change > 0 {
			failed = append(failed, "d2")
		}
		s.order("d1", calm+sec(change), calm+sec(change+0.1), op, failed...)
		s.startFrom("d2", calm+sec(12), kept)
		s.stop("d1", calm+sec(13.8))
	}
	synced := func(s *story, at float64) {
		s.add(Synced{At(calm + sec(at)), "d2", true, "", 1})
	}
	shrink := Op{Kind: OpUpdate, Backend: b1, VHosts: 0}
	const kept = calm - 2*time.Second
	testStories(t, []tale{
		{"what was changed meanwhile", func(s *story) {
			away(s, 7, kept, shrink)
			synced(s, 23)
			s.login("d2", calm+sec(24), alice, b1)
		}, "", ""},
		{"the same when it has been alone for long", func(s *story) {
			away(s, 7, kept, shrink)
			synced(s, 23)
			s.login("d2", calm+sec(40), alice, b1)
		}, "", ""},
		{"the same before it says that it is synced", func(s *story) {
			away(s, 7, kept, shrink)
			s.login("d2", calm+sec(23), alice, b1)
			synced(s, 23)
		}, "", ""},
		{"who was forgotten meanwhile", func(s *story) {
			s.expire = sec(60)
			s.login("d1", calm-sec(6), alice, b1)
			s.order("d1", calm-sec(5), calm-sec(4.9), shrink)
			away(s, 7, kept, Op{Kind: OpForget, Backend: b1})
			synced(s, 23)
			s.login("d2", calm+sec(24), alice, b1)
		}, "", ""},
		{"what was changed meanwhile, as it starts with nothing", func(s *story) {
			away(s, 7, 0, shrink)
			synced(s, 23)
			s.login("d2", calm+sec(24), alice, b1)
		}, "G2", "d2 answered"},
		{"what was changed before it died", func(s *story) {
			away(s, -5, kept, shrink)
			synced(s, 23)
			s.login("d2", calm+sec(24), alice, b1)
		}, "G2", "d2 answered"},
		{"what it has taken as it was admitted", func(s *story) {
			away(s, 7, kept, shrink)
			synced(s, 13.7)
			s.login("d2", calm+sec(24), alice, b1)
		}, "G2", "d2 answered"},
		{"what it takes as another one is back that kept it", func(s *story) {
			away(s, 7, kept, shrink)
			s.startFrom("d1", calm+sec(20), calm+sec(12))
			synced(s, 23)
			s.login("d2", calm+sec(24), alice, b1)
		}, "G2", "d2 answered"},
		{"what another one has brought back that kept it", func(s *story) {
			away(s, 7, kept, shrink)
			synced(s, 23)
			s.startFrom("d1", calm+sec(25), calm+sec(12))
			s.login("d2", calm+sec(40), alice, b1)
		}, "G2", "d2 answered"},
	})
}
