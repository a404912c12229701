package sim

import (
	"testing"
	"time"

	"directormesh/ring"
)

// TestRemovalOfNobodyElse has a director that is cut off order the removal of another one. If it
// dies before it could pass that on, the other one is part of the mesh; else it is not, as soon as
// the links are whole again.
func TestRemovalOfNobodyElse(t *testing.T) {
	for _, dies := range []bool{true, false} {
		s := Schedule{
			Seed: 1, Directors: 3, Expire: time.Minute, KickDelay: time.Second, Parallel: 5,
			ChunkRows: 25, End: 100 * time.Second,
			Network: Network{
				Delay: time.Millisecond, Jitter: 2 * time.Millisecond, PushPull: 3 * time.Second,
			},
			Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}},
			Actions: []Action{
				{At: 20 * time.Second, Kind: Cut, From: []int{0}, To: []int{1, 2},
					For: 30 * time.Second},
				{At: 20 * time.Second, Kind: Cut, From: []int{1, 2}, To: []int{0},
					For: 30 * time.Second},
				{At: 30 * time.Second, Kind: RingRemove, Director: 0, Peer: 2},
			},
		}
		if dies {
			s.Actions = append(s.Actions, Action{At: 40 * time.Second, Kind: Crash, Director: 0})
		}
		w := newWorld(s, nil)
		w.until(s.End)
		for _, b := range w.result().Breaches {
			t.Errorf("dies %v: %v", dies, b)
		}
		d3 := w.directors[2]
		if synced := d3.core.Self(d3.now()).Synced; d3.removed == dies || synced != dies {
			t.Errorf("dies %v: for the checker d3 is removed: %v; it answers: %v",
				dies, d3.removed, synced)
		}
	}
}

// TestRefusedRemoval has a director that is not synced yet order the removal of another one.
func TestRefusedRemoval(t *testing.T) {
	s := Schedule{
		Seed: 1, Directors: 2, Expire: time.Minute, KickDelay: time.Second, Parallel: 5,
		ChunkRows: 25, End: 60 * time.Second,
		Network:  Network{Delay: time.Millisecond, PushPull: 3 * time.Second},
		Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}},
		Actions: []Action{
			{At: 20 * time.Second, Kind: Crash, Director: 1, For: time.Second},
			{At: 21010 * time.Millisecond, Kind: RingRemove, Director: 1, Peer: 0},
		},
	}
	w := newWorld(s, nil)
	w.until(s.End)
	for _, b := range w.result().Breaches {
		t.Error(b)
	}
	if w.directors[0].removed {
		t.Error("d1 was removed by a director that was not synced")
	}
}

// TestRefusedReturn has a director that is not synced yet let in another one that was removed.
func TestRefusedReturn(t *testing.T) {
	s := Schedule{
		Seed: 1, Directors: 3, Expire: time.Minute, KickDelay: time.Second, Parallel: 5,
		ChunkRows: 25, End: 60 * time.Second,
		Network:  Network{Delay: time.Millisecond, PushPull: 3 * time.Second},
		Backends: []ring.Backend{{Addr: backend(0), VHosts: 100}},
		Actions: []Action{
			{At: 10 * time.Second, Kind: RingRemove, Director: 0, Peer: 2},
			{At: 20 * time.Second, Kind: Crash, Director: 1, For: time.Second},
			{At: 21010 * time.Millisecond, Kind: RingAdd, Director: 1, Peer: 2},
		},
	}
	w := newWorld(s, nil)
	w.until(s.End)
	for _, b := range w.result().Breaches {
		t.Error(b)
	}
	if d3 := w.directors[2]; d3.letIn || !d3.removed {
		t.Error("d3 was let in by a director that was not synced")
	}
}
