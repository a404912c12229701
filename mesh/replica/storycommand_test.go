package replica

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// story plays the commands of one file in a world. Users go by their names, the backends
// 192.0.2.1, 192.0.2.2 and so on by letters.
type story struct {
	w      *world
	guards Guards
	trace  strings.Builder
	logs   map[string]bool           // lines of logs in it
	shown  map[string]bool           // kinds of messages in it
	lost   map[string]bool           // what does not arrive: "from to Kind"
	users  map[ring.UserHash]string  // those that were spoken of
	meshes []directory.MeshID        // in the order of their appearance
	asked  map[string]string         // lookups and operations under way, by director and id
	kicker map[string]storyKicker    // those that were set, by director
	due    []storyKick               // kicks under way
	clocks map[string]*time.Duration // how far wall clocks are off, by director
}

// storyKicker is how a director's kicker does its work.
type storyKicker struct {
	sessions int
	takes    time.Duration
}

// storyKick is a kick that ends at a moment.
type storyKick struct {
	at       mono.Time
	director *director
	boot     uint64 // of the life that wanted it
	id       uint64
	sessions int
}

func newStory(t *testing.T, guards Guards) *story {
	s := &story{
		w: newWorld(t), guards: guards,
		shown: make(map[string]bool), lost: make(map[string]bool),
		users: make(map[ring.UserHash]string), asked: make(map[string]string),
		kicker: make(map[string]storyKicker), clocks: make(map[string]*time.Duration),
	}
	s.w.seen = s.effect
	s.w.lose = s.loses
	return s
}

// command carries out one command, and those that its input adds, each on its line. It returns what
// the directors did.
func (s *story) command(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	s.w.t = t
	s.trace.Reset()
	s.logs = make(map[string]bool)
	lines := []string{d.Cmd}
	for _, arg := range d.CmdArgs {
		lines[0] += " " + arg.String()
	}
	if d.Input != "" {
		lines = append(lines, strings.Split(strings.TrimSpace(d.Input), "\n")...)
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		i := slices.IndexFunc(s.w.directors, func(d *director) bool { return d.name == words[0] })
		var err error
		if i >= 0 && len(words) > 1 {
			err = s.tell(s.w.directors[i], words[1], words[2:])
		} else {
			err = s.world(words[0], words[1:])
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", d.Pos, line, err)
		}
	}
	return s.trace.String()
}

// world carries out a command that concerns no single director.
func (s *story) world(verb string, args []string) error {
	w := s.w
	switch verb {
	case "show": // kinds of messages
		for _, kind := range args {
			s.shown[kind] = true
		}
	case "hide":
		clear(s.shown)
	case "start": // directors, the first of all as founder
		return s.start(args)
	case "run": // for a time
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		s.run(d, func() bool { return false })
	case "deliver": // what is under way, in no time
		w.deliver()
	case "settle": // until all that run are synced
		if !s.run(20*time.Second, w.allSynced) {
			s.printf("not all are synced after 20 s")
		}
	case "cut": // d1 d2 from d3
		i := slices.Index(args, "from")
		if i < 0 {
			return fmt.Errorf("from whom?")
		}
		w.split(s.named(args[:i]), s.named(args[i+1:]))
	case "heal":
		w.heal()
	case "break": // the stream d1 to d2; it is dialled again
		pair := s.named(args)
		w.breakStream(pair[0], pair[1])
	case "lose": // what goes from d1 to d2, of these kinds; or nothing any more
		if args[0] == "nothing" {
			clear(s.lost)
			break
		}
		for _, kind := range args[2:] {
			s.lost[args[0]+" "+args[1]+" "+kind] = true
		}
	case "where": // are users
		for _, name := range args {
			s.where(name)
		}
	case "clocks":
		s.meshTimes()
	case "status":
		for _, d := range w.directors {
			s.status(d)
		}
	default:
		return fmt.Errorf("no such command, and no such director")
	}
	return nil
}

// tell carries out a command that one director gets, or that befalls it.
func (s *story) tell(d *director, verb string, args []string) error {
	switch verb {
	case "lookup":
		for _, name := range args {
			s.lookup(d, name)
		}
	case "dies":
		d.crash()
	case "restarts":
		d.boots(false, s.change(d.name, false, nil))
	case "hangs":
		d.stopped = true
	case "wakes":
		d.stopped = false
	case "leaves":
		d.core.Leave(s.w.now)
		s.w.deliver()
		d.crash()
	case "clock": // is off by
		off, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		*s.clocks[d.name] = off
	case "kicker": // ends n sessions in a time
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		takes, err := time.ParseDuration(args[1])
		s.kicker[d.name] = storyKicker{n, takes}
		return err
	default:
		op, err := s.operation(verb, args)
		if err != nil {
			return err
		}
		text := strings.Join(append([]string{verb}, args...), " ")
		s.asked[s.key(d, d.lastID+1)] = text
		d.begin(op)
		d.carryOut()
	}
	return nil
}

// operation is what an operator asks for.
func (s *story) operation(verb string, args []string) (Operation, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("of what?")
	}
	switch backend := storyBackend(args[len(args)-1]); {
	case verb == "add":
		return AddBackend{Addr: backend}, nil
	case verb == "remove":
		return RemoveBackend{backend}, nil
	case verb == "down", verb == "up":
		return SetDown{Addr: backend, Down: verb == "down"}, nil
	case verb == "forget":
		return Forget{backend}, nil
	case verb == "flush":
		return Flush{Addr: backend}, nil
	case verb == "move" && len(args) == 2:
		return Move{Hash: s.user(args[0]), Backend: backend, Wait: true}, nil
	case verb == "take-in":
		return SetDirectorRemoved{Addr: s.w.named(args[0]).core.cfg.Addr}, nil
	case verb == "update" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		return UpdateBackend{Addr: storyBackend(args[0]), VHosts: n}, err
	}
	return nil, fmt.Errorf("no such command")
}

// start adds directors. The options before a name are for those that follow: backends that are not
// ABCD, a wall clock that is off, and to found a mesh, which the first of all does anyway.
func (s *story) start(args []string) error {
	var backends []ring.Backend
	founder, clock := false, time.Duration(0)
	for _, arg := range args {
		option, value, _ := strings.Cut(arg, "=")
		switch option {
		case "backends":
			for _, letter := range value {
				backends = append(backends, ring.Backend{
					Addr: storyBackend(string(letter)), VHosts: 100,
				})
			}
		case "founder":
			founder = true
		case "clock":
			d, err := time.ParseDuration(value)
			if err != nil {
				return err
			}
			clock = d
		default:
			off := new(time.Duration)
			*off = clock
			s.clocks[arg] = off
			d := s.w.start(arg, s.change(arg, founder, backends))
			d.kicker = func(k Kick) (int, bool, bool) { return s.kicks(d, k) }
			d.wall = func(now mono.Time) directory.Micros { return trueTime(now).Add(*off) }
		}
	}
	return nil
}

// change is how the configuration of a director differs from that of most tests.
func (s *story) change(name string, founder bool, backends []ring.Backend) func(*Config) {
	return func(c *Config) {
		c.Guards = s.guards
		c.Founder = c.Founder || founder
		c.Wall = c.Wall.Add(*s.clocks[name])
		if backends != nil {
			c.Backends = backends
		}
	}
}

// run lets time pass until the condition holds, and reports whether it came to hold.
func (s *story) run(d time.Duration, cond func() bool) bool {
	for end := s.w.now.Add(d); s.w.now < end; {
		s.w.run(25 * time.Millisecond)
		s.endKicks()
		s.w.deliver()
		if cond() {
			return true
		}
	}
	return false
}

// kicks ends sessions, at once or after a while.
func (s *story) kicks(d *director, k Kick) (count int, known, answers bool) {
	as := s.kicker[d.name]
	if as.takes == 0 {
		return as.sessions, true, true
	}
	s.due = append(s.due, storyKick{s.w.now.Add(as.takes), d, d.boot, k.ID, as.sessions})
	return 0, false, false
}

func (s *story) endKicks() {
	s.due = slices.DeleteFunc(s.due, func(k storyKick) bool {
		if k.at > s.w.now {
			return false
		}
		if d := k.director; !d.stopped && d.boot == k.boot {
			s.printf("%s has ended %s", d.name, count(k.sessions, "session"))
			d.core.KickDone(s.w.now, k.id, KickResult{Count: k.sessions, Known: true}, nil)
		}
		return true
	})
}

func (s *story) lookup(d *director, name string) {
	backend, id := d.ask(s.user(name))
	if id != 0 {
		s.printf("%s: %s waits", d.name, name)
		s.asked[s.key(d, id)] = name
		return
	}
	s.printf("%s answers %s: %s", d.name, name, s.backend(backend))
}

// where prints on which backend the directors have a user.
func (s *story) where(name string) {
	var at []string
	for _, d := range s.w.directors {
		if d.stopped {
			continue
		}
		u := d.core.User(s.w.now, "", s.user(name))
		text := "nowhere"
		if u.Mapped {
			text = "on " + s.backend(u.Current)
		}
		if u.Moving {
			text += " (moving)"
		}
		at = append(at, d.name+" "+text)
	}
	s.printf("%s: %s", name, strings.Join(at, ", "))
}

// meshTimes prints how far the directors' mesh times are off.
func (s *story) meshTimes() {
	var times []string
	for _, d := range s.w.directors {
		times = append(times, fmt.Sprintf("%s %+.1f s", d.name, d.offset().Seconds()))
	}
	s.printf("mesh time is off by: %s", strings.Join(times, ", "))
}

func (s *story) status(d *director) {
	self := d.core.Self(s.w.now)
	text := "synced"
	switch {
	case d.stopped:
		s.printf("%s does not run", d.name)
		return
	case self.Alone:
		text = "serves alone"
	case !self.Synced:
		text = "not synced, " + self.Reason
	}
	var letters string
	for _, b := range d.core.Backends() {
		letters += s.backend(b.Backend.Addr)
	}
	s.printf("%s: %s; %s, backends %s", d.name, text, s.mesh(self.Mesh.ID), letters)
}

func (s *story) loses(from, to *director, m wire.Message) bool {
	return s.lost[from.name+" "+to.name+" "+kindOf(m)]
}

func (s *story) named(names []string) []*director {
	var all []*director
	for _, name := range names {
		all = append(all, s.w.named(name))
	}
	return all
}

// user is the hash of a name, which the trace knows from then on.
func (s *story) user(name string) ring.UserHash {
	format, err := ring.ParseHashFormat("%Lu")
	if err != nil {
		s.w.t.Fatal(err)
	}
	h := format.Hash(name)
	s.users[h] = name
	return h
}

func (s *story) key(d *director, id uint64) string { return fmt.Sprint(d.name, " ", id) }

func storyBackend(letter string) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 0, 2, letter[0] - 'A' + 1})
}
