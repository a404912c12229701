package store_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"directormesh/directory"
	"directormesh/mesh/meshtest/disk"
	"directormesh/mesh/store"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

var (
	ours    = store.Identity{Mesh: "blue", Director: "d1"}
	backend = netip.MustParseAddr("192.0.2.1")
)

// rows is a message with one row for each number.
func rows(from, to uint64) *wire.Rows {
	var all []directory.Mapping
	for n := from; n <= to; n++ {
		all = append(all, directory.Mapping{
			Hash: ring.UserHash(n), Backend: backend, Activity: 1000, Stamp: 1000, Generation: 1,
		})
	}
	return &wire.Rows{Blocks: []wire.Block{wire.Pack("", all)}}
}

// holder is a director as a store sees it: it holds the rows 1 to have.
type holder struct {
	store *store.Store

	mu   sync.Mutex
	have uint64
}

// source gives what is held in several messages.
func (h *holder) source() iter.Seq[wire.Message] {
	h.mu.Lock()
	have := h.have
	h.mu.Unlock()
	return func(yield func(wire.Message) bool) {
		for n := uint64(1); n <= have; n += 3 {
			if !yield(rows(n, min(n+2, have))) {
				return
			}
		}
	}
}

// hold takes in the next row.
func (h *holder) hold() {
	h.mu.Lock()
	h.have++
	n := h.have
	h.mu.Unlock()
	h.store.Put(n, rows(n, n))
}

func (h *holder) mark() {
	h.store.Put(h.have, &wire.Mark{MeshTime: directory.Micros(h.have), Whole: 1})
}

// rowsIn returns which rows a directory holds: 1 to n, and none else.
func rowsIn(found *store.Contents) (n uint64, err error) {
	seen := make(map[uint64]bool)
	_, err = found.Each(func(k wire.Kind) bool { return k == wire.KindRows },
		func(m wire.Message) {
			for _, b := range m.(*wire.Rows).Blocks {
				for row := range b.All() {
					seen[uint64(row.Hash)] = true
				}
			}
		})
	if err != nil {
		return 0, err
	}
	for seen[n+1] {
		n++
	}
	if uint64(len(seen)) != n {
		return n, fmt.Errorf("%d rows, of which 1 to %d have no hole", len(seen), n)
	}
	return n, nil
}

var errPower = errors.New("the power is off")

// life is what becomes of a director, and of its disk.
type life struct {
	off    int // the power goes off at this operation
	oneIn  int // operations fails; 0: none
	steps  int
	killed bool // only the process ends, not the machine
}

var lives = rapid.Custom(func(t *rapid.T) life {
	return life{
		off:    rapid.IntRange(1, 80).Draw(t, "the power goes off at operation"),
		oneIn:  rapid.SampledFrom([]int{0, 0, 8, 3}).Draw(t, "one operation fails in"),
		steps:  rapid.IntRange(0, 60).Draw(t, "steps"),
		killed: rapid.Bool().Draw(t, "only the process is killed"),
	}
})

// What was reported as kept is there after a crash at any moment, and what is there is always a
// prefix of what was put, over several lives of a director, on a disk that fails now and then.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		plan := rapid.SliceOfN(lives, 1, 4).Draw(rt, "lives")
		var err error
		synctest.Test(t, func(*testing.T) { err = crash(seed, plan) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// crash is several lives of a director, each with a crash at its end.
func crash(seed uint64, plan []life) error {
	random := rand.New(rand.NewPCG(seed, 1))
	d, kept := disk.New(), uint64(0)
	for i, l := range append(plan, life{off: 1}) {
		d.Before = faulty(random.Uint64(), l)
		s, found, err := store.Open(store.Config{
			FS: d, Identity: ours, SnapshotBytes: int64(random.IntN(2000)),
			QueueBytes: 400 + random.IntN(4000),
		})
		if err != nil {
			return err
		}
		if len(found.Damaged) > 0 {
			return fmt.Errorf("life %d: damage %v", i, found.Damaged)
		}
		n, err := rowsIn(found)
		if err != nil || n < kept {
			return fmt.Errorf("life %d: found rows 1 to %d, %v; 1 to %d were kept", i, n, err, kept)
		}
		h := &holder{store: s, have: n}
		s.Start(h.source, func(store.Status) {})
		for range l.steps {
			switch random.IntN(6) {
			case 0, 1:
				h.mark()
			case 2:
				synctest.Wait()
			default:
				h.hold()
			}
		}
		_ = s.Close()
		kept = max(kept, s.Status().Kept)
		if l.killed {
			d = d.Kill()
		} else {
			d = d.Crash(random)
		}
	}
	return nil
}

// faulty makes operations fail: one in so many, and all from one on.
func faulty(seed uint64, l life) func(op int, what, name string) error {
	random := rand.New(rand.NewPCG(seed, 2))
	return func(op int, what, _ string) error {
		switch {
		case op >= l.off:
			return errPower
		case l.oneIn == 0 || random.IntN(l.oneIn) > 0:
			return nil
		case what == "write":
			return disk.Part(random.IntN(40))
		}
		return errors.New("input/output error")
	}
}
