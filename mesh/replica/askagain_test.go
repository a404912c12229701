package replica

import (
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/admission"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// sent returns the messages of a kind that a director has for another and that it has not sent yet.
func sent[M wire.Message](from, to *director) (all []M) {
	for _, e := range from.core.Take() {
		if s, ok := e.(Send); ok {
			for _, name := range s.To {
				if m, ok := s.Message.(M); ok && name == to.name {
					all = append(all, m)
				}
			}
		}
	}
	return all
}

// A gap that was repaired by rows alone may have swallowed a confirmation: the peer is asked for
// its table if one is missing.
func TestMissingConfirmationIsAskedForAnew(t *testing.T) {
	for missing, want := range map[bool]int{false: 0, true: 1} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		w.lose = losing[wire.Message](d2, d1)
		if missing {
			d1.begin(UpdateBackend{Addr: testBackend(1), VHosts: 5})
			w.deliver()
			if d1.core.barrier.Len() == 0 {
				t.Fatal("no confirmation is missing")
			}
		}
		d1.core.Take()
		d1.core.confirmAnew(w.now, d1.core.peers.get("d2"))
		if got := len(sent[*wire.AdmitRequest](d1, d2)); got != want {
			t.Errorf("missing %v: asked %d times, want %d", missing, got, want)
		}
	}
}

// A peer that does not answer whether it counts us is asked again after a while, not before.
func TestPeerIsAskedAgainAfterAWhile(t *testing.T) {
	for _, test := range []struct {
		name  string
		nonce uint64
		ago   time.Duration
		want  int
	}{
		{"never asked", 0, 0, 1},
		{"asked just now", 7, admission.AskAgain - 1, 0},
		{"asked a while ago", 7, admission.AskAgain, 1},
	} {
		w := started(t, 2)
		d1, d2 := w.directors[0], w.directors[1]
		p := d1.core.peers.get("d2")
		if p.CountsUs = false; test.nonce != 0 {
			at := w.now.Add(-test.ago)
			p.Begin(at, test.nonce)
			p.Next(at, nil, false, nil)
		}
		d1.core.Take()
		d1.core.ask(w.now, p)
		got := sent[*wire.AdmitRequest](d1, d2)
		if len(got) != test.want {
			t.Errorf("%s: asked %d times, want %d", test.name, len(got), test.want)
		} else if test.nonce != 0 && len(got) > 0 && got[0].Nonce != test.nonce {
			t.Errorf("%s: asked with nonce %d, want %d", test.name, got[0].Nonce, test.nonce)
		}
	}
}

// A delta of a director that is not known waits until a peer says that it counts that director.
func TestEarlyDeltaIsAppliedOnceItsOriginIsCounted(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	stranger := wire.Life{Name: "d9", Boot: 99}
	change := directory.Change{Mesh: d1.core.table.Mesh(), Backends: []directory.BackendRow{{
		Addr: testBackend(1),
		VHosts: directory.Register[int]{
			Value: 33, Stamp: d1.core.hlc.Next(d1.core.clock.At(w.now)), Origin: "d9",
		},
	}}}
	d1.core.Gossip(w.now, &wire.Delta{Origin: "d9", Boot: 99, N: 1, Change: change})
	vhosts := func() int { row, _ := d1.core.table.Row(testBackend(1)); return row.VHosts.Value }
	if vhosts() == 33 {
		t.Fatal("applied before anybody counts its origin")
	}
	d1.hears(d2, &wire.Counting{Counts: []wire.Life{stranger}})
	if vhosts() != 33 || d1.core.early.Len() != 0 {
		t.Errorf("%d vhosts once it is counted, want 33; %d deltas wait",
			vhosts(), d1.core.early.Len())
	}
}

// A peer that says to have less of a dead director's rows than we have is told so, once.
func TestPeerThatLacksRowsOfTheDeadIsTold(t *testing.T) {
	w := started(t, 3)
	d1, d2, d3 := w.directors[0], w.directors[1], w.directors[2]
	d3.must(7)
	w.run(time.Second)
	d3.crash()
	w.run(time.Second)
	id := logs.ID{Name: "d3", Boot: d3.core.boot}
	log, p := d1.core.logs.Get(id), d1.core.peers.get("d2")
	if log == nil || len(log.Have()) == 0 {
		t.Fatal("d1 has nothing of what d3 wrote")
	}
	delete(p.claims, id)
	lacks := &wire.GonePositions{Logs: []wire.Position{{Name: id.Name, Boot: id.Boot}}}
	for i, want := range []int{1, 0} {
		d1.core.Take()
		d1.hears(d2, lacks)
		got := sent[*wire.GonePositions](d1, d2)
		if len(got) != want || want == 1 && (len(got[0].Logs) != 1 || got[0].Logs[0].Name != "d3") {
			t.Errorf("time %d: told %+v, want %d messages", i+1, got, want)
		}
	}
}

// A life that ends leaves nothing of its streams.
func TestEndOfLifeForgetsStreams(t *testing.T) {
	w := started(t, 2)
	c := w.directors[0].core
	boot := c.boot
	c.endLife(w.now, ErrTryAgain, "a test")
	p := c.peers.get("d2")
	if p.out || p.in != 0 || p.sentAt != 0 || p.live || p.Counted || p.Asking() ||
		len(c.sessions) != 0 {
		t.Errorf("left: %+v, %d sessions", *p, len(c.sessions))
	}
	if c.boot == boot || !c.isOurs(logs.ID{Name: "d1", Boot: boot}) {
		t.Errorf("boot id %x after %x, which is forgotten", c.boot, boot)
	}
	if _, ok := c.admission.named[wire.Life{Name: "d2", Boot: p.boot}]; !ok {
		t.Error("it does not wait for the peer that lives on")
	}
}

// A user whose session is on a backend that is not in the table under its tag is not moved there.
func TestAdoptNeedsTheBackend(t *testing.T) {
	for _, test := range []struct {
		name string
		op   Operation // nil: none
		want int
	}{
		{"there", nil, 1},
		{"removed", RemoveBackend{Addr: testBackend(1)}, 0},
	} {
		w := started(t, 2)
		d1 := w.directors[0]
		if test.op != nil {
			if _, err := d1.do(test.op); err != nil {
				t.Fatal(err)
			}
		}
		d1.core.adoptions.Add(ring.User{Hash: 7}, testBackend(1))
		d1.core.adopt(w.now)
		if got := d1.core.moves.Len(); got != test.want {
			t.Errorf("%s: %d moves, want %d", test.name, got, test.want)
		}
	}
	w := started(t, 1)
	d1 := w.directors[0]
	d1.must(7)
	if _, err := d1.do(Forget{}); err != nil {
		t.Fatal(err)
	}
	d1.core.adoptions.Add(ring.User{Hash: 7}, testBackend(1))
	if d1.core.adopt(w.now); d1.core.moves.Len() != 1 {
		t.Error("a user whose mapping was forgotten is not moved")
	}
	w = started(t, 1)
	d1 = w.directors[0]
	d1.core.adoptions.Add(ring.User{Tag: "other", Hash: 7}, testBackend(1))
	if d1.core.adopt(w.now); d1.core.moves.Len() != 0 {
		t.Error("a user is moved to a backend of another tag")
	}
}

// A peer that is asked whether it answers may have to take rows of ours first. It says so without
// its table: that does not make it a director of another mesh, which would not be waited for.
func TestAnswerToAProbeThatIsPending(t *testing.T) {
	w := started(t, 2)
	d1, d2 := w.directors[0], w.directors[1]
	p := d1.core.peers.get("d2")
	d1.core.Take()
	d1.core.question(w.now, p)
	asked := sent[*wire.AdmitRequest](d1, d2)
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	d1.hears(d2, &wire.Admitted{Nonce: asked[0].Nonce, Pending: true})
	if !d1.core.concerns(w.now, p) || p.Probing() {
		t.Errorf("d2 is of mesh %v, d1 of %v; asked still: %v",
			p.mesh.ID, d1.core.table.Mesh(), p.Probing())
	}
}
