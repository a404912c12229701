package check

import "testing"

// Of two mappings that are made apart the older one wins, also if nobody has been answered it: it
// was made for a director that died before it heard the answer.
func TestMadeApart(t *testing.T) {
	testStories(t, []tale{
		{"one made in a split for another, before that of the others", func(s *story) {
			s.split("d1", calm, calm+sec(20))
			madeForAnother(s, 8)
			s.login("d1", calm+sec(24), alice, placeWithout(b1))
		}, "", ""},
		{"the same, and then one answers the other that knows of both", func(s *story) {
			s.split("d1", calm, calm+sec(20))
			madeForAnother(s, 8)
			s.login("d1", calm+sec(23.5), alice, b1)
			s.login("d1", calm+sec(24), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
		{"one that must have ended", func(s *story) {
			s.split("d1", calm, end)
			madeForAnother(s, 8)
			for _, at := range []float64{25, 40, 52} {
				s.login("d1", calm+sec(at), alice, b1)
			}
			s.login("d1", calm+sec(55), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
		{"one made after that of the others", func(s *story) {
			s.split("d1", calm, calm+sec(20))
			madeForAnother(s, 11)
			s.login("d1", calm+sec(24), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
		{"one made for another that lost who had been asked, and asked once more",
			func(s *story) { askedAgain(s, 13.9) }, "", ""},
		{"one made for another that was answered before it could ask once more",
			func(s *story) { askedAgain(s, 8.9) }, "G2", "d2 answered"},
		{"one made where the others must have heard of it", func(s *story) {
			madeForAnother(s, 8)
			s.login("d1", calm+sec(24), alice, placeWithout(b1))
		}, "G2", "d1 answered"},
	})
}

// askedAgain has d3 ask d1 for alice, which makes a mapping and is cut off, and answer by one that
// d2 has made later. When all meet the older one wins.
func askedAgain(s *story, answered float64) {
	s.expire = sec(60)
	s.silent["d3"] = true
	for x, synced := range map[float64]bool{2 - calm.Seconds(): true, 7.5: false, 15: true} {
		s.add(Synced{At(calm + sec(x)), "d3", synced, "the story says so", 0})
	}
	s.order("d2", calm+sec(8.03), calm+sec(answered-0.1),
		Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	id := s.ask("d3", calm+sec(8), alice)
	s.split("d1", calm+sec(8.02), calm+sec(28))
	s.answer(id, calm+sec(answered), placeWithout(b1))
	s.login("d2", calm+sec(33), alice, b1)
}

// madeForAnother has d2 make a mapping of alice for d3, which dies, and d1 make another one.
func madeForAnother(s *story, asked float64) {
	s.silent["d3"] = true
	s.add(Synced{At(sec(2)), "d3", true, "", 0})
	s.add(Synced{At(calm + sec(7.5)), "d3", false, "the story says so", 0})
	s.order("d2", calm+sec(6), calm+sec(6.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0}, "d1")
	s.ask("d3", calm+sec(asked), alice)
	s.stop("d3", calm+sec(asked+0.02))
	s.login("d1", calm+sec(10), alice, b1)
}
