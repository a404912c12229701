package check

import (
	"net/netip"
	"testing"
	"time"
)

// What all directors hold after a start from their disks is judged by what was acknowledged and
// answered before.
func TestRestarted(t *testing.T) {
	u := User{Hash: hashTo(b1)}
	const (
		died = calm + 20*time.Second
		back = died + 3*time.Second
		kept = died - 2*time.Second
	)
	on := func(has Mapping) []Mapping { return []Mapping{has} }
	fewer := Op{Kind: OpUpdate, Backend: b2, VHosts: 3}
	for _, test := range []struct {
		name   string
		tell   func(s *story)
		vhosts int // of b2
		has    []Mapping
		want   int // breaches, of each of two directors
	}{
		{"nothing happened", func(*story) {}, 10, nil, 0},
		{"acknowledged", func(s *story) { s.order("d1", calm, calm+sec(0.1), fewer) }, 3, nil, 0},
		{"acknowledged at the last moment", func(s *story) {
			s.order("d1", died-sec(0.2), died-sec(0.1), fewer)
		}, 10, nil, 1},
		{"acknowledged and lost", func(s *story) {
			s.order("d1", calm, calm+sec(0.1), fewer)
		}, 10, nil, 1},
		{"under way, and there", func(s *story) {
			s.add(Admin{At(died - sec(0.1)), 99, "d2", fewer})
		}, 3, nil, 0},
		{"under way, and lost", func(s *story) {
			s.add(Admin{At(died - sec(0.1)), 99, "d2", fewer})
		}, 10, nil, 0},
		{"never ordered", func(*story) {}, 7, nil, 1},
		{"answered", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10,
			on(Mapping{User: u, Backend: b1}), 0},
		{"answered and lost", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10, nil, 1},
		{"answered by one that died right after", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.stop("d1", died-sec(7.9))
			s.start("d1", died-sec(6))
		}, 10, nil, 0},
		{"answered by one that died when others had it", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.stop("d1", died-sec(6))
			s.start("d1", died-sec(5))
		}, 10, nil, 1},
		{"answered and elsewhere", func(s *story) { s.login("d1", died-sec(8), u, b1) }, 10,
			on(Mapping{User: u, Backend: b3}), 1},
		{"answered too late to be kept", func(s *story) { s.login("d1", died-sec(1), u, b1) }, 10,
			nil, 0},
		{"answered anew too late to be kept", func(s *story) {
			s.login("d1", died-sec(23), u, b1)
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 0},
		{"answered again too late to be kept", func(s *story) {
			s.login("d1", died-sec(9), u, b1)
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 1},
		{"expired", func(s *story) { s.login("d1", sec(1), u, b1) }, 10, nil, 0},
		{"forgotten", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(5), died-sec(4.9), Op{Kind: OpForget, Backend: b1})
		}, 10, nil, 0},
		{"forgotten, and mapped anew too late to be kept", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(5), died-sec(4.9), Op{Kind: OpForget, Backend: b1})
			s.login("d1", died-sec(1), u, b1)
		}, 10, nil, 0},
		{"being moved", func(s *story) {
			s.login("d1", died-sec(8), u, b1)
			s.order("d2", died-sec(1), died-sec(0.5), Op{Kind: OpMove, User: u, Backend: b3})
		}, 10, on(Mapping{User: u, Backend: b3}), 0},
	} {
		s := newStory()
		test.tell(s)
		for _, d := range []string{"d1", "d2", "d3"} {
			s.stop(d, died)
		}
		c := s.checked(died)
		state := State{Table: with(b2, Row{Present: true, VHosts: test.vhosts}), Mappings: test.has}
		c.Restarted(Restarted{At(back), kept, map[string]State{"d1": state, "d2": state}})
		if got := c.Breaches(); len(got) != 2*test.want {
			t.Errorf("%s: found %v, want %d of each director", test.name, got, test.want)
		}
	}
}

// A flush may have moved a user, long before all stopped, whom nobody asked for since.
func TestRestartedAfterAFlush(t *testing.T) {
	const died = calm + time.Minute
	for _, test := range []struct {
		name    string
		flushes bool
		has     netip.Addr
		want    int // breaches
	}{
		{"moved by the flush", true, placeWithout(b1), 0},
		{"where no flush moves", true, placeWithout(b1, placeWithout(b1)), 1},
		{"without a flush", false, placeWithout(b1), 1},
	} {
		s := newStory()
		s.login("d1", calm-sec(5), alice, b1)
		s.order("d1", calm, calm+sec(0.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 0})
		if test.flushes {
			s.order("d1", calm+sec(5), calm+sec(5.1), Op{Kind: OpFlush})
			s.add(FlushEnded{At(calm + sec(6)), s.lastID})
		}
		s.order("d1", calm+sec(12), calm+sec(12.1), Op{Kind: OpUpdate, Backend: b1, VHosts: 10})
		for _, d := range []string{"d1", "d2", "d3"} {
			s.stop(d, died)
		}
		s.settle(died)
		long := rules
		long.Expire = 5 * time.Minute
		c := New(long)
		c.Foresee(s.events)
		for _, e := range s.events {
			c.Event(e)
		}
		state := holding(Mapping{User: alice, Backend: test.has})
		c.Restarted(Restarted{At(died + sec(3)), died - sec(2), map[string]State{"d1": state}})
		if got := c.Breaches(); len(got) != test.want {
			t.Errorf("%s: found %v, want %d", test.name, got, test.want)
		}
	}
}
