package check

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// A story is a history written by hand: three directors that start at 0 and hear of each other
// twice a second, unless told otherwise, and what the test lets happen from calm on, when they have
// settled.
type story struct {
	events []Event
	lastID uint64
	cuts   []cut
	deaf   []cut                         // only beats come through, and overtake the rest
	lives  map[string][][2]time.Duration // when each director is there and awake
	woken  map[string]bool               // its lives after the first go on with that
	silent map[string]bool               // the story says itself when it is synced
	mesh   map[string]uint64             // to which mesh each says that it belongs
	expire time.Duration                 // if not that of the rules
}

// A tale is a story with what is to be found in it.
type tale struct {
	name      string
	tell      func(s *story)
	guarantee string // "": fine
	text      string
}

func testStories(t *testing.T, tales []tale) {
	for _, test := range tales {
		t.Run(test.name, func(t *testing.T) {
			s := newStory()
			test.tell(s)
			breaches := s.verify()
			switch {
			case test.guarantee == "":
				if len(breaches) > 0 {
					t.Errorf("found %v in a fine history", breaches)
				}
			case len(breaches) == 0:
				t.Errorf("found nothing, want a breach of %s", test.guarantee)
			case breaches[0].Guarantee != test.guarantee ||
				!strings.Contains(breaches[0].Text, test.text):
				t.Errorf("found %v, want a breach of %s about %q",
					breaches[0], test.guarantee, test.text)
			}
		})
	}
}

type cut struct {
	from, to     string
	since, until time.Duration
}

const (
	calm = 15 * time.Second
	end  = 3 * time.Minute
)

var (
	rules = Rules{
		Expire: 20 * time.Second, BatchLag: time.Second, RepairWithin: 10 * time.Second,
		Backends: []Backend{
			{Addr: b1, VHosts: 10}, {Addr: b2, VHosts: 10}, {Addr: b3, VHosts: 10},
		},
	}
	b1, b2, b3 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"),
		netip.MustParseAddr("192.0.2.3")
	alice = User{Hash: hashTo(b1)}
	bob   = User{Hash: hashTo(b2)}
)

// hashTo finds a user hash that belongs to a backend while all three are up.
func hashTo(b netip.Addr) uint32 {
	p := make(places)
	all := []usable{{addr: b1, vhosts: 10}, {addr: b2, vhosts: 10}, {addr: b3, vhosts: 10}}
	for h := uint32(1); ; h += 0x01234567 {
		if p.of(all, h) == b {
			return h
		}
	}
}

func newStory() *story {
	s := &story{
		lives: make(map[string][][2]time.Duration),
		woken: make(map[string]bool), silent: make(map[string]bool), mesh: make(map[string]uint64),
	}
	for _, d := range []string{"d1", "d2", "d3"} {
		s.start(d, 0)
	}
	return s
}

// directors are those that ever start, three if the story does not start more.
func (s *story) directors() []string { return slices.Sorted(maps.Keys(s.lives)) }

func sec(x float64) time.Duration { return time.Duration(x * float64(time.Second)) }

func (s *story) add(e Event) { s.events = append(s.events, e) }

func (s *story) start(d string, at time.Duration) { s.startFrom(d, at, 0) }

// startFrom starts a director from a disk that has what its former lives said until a time.
func (s *story) startFrom(d string, at, kept time.Duration) {
	s.add(Start{At(at), d, kept})
	s.lives[d] = append(s.lives[d], [2]time.Duration{at, end})
}

// gone ends what start or wake began.
func (s *story) gone(d string, at time.Duration) {
	l := s.lives[d]
	l[len(l)-1][1] = at
}

func (s *story) stop(d string, at time.Duration) {
	s.gone(d, at)
	s.add(Stop{At: At(at), Director: d})
}

func (s *story) sleep(d string, at, until time.Duration) { s.pause(d, at, until, false) }

// pause is sleep, perhaps with all clocks of the host.
func (s *story) pause(d string, at, until time.Duration, clocks bool) {
	s.gone(d, at)
	s.add(Pause{At: At(at), Director: d, Clocks: clocks})
	s.add(Wake{At(until), d})
	s.woken[d] = true
	s.lives[d] = append(s.lives[d], [2]time.Duration{until, end})
}

// split cuts one director off both ways.
func (s *story) split(d string, since, until time.Duration) {
	for _, other := range []string{"d1", "d2", "d3"} {
		if other != d {
			s.cuts = append(s.cuts, cut{d, other, since, until}, cut{other, d, since, until})
		}
	}
}

// part cuts one pair of directors off from each other.
func (s *story) part(a, b string, since, until time.Duration) {
	s.cuts = append(s.cuts, cut{a, b, since, until}, cut{b, a, since, until})
}

// silence has nothing of what one director sends reach another one.
func (s *story) silence(from, to string, since, until time.Duration) {
	s.cuts = append(s.cuts, cut{from, to, since, until})
}

// deafen has a director take in nothing but beats for a while.
func (s *story) deafen(d string, since, until time.Duration) {
	s.deaf = append(s.deaf, cut{to: d, since: since, until: until})
	s.add(Pause{At: At(since), Director: d})
	s.add(Wake{At(until), d})
}

// taken is up to when a director has taken in all of what was sent to it until then.
func (s *story) taken(to string, sent time.Duration) time.Duration {
	for _, c := range s.deaf {
		if c.to == to && sent >= c.since && sent < c.until {
			return c.since
		}
	}
	return sent
}

func (s *story) awake(d string, at time.Duration) bool {
	return slices.ContainsFunc(s.lives[d], func(l [2]time.Duration) bool {
		return at > l[0] && at < l[1]
	})
}

func (s *story) flows(from, to string, at time.Duration) bool {
	return s.awake(from, at) && s.awake(to, at) && !slices.ContainsFunc(s.cuts, func(c cut) bool {
		return c.from == from && c.to == to && at >= c.since && at < c.until
	})
}

func (s *story) ask(d string, at time.Duration, u User) uint64 {
	s.lastID++
	s.add(Lookup{At(at), s.lastID, d, u})
	return s.lastID
}

func (s *story) answer(id uint64, at time.Duration, b netip.Addr) {
	s.add(Answer{At(at), id, b, false})
}

// login is a lookup that is answered at once.
func (s *story) login(d string, at time.Duration, u User, b netip.Addr) {
	s.answer(s.ask(d, at, u), at, b)
}

// order is an operation that takes a while and succeeds; every director then holds the table of
// row, if given.
func (s *story) order(d string, at, done time.Duration, op Op, failed ...string) uint64 {
	s.lastID++
	s.add(Admin{At(at), s.lastID, d, op})
	s.add(Done{At: At(done), ID: s.lastID, Failed: failed})
	return s.lastID
}

// lacking is a change of b1 at d1 that one director lacks when it is acknowledged.
func (s *story) lacking(d string, at time.Duration, failed ...string) {
	s.lastID++
	s.add(Admin{At(at), s.lastID, "d1", Op{Kind: OpDown, Backend: b1}})
	down := with(b1, Row{Present: true, VHosts: 10, Down: true})
	tables := map[string]Table{"d1": down, "d2": down, "d3": down}
	tables[d] = holding().Table
	s.add(Done{At: At(at), ID: s.lastID, Failed: failed, Tables: tables})
}

// otherTime is a long split of one director, whose clock is ahead then. It meets a second one
// after ten seconds, and the third one ten seconds later.
func (s *story) otherTime(d, second, third string) {
	s.part(d, second, calm, calm+sec(10))
	s.part(d, third, calm, calm+sec(20))
	ahead := map[string]time.Duration{d: sec(5)}
	for past := time.Duration(0); past <= sec(20); past += sec(0.5) {
		s.add(MeshTimes{At(calm + past), ahead})
	}
}

func (s *story) kick(d string, at time.Duration, u User, keep netip.Addr) {
	s.add(Kick{At: At(at), Director: d, User: u, Keep: keep})
}

// holding is what a director holds in the end: the configured table, and these mappings.
func holding(mappings ...Mapping) State {
	t := make(Table)
	for _, b := range rules.Backends {
		t[b.Addr] = Row{Present: true, VHosts: b.VHosts}
	}
	return State{Table: t, Mappings: mappings}
}

// final ends the story with equal directors.
func (s *story) final(at time.Duration, mappings ...Mapping) {
	s.add(Final{At(at), map[string]State{
		"d1": holding(mappings...), "d2": holding(mappings...), "d3": holding(mappings...),
	}})
}

// finalWithout is final after b1 has lost its vhosts.
func (s *story) finalWithout(at time.Duration, mappings ...Mapping) {
	f := Final{At(at), make(map[string]State)}
	for _, d := range []string{"d1", "d2", "d3"} {
		f.Directors[d] = State{
			Table: with(b1, Row{Present: true}), Mappings: mappings,
		}
	}
	s.add(f)
}

// sayings has the directors say that they are synced, unless the story does so: two seconds after
// they started, and one after they woke or came back to the others.
func (s *story) sayings(last time.Duration) {
	say := func(d string, at time.Duration, synced bool) {
		if at <= last && s.awake(d, at) {
			s.add(Synced{At(at), d, synced, "the story says so", s.mesh[d]})
		}
	}
	for _, d := range s.directors() {
		lives := s.lives[d]
		if s.silent[d] {
			continue
		}
		for i, l := range lives {
			if s.woken[d] && i > 0 {
				say(d, l[0]+1, false)
				say(d, l[0]+sec(1), true)
				continue
			}
			say(d, l[0]+sec(2), true)
		}
		for _, c := range s.cuts {
			if c.from == d && c.until-c.since > silence {
				say(d, c.until+sec(0.5), false)
				say(d, c.until+sec(1.5), true)
			}
		}
	}
}

// verify fills in the frames and judges.
func (s *story) verify() []Breach { return s.checked(0).Breaches() }

// checked returns the checker of the story, which goes on until a time at least.
func (s *story) checked(last time.Duration) *Checker {
	r := rules
	r.Expire = cmp.Or(s.expire, r.Expire)
	c := New(r)
	s.settle(last)
	c.Foresee(s.events)
	for _, e := range s.events {
		c.Event(e)
	}
	return c
}

// settle adds what the directors hear and say of each other, and puts all in order.
func (s *story) settle(last time.Duration) {
	for _, e := range s.events {
		last = max(last, e.When())
	}
	const every = 500 * time.Millisecond
	for at := every; at <= last; at += every {
		for _, from := range s.directors() {
			for _, to := range s.directors() {
				echo := time.Duration(-1)
				if from != to && s.flows(from, to, at) {
					if s.flows(to, from, at-20*time.Millisecond) {
						echo = at - 20*time.Millisecond
					}
					s.add(Frame{At(at), from, to, s.taken(to, at-10*time.Millisecond), echo})
				}
			}
		}
	}
	s.sayings(last)
	slices.SortStableFunc(s.events, func(a, b Event) int { return int(a.When() - b.When()) })
}

// with is a table of the configured backends, one of them changed.
func with(b netip.Addr, r Row) Table {
	t := holding().Table
	t[b] = r
	return t
}

// placeWithout is where alice hashes while these backends have no vhosts.
func placeWithout(without ...netip.Addr) netip.Addr {
	var rest []usable
	for _, x := range []netip.Addr{b1, b2, b3} {
		if !slices.Contains(without, x) {
			rest = append(rest, usable{addr: x, vhosts: 10})
		}
	}
	return make(places).of(rest, alice.Hash)
}
