package replica

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/replica/internal/logs"
	"directormesh/mesh/replica/internal/lookups"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/replica/internal/moves"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// apart is an output for a part that is tested without a core; the peers have streams.
func apart(names ...string) *output {
	o := &output{peers: &peers{}}
	for i, name := range names {
		boot := uint64(i + 2)
		o.peers.add(&peer{
			name: name, boot: boot, live: true, out: true, to: []string{name},
			log: logs.NewSet().Open(logs.ID{Name: name, Boot: boot}),
		})
	}
	return o
}

// messagesOf takes the effects, and returns the messages of one kind among them.
func messagesOf[M wire.Message](o *output) (all []M) {
	for _, e := range o.Take() {
		if s, ok := e.(Send); ok {
			if m, ok := s.Message.(M); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

// flushPort has users belong to one backend, and notes their moves.
type flushPort struct {
	belongs netip.Addr
	moved   []*moves.Move
}

func (p *flushPort) startMove(_ mono.Time, m *moves.Move, _ netip.Addr) {
	p.moved = append(p.moved, m)
}
func (p *flushPort) actsForAll() bool            { return true }
func (p *flushPort) outnumbered() bool           { return false }
func (p *flushPort) peersCountMore() bool        { return false }
func (p *flushPort) standsBack(*peer) bool       { return false }
func (p *flushPort) synced() bool                { return true }
func (p *flushPort) target(ring.User) netip.Addr { return p.belongs }

// A flush alone: it moves the users who belong elsewhere, as many at a time as it may, and reports
// how it goes.
func TestFlushRunnerAlone(t *testing.T) {
	const now, users = mono.Time(time.Hour), 10
	dir := directory.New(testExpire)
	backends := testBackends(2)
	table := directory.NewTable(7, "d1", backends)
	dir.SetBackends(table.Snapshot().Backends)
	clock := &meshtime.Clock{}
	clock.Init(0, now)
	for h := range ring.UserHash(users) {
		backend := backends[h%2].Addr
		dir.Assign("", h*400_000_007, backend, clock.At(now))
	}
	port := &flushPort{belongs: backends[0].Addr}
	out := apart("d2")
	r := flushRunner{
		output: out, flushRunnerPort: port, admission: &ownAdmission{}, cfg: &Config{Name: "d1"},
		clock: clock, counters: &Counters{}, dir: dir, flushes: flushes.NewSet(0),
		peers: out.peers, table: table,
	}
	id := r.startFlush(now, backends[1].Addr, 2)
	for !r.flushes.Get(id.ID).Progress().Done {
		r.checkFlushes(now)
		r.pumpFlushes(now)
		if n := len(port.moved); n == 0 || n > 2 {
			t.Fatalf("%d users are being moved, want 1 or 2", n)
		}
		f := r.flushes.Get(id.ID)
		for _, m := range port.moved {
			dir.Supersede("", m.User.Hash, backends[0].Addr, false, clock.At(now), 0)
			f.Ended(flushes.Outcome{})
		}
		port.moved = nil
		if r.pumpFlushes(now); r.flushes.Get(id.ID) == nil {
			break
		}
	}
	if got := dir.Users(backends[1].Addr); got != 0 {
		t.Errorf("%d users stayed", got)
	}
	reports := messagesOf[*wire.FlushProgress](out)
	if last := reports[len(reports)-1]; !last.Done || last.Moved != users/2 {
		t.Errorf("the last report is %+v", last)
	}
	out.Take()
	r.admission.leaving = true
	r.startFlush(now, backends[0].Addr, 2)
	if r.pumpFlushes(now); len(port.moved) > 0 {
		t.Error("a director that leaves begins moves")
	}
}

// kickPort has peers of one life each, and notes which operations ended.
type kickPort struct {
	peers *peers
	ended map[uint64]error
}

func (p *kickPort) endOperation(id uint64, err error) { p.ended[id] = err }
func (p *kickPort) inLife(l logs.ID) *peer            { return p.peers.get(l.Name) }

// A kick by name alone: all counted peers are asked once, and it ends with the last report.
func TestKickingAlone(t *testing.T) {
	const now = mono.Time(time.Hour)
	out := apart("d2", "d3")
	out.peers.get("d2").Counted = true
	port := &kickPort{peers: out.peers, ended: make(map[uint64]error)}
	clock := &meshtime.Clock{}
	k := kicking{
		output: out, kickingPort: port, cfg: &Config{Name: "d1"}, counters: &Counters{},
		kicks: kicks.NewLocal(), ops: map[uint64]*operationState{5: {}}, peers: out.peers,
		lookups: lookups.NewAnswers(now, nil, clock, nil, nil, lookups.Guards{}),
	}
	k.doKickUser(now, k.ops[5], KickUser{Value: "alice"})
	var own Kick
	asked := 0
	for _, e := range out.Take() {
		switch e := e.(type) {
		case Kick:
			own = e
		case Send:
			asked += len(e.To)
		}
	}
	if own.Target.Value != "alice" || asked != 1 {
		t.Fatalf("our kicker got %+v, %d peers were asked, want one", own, asked)
	}
	k.kicks.Finish(own.ID, KickResult{Count: 1, Known: true}, nil)
	if k.settleKickUsers(now); len(port.ended) > 0 {
		t.Error("it ended before d2 reported")
	}
	k.gotKickUserDone(now, out.peers.get("d2"), &wire.KickUserDone{
		ID: k.ops[5].kick.Message.ID, Count: 2, Known: true, Error: "no socket",
	})
	k.settleKickUsers(now)
	if err, ended := port.ended[5]; !ended || err == nil ||
		err.Error() != "director d2 could not kick: no socket" {
		t.Errorf("ended: %v, with %v", ended, err)
	}
	if o := k.ops[5].outcome; o.Count != 3 || !o.Known {
		t.Errorf("outcome %+v", o)
	}
	k.startKick("", KickTarget{}, func(_ KickResult, failed error) {
		if !errors.Is(failed, errKickerLate) {
			t.Errorf("a kicker that says nothing: %v", failed)
		}
	})
	if k.checkKicks(now.Add(time.Minute)); k.kicks.Len() != 0 {
		t.Error("a kick without an end is still under way")
	}
}

// Gaps alone: what jumps in a peer's log opens one, what others supply closes it.
func TestGapsAlone(t *testing.T) {
	const now = mono.Time(time.Hour)
	out := apart("d2")
	p := out.peers.get("d2")
	g := gaps{output: out, counters: &Counters{}, logs: logs.NewSet(), peers: out.peers}
	take := func(seq uint64) {
		g.takeSeq(now, p, seq, &wire.Rows{Seq: seq, Stamp: directory.Stamp(seq)})
	}
	if take(1); p.gap {
		t.Error("a gap before the first message")
	}
	if take(4); !p.gap || g.counters.Gaps != 1 {
		t.Errorf("gap: %v, %d counted; want one", p.gap, g.counters.Gaps)
	}
	if g.gained(p.log, logs.Spans{}.Add(2, 2)); !p.gap {
		t.Error("the gap is closed, and 3 is missing")
	}
	if g.gained(p.log, logs.Spans{}.Add(3, 3)); p.gap || g.counters.GapsRepaired != 1 {
		t.Errorf("gap: %v, %d repaired; want none, and one", p.gap, g.counters.GapsRepaired)
	}
	if g.numbersSeen(p, 6); !p.gap {
		t.Error("a beat spoke of messages that have not come, and there is no gap")
	}
	if !g.writes(p.log) || g.writes(logs.NewSet().Open(logs.ID{Name: "d2", Boot: 9})) {
		t.Error("the log of another life is taken for the one that the peer writes")
	}
}

// maxPort bounds what a part may need of others: one that needs more is not a part.
const maxPort = 10

// TestPartsAreNarrow demands that each part of a core has a small port, knows no Core, and that
// nothing is built into the Core but parts.
func TestPartsAreNarrow(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	types := make(map[string]ast.Expr)
	var parts, described []string
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil,
			parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				types[spec.Name.Name] = spec.Type
			}
			return true
		})
		if name != "parts.go" {
			continue
		}
		for _, group := range file.Comments {
			for line := range strings.Lines(group.Text()) {
				if part, ok := strings.CutPrefix(line, "\t"); ok {
					described = append(described, strings.Fields(part)[0])
				}
			}
		}
	}
	for _, f := range types["Core"].(*ast.StructType).Fields.List {
		if len(f.Names) == 0 {
			parts = append(parts, f.Type.(*ast.Ident).Name)
		}
	}
	for _, part := range parts {
		if port, ok := types[part+"Port"].(*ast.InterfaceType); ok {
			if n := len(port.Methods.List); n > maxPort {
				t.Errorf("%s needs %d methods of others, at most %d", part, n, maxPort)
			}
		}
		for _, f := range types[part].(*ast.StructType).Fields.List {
			if star, ok := f.Type.(*ast.StarExpr); ok {
				if name, ok := star.X.(*ast.Ident); ok && name.Name == "Core" {
					t.Errorf("%s has a whole Core", part)
				}
			}
		}
	}
	slices.Sort(parts)
	slices.Sort(described)
	if diff := cmp.Diff(parts, described); diff != "" {
		t.Errorf("parts (-of the Core +described in parts.go):\n%s", diff)
	}
}
