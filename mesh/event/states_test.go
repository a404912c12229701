package event

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// words says an event in a line.
func words(e Event) string {
	switch {
	case e.Peer != nil:
		return fmt.Sprintf("peer %s %s", e.Peer.Name, e.Peer.What)
	case e.Self != nil:
		return fmt.Sprintf("self synced=%v alone=%v %s", e.Self.Synced, e.Self.Alone, e.Self.Reason)
	case e.Health != nil:
		return fmt.Sprintf("health %s→%s %s", e.Health.Was, e.Health.Is, e.Health.Reason)
	case e.Alarm != nil:
		return fmt.Sprintf("alarm %q over=%v %d/%d", e.Alarm.Tag, e.Alarm.Over, e.Alarm.Failing,
			e.Alarm.Most)
	case e.Flush != nil:
		return fmt.Sprintf("flush %s/%d %s by %s: %d moved, %d failed", e.Flush.Director,
			e.Flush.ID, e.Flush.What, e.Flush.Runner, e.Flush.Moved, e.Flush.Failed)
	case e.Done != nil:
		return fmt.Sprintf("drained %s", e.Done.Backend)
	case e.Keys != nil:
		return fmt.Sprintf("key %s %s%s", e.Keys.ID, e.Keys.What, e.Keys.By)
	}
	return fmt.Sprintf("%+v", e)
}

func peer(name string, boot uint64, change ...func(*replica.PeerStatus)) replica.PeerStatus {
	p := replica.PeerStatus{
		Name: name, Boot: boot, Addr: netip.MustParseAddrPort("192.0.2.99:9090"),
		Reachable: true, State: replica.Synced,
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func unreachable(p *replica.PeerStatus) { p.Reachable, p.State = false, replica.Handshaking }
func silent(p *replica.PeerStatus)      { p.SilentSince = time.Unix(1, 0) }
func left(p *replica.PeerStatus)        { p.Left, p.Reachable = true, false }
func syncing(p *replica.PeerStatus)     { p.State = replica.Syncing }

func health(failed, out bool, sight wire.Sight, reason string) replica.HealthStatus {
	return replica.HealthStatus{Backends: []replica.BackendHealth{{
		Backend: ring.Backend{Addr: backend1, Failed: failed, Out: out}, Sight: sight,
		Observers: []replica.Observer{{Director: "d1", Sight: sight}, {Reason: reason}},
	}}}
}

func flush(ended directory.Time, change ...func(*replica.FlushStatus)) []replica.FlushStatus {
	f := replica.FlushStatus{
		ID: replica.FlushID{Director: "d1", ID: 3}, Ended: ended, Moved: 5, Failed: 1, Runner: "d2",
	}
	for _, c := range change {
		c(&f)
	}
	return []replica.FlushStatus{f}
}

func drained(users int, since directory.Stamp) []replica.BackendStatus {
	return []replica.BackendStatus{{
		Backend: ring.Backend{Addr: backend1, Drained: true}, Users: users,
		Drain: directory.Task{On: true, Since: since},
	}}
}

// leaving is a drained backend whose last user is on the way.
func leaving() []replica.BackendStatus {
	all := drained(0, 1)
	all[0].Leaving = 1
	return all
}

// Each state is told when it comes about, once.
func TestChanged(t *testing.T) {
	synced := replica.SelfStatus{Synced: true}
	for name, test := range map[string]struct {
		rounds []States
		want   []string // behind what the first round says of itself
	}{
		"nothing": {rounds: []States{
			{Peers: []replica.PeerStatus{peer("d2", 1)}, Flushes: flush(0), Backends: drained(0, 1),
				Health: health(true, true, wire.Failing, "refused"), Keys: []KeyState{{"k1"}}},
			{Peers: []replica.PeerStatus{peer("d2", 1)}, Flushes: flush(0), Backends: drained(0, 1),
				Health: health(true, true, wire.Failing, "timeout"), Keys: []KeyState{{"k1"}}},
		}},
		"self": {
			rounds: []States{{}, {Self: synced}, {Self: synced},
				{Self: replica.SelfStatus{Synced: true, Alone: true, Reason: "no peer answers"}},
				{Self: replica.SelfStatus{Reason: "woken, 3 s"}},
				{Self: replica.SelfStatus{Reason: "woken, 4 s"}}},
			want: []string{
				"self synced=true alone=false ", "self synced=true alone=true no peer answers",
				"self synced=false alone=false woken, 3 s",
			},
		},
		"peer comes and goes": {
			rounds: []States{{}, {Peers: []replica.PeerStatus{peer("d2", 1, syncing)}},
				{Peers: []replica.PeerStatus{peer("d2", 1)}},
				{Peers: []replica.PeerStatus{peer("d2", 1, syncing)}},
				{Peers: []replica.PeerStatus{peer("d2", 1)}},
				{Peers: []replica.PeerStatus{peer("d2", 1, silent)}},
				{Peers: []replica.PeerStatus{peer("d2", 1, unreachable)}},
				{Peers: []replica.PeerStatus{peer("d2", 1)}},
				{Peers: []replica.PeerStatus{peer("d2", 1, left)}},
				{Peers: []replica.PeerStatus{peer("d2", 1, left)}}, {}},
			want: []string{
				"peer d2 reachable", "peer d2 synced", "peer d2 not synced", "peer d2 synced",
				"peer d2 unreachable", "peer d2 reachable", "peer d2 synced", "peer d2 left",
				"peer d2 forgotten",
			},
		},
		"peer restarts within a round": {
			rounds: []States{{Peers: []replica.PeerStatus{peer("d2", 1)}},
				{Peers: []replica.PeerStatus{peer("d2", 2)}}},
			want: []string{"peer d2 restarted", "peer d2 reachable", "peer d2 synced"},
		},
		"self is no peer": {rounds: []States{{}, {Peers: []replica.PeerStatus{
			peer("d1", 1, func(p *replica.PeerStatus) { p.Self = true })}}, {}}},
		"health": {
			rounds: []States{{Health: health(false, false, wire.Good, "")},
				{Health: health(false, false, wire.Failing, "refused")},
				{Health: health(true, true, wire.Failing, "refused")},
				{Health: health(true, false, wire.Failing, "refused")},
				{Health: health(false, false, wire.Good, "")}},
			want: []string{
				"health good→failing refused", "health failing→failed refused",
				"health failed→kept refused", "health kept→good ",
			},
		},
		"new backend": {rounds: []States{{}, {Health: health(false, false, wire.Good, "")}}},
		"alarm": {
			rounds: []States{{},
				{Health: alarmed(3)},
				{Health: alarmed(4)}, {}},
			want: []string{`alarm "ssd" over=false 3/1`, `alarm "ssd" over=true 0/1`},
		},
		"flush": {
			rounds: []States{{}, {Flushes: flush(0)}, {Flushes: flush(0)}, {Flushes: flush(9)},
				{Flushes: flush(9)}, {}},
			want: []string{
				"flush d1/3 begun by d2: 5 moved, 1 failed",
				"flush d1/3 ended by d2: 5 moved, 1 failed",
			},
		},
		"short flush": {
			rounds: []States{{}, {Flushes: flush(9)}},
			want: []string{
				"flush d1/3 begun by d2: 5 moved, 1 failed",
				"flush d1/3 ended by d2: 5 moved, 1 failed",
			},
		},
		"flush that does not end well": {
			rounds: []States{{Flushes: flush(0)},
				{Flushes: flush(9, func(f *replica.FlushStatus) { f.Canceled = true })},
				{}, {Flushes: flush(0, func(f *replica.FlushStatus) { f.Lost = true })}},
			want: []string{
				"flush d1/3 cancelled by d2: 5 moved, 1 failed",
				"flush d1/3 begun by d2: 5 moved, 1 failed",
				"flush d1/3 lost by d2: 5 moved, 1 failed",
			},
		},
		"drain": {
			rounds: []States{{}, {Backends: drained(3, 1)}, {Backends: drained(0, 1)},
				{Backends: drained(1, 1)}, {Backends: drained(0, 1)}, {},
				{Backends: drained(1, 2)}, {Backends: drained(0, 2)}},
			want: []string{"drained 192.0.2.1", "drained 192.0.2.1"},
		},
		"drain whose last user is on the way": {
			rounds: []States{{}, {Backends: drained(3, 1)}, {Backends: leaving()}},
		},
		"keys": {
			rounds: []States{{Keys: []KeyState{{"k1"}}},
				{Keys: []KeyState{{"k1"}, {"k2"}}, Rotation: &RotationState{"k2", "d3"}},
				{Keys: []KeyState{{"k2"}, {"k1"}}, Rotation: &RotationState{"k2", "d3"}},
				{Keys: []KeyState{{"k2"}}}},
			want: []string{
				"key k2 added", "key k2 rotation begund3", "key k2 used", "key k1 removed",
				"key k2 rotation endedd3",
			},
		},
	} {
		var w Watcher
		var got []string
		for i, s := range test.rounds {
			for j, e := range w.Changed(s, noon, noon+1) {
				if e.At != noon || e.Wall != noon+1 {
					t.Errorf("%s: the time of %+v", name, e)
				}
				if i > 0 || j > 0 {
					got = append(got, words(e))
				} else if e.Self == nil {
					t.Errorf("%s: the first event is %s", name, words(e))
				}
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The lists of words have no word twice.
func TestWords(t *testing.T) {
	lists := [][]string{nil, nil, nil}
	for _, w := range PeerChanges() {
		lists[0] = append(lists[0], string(w))
	}
	for _, w := range FlushChanges() {
		lists[1] = append(lists[1], string(w))
	}
	for _, w := range KeyChanges() {
		lists[2] = append(lists[2], string(w))
	}
	for _, list := range lists {
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(slices.Clone(sorted))) != len(list) || sorted[0] == "" {
			t.Errorf("%q", list)
		}
	}
}

func alarmed(failing int) replica.HealthStatus {
	return replica.HealthStatus{Alarms: []replica.Alarm{{Tag: "ssd", Failing: failing, Most: 1}}}
}
