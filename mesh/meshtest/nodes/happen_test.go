package nodes

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"directormesh/mesh/event"
	"directormesh/mesh/history"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// happened collects what directors see happen, by their names.
type happened struct {
	mu     sync.Mutex
	events map[string][]event.Event
}

func (h *happened) take(name string, events []event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.events == nil {
		h.events = make(map[string][]event.Event)
	}
	h.events[name] = append(h.events[name], events...)
}

// words are the events of a director, each in a line, users left out.
func (h *happened) words(name string) (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events[name] {
		switch {
		case e.Admin != nil:
			lines = append(lines, "asked "+e.Admin.Action+" at "+e.Admin.Director)
		case e.Table != nil:
			lines = append(lines, fmt.Sprintf("table %s %s at %s", e.Table.What, e.Table.Backend,
				e.Table.Origin))
		case e.Moved != nil:
			lines = append(lines, "moved to "+e.Moved.To.String())
		case e.Peer != nil:
			lines = append(lines, fmt.Sprintf("peer %s %s", e.Peer.Name, e.Peer.What))
		case e.Self != nil:
			lines = append(lines, fmt.Sprintf("synced %v", e.Self.Synced))
		case e.Health != nil:
			lines = append(lines, fmt.Sprintf("health %s %s", e.Health.Backend, e.Health.Is))
		case e.Flush != nil:
			lines = append(lines, fmt.Sprintf("flush %s at %s", e.Flush.What, e.Flush.Director))
		case e.Done != nil:
			lines = append(lines, "drained "+e.Done.Backend.String())
		default:
			lines = append(lines, fmt.Sprintf("%+v", e))
		}
	}
	return lines
}

// users counts the users that a director saw moved.
func (h *happened) users(name string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range h.events[name] {
		if e.Moved != nil {
			n += len(e.Moved.Users)
		}
	}
	return n
}

// want demands that a director saw these, in this order, whatever else it saw between them.
func (h *happened) want(t *testing.T, name string, want ...string) {
	t.Helper()
	rest := h.words(name)
	for _, w := range want {
		i := slices.Index(rest, w)
		if i < 0 {
			t.Errorf("%s did not see %q then; it saw\n%s", name, w,
				strings.Join(h.words(name), "\n"))
			return
		}
		rest = rest[i+1:]
	}
}

// A story of a mesh, as each director sees it. What the history has of users, the events have too.
func TestHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saw happened
		m := Start(t, Options{
			Directors: 3, Seed: 11, Watches: true, Happened: saw.take, Trace: testing.Verbose(),
		})
		m.WaitSynced(20 * time.Second)
		checks := m.Watch()
		load := m.Login(300, 10*time.Millisecond)
		time.Sleep(20 * time.Second)
		load.Stop()

		do := func(i int, action string, op replica.Operation) {
			t.Helper()
			d := m.Directors[i]
			if _, err := d.Do(t.Context(), op); err != nil {
				t.Fatalf("%s: %v", action, err)
			}
			d.NoteAdmin(&wire.AdminNote{Action: action, Who: "uid 0 pid 7"})
			time.Sleep(5 * time.Second)
		}
		b := Backends(4)
		do(0, "update", replica.UpdateBackend{Addr: b[0].Addr, VHosts: 10})
		do(1, "flush", replica.Flush{})
		do(2, "drain", replica.Drain{Addr: b[1].Addr})
		time.Sleep(30 * time.Second)
		m.Kill(2)
		time.Sleep(20 * time.Second)
		m.Restart(2)
		m.WaitSynced(20 * time.Second)
		checks.Stopped(4)
		time.Sleep(20 * time.Second)

		for i, d := range m.Directors {
			if i < 2 {
				saw.want(t, d.Name, "synced false", "synced true",
					"table update 192.0.2.1 at d1", "asked update at d1",
					"flush begun at d2", "flush ended at d2",
					"table drain 192.0.2.2 at d3", "drained 192.0.2.2",
					"peer d3 unreachable", "peer d3 reachable", "peer d3 synced",
					"health 192.0.2.4 failing", "health 192.0.2.4 failed")
				for _, w := range []string{"asked flush at d2", "asked drain at d3"} {
					saw.want(t, d.Name, w)
				}
			}
		}
		for _, name := range []string{"d1", "d2"} {
			if got := saw.users(name); got < 50 {
				t.Errorf("%s saw %d users move", name, got)
			}
		}
		moved := make(map[ring.UserHash]bool)
		for _, e := range saw.events["d1"] {
			if e.Moved != nil {
				for _, u := range e.Moved.Users {
					moved[u] = true
				}
			}
		}
		for hash, mapping := range Mappings(m.Directors[0]) {
			told, _, err := m.Directors[0].AskHistory(t.Context(),
				wire.HistoryQuery{User: true, Hash: hash})
			if err != nil {
				t.Fatal(err)
			}
			changes := 0
			for _, e := range history.Merge(told).Of(hash) {
				if e.User != nil && slices.Contains(e.Seen, "d1") {
					changes++
				}
			}
			if (changes > 0) != moved[hash] {
				t.Errorf("user %v at %v: %d changes noted, told of: %v", hash, mapping, changes,
					moved[hash])
			}
		}
	})
}
