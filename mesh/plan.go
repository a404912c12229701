package mesh

import (
	"cmp"
	"context"
	"math"
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/ring"
)

// A plan looks through all mappings as a flush does, and not faster: it takes the locks that
// lookups take.
const (
	planWork     = 16_000 // mappings in one go, a leaf counting for a few; well below a millisecond
	planLeafWork = 4
	planPause    = 10 * time.Millisecond
	leaves       = 1 << 16 // of each tag
)

// Plan is what an operation would do.
type Plan struct {
	Table string // digest of the table that it goes by
	// Users is how many users would be moved, by the operation itself or by a flush that follows
	// it; of these, Due would be moved by a flush without the operation too.
	Users, Due int
	// Forgotten is how many of the users are not moved, but get another backend at their next
	// login: those of a backend that is removed, or for whom no backend is left.
	Forgotten int
	Moves     []PlannedMoves // by tag, from and to
	Backends  []PlannedBackend
	// Least is how long the moves take at least: users who were seen lately are held for the kick
	// delay, so many at a time.
	Least time.Duration
	// SlowStart is over how long a backend gets its whole share, which the plan gives it at once;
	// 0: at once.
	SlowStart time.Duration
}

// PlannedMoves are the users of one backend who would get the same other one.
type PlannedMoves struct {
	Tag      ring.Tag
	From, To netip.Addr // To is not valid if no backend is left
	Users    int
}

// PlannedBackend is a backend of a tag that is concerned, as it would be afterwards.
type PlannedBackend struct {
	Backend    ring.Backend
	Users      int     // now
	UsersAfter int     // when all are moved
	Share      float64 // of new users of the tag, now
	ShareAfter float64
}

// Plan says what an operation would do by the table and the mappings of this director, and changes
// nothing. It takes as long as a flush needs to find its users. Plans are made one at a time.
func (n *Node) Plan(ctx context.Context, op replica.Operation) (Plan, error) {
	if err := checkOperation(op); err != nil {
		return Plan{}, err
	}
	select {
	case n.planning <- struct{}{}:
		defer func() { <-n.planning }()
	case <-ctx.Done():
		return Plan{}, context.Cause(ctx)
	case <-n.ctx.Done():
		return Plan{}, ErrClosed
	}
	var prospect *replica.Prospect
	var err error
	n.input(func(c *replica.Core, now mono.Time) { prospect, err = c.Prospect(now, op) })
	if err != nil {
		return Plan{}, err
	}
	p := newPlanner(prospect)
	for _, tag := range prospect.Tags {
		if err := n.planTag(ctx, p, tag); err != nil {
			return Plan{}, err
		}
	}
	return p.plan(), nil
}

// planTag looks through the mappings of a tag, with pauses.
func (n *Node) planTag(ctx context.Context, p *planner, tag ring.Tag) error {
	var rows []directory.Mapping
	work := 0
	for leaf := range leaves {
		rows = n.dir.Leaf(tag, uint16(leaf), p.At, rows[:0])
		for _, m := range rows {
			p.see(tag, m)
		}
		if work += planLeafWork + len(rows); work < planWork {
			continue
		}
		work = 0
		pause := time.NewTimer(planPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		case <-n.ctx.Done():
			pause.Stop()
			return ErrClosed
		}
	}
	return nil
}

// planner counts users.
type planner struct {
	*replica.Prospect
	before, after *ring.Rings
	drained       map[netip.Addr]bool // in the table afterwards
	users         map[netip.Addr]int
	moves         map[PlannedMoves]int // with Users 0
	due           int
	recent        int // of those that move
}

func newPlanner(p *replica.Prospect) *planner {
	before := p.Before.Places(nil)
	after := p.After.Places(before)
	drained := make(map[netip.Addr]bool)
	for _, b := range p.After.Backends() {
		drained[b.Addr] = b.Drained
	}
	return &planner{
		Prospect: p, before: before, after: after, drained: drained,
		users: make(map[netip.Addr]int), moves: make(map[PlannedMoves]int),
	}
}

// see takes one mapping. One that is being moved is nobody's to move.
func (p *planner) see(tag ring.Tag, m directory.Mapping) {
	if !m.Backend.IsValid() {
		return
	}
	p.users[m.Backend]++
	if p.Only != nil && *p.Only != (ring.User{Tag: tag, Hash: m.Hash}) {
		return
	}
	if m.Moving || p.From.IsValid() && m.Backend != p.From ||
		p.SparesDrained && p.drained[m.Backend] {
		return
	}
	if now, _ := p.before.Lookup(tag, m.Hash); now != m.Backend {
		p.due++
	}
	to, _ := p.after.Lookup(tag, m.Hash)
	if to == m.Backend || !to.IsValid() && p.Waits {
		return
	}
	p.moves[PlannedMoves{Tag: tag, From: m.Backend, To: to}]++
	if p.At.Sub(m.Activity.Time()) <= p.Recent {
		p.recent++
	}
}

func (p *planner) plan() Plan {
	plan := Plan{Table: p.Digest, Due: p.due, SlowStart: p.SlowStart}
	change := make(map[netip.Addr]int)
	for moves, users := range p.moves {
		moves.Users = users
		plan.Moves = append(plan.Moves, moves)
		plan.Users += users
		if p.Forgets || !moves.To.IsValid() {
			plan.Forgotten += users
		}
		change[moves.From] -= users
		change[moves.To] += users
	}
	slices.SortFunc(plan.Moves, func(a, b PlannedMoves) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), ring.CompareAddr(a.From, b.From),
			a.To.Compare(b.To))
	})
	before, after := p.Before.Backends(), p.After.Backends()
	exists := func(list []ring.Backend, addr netip.Addr) bool {
		return slices.ContainsFunc(list, func(b ring.Backend) bool { return b.Addr == addr })
	}
	all := slices.Clone(after)
	for _, b := range before {
		if !exists(after, b.Addr) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b ring.Backend) int { return ring.CompareAddr(a.Addr, b.Addr) })
	for _, b := range all {
		if !slices.Contains(p.Tags, b.Tag) {
			continue
		}
		plan.Backends = append(plan.Backends, PlannedBackend{
			Backend: b, Users: p.users[b.Addr], UsersAfter: p.users[b.Addr] + change[b.Addr],
			Share: share(before, b), ShareAfter: share(after, b),
		})
	}
	if !p.Forgets && plan.Users > 0 {
		turns := math.Ceil(float64(p.recent) / float64(p.Parallel))
		plan.Least = time.Duration(turns * float64(p.Delay))
		if p.By > p.At {
			plan.Least = max(plan.Least, p.By.Sub(p.At))
		}
	}
	return plan
}

// share is the part of the new users of its tag that a backend gets.
func share(list []ring.Backend, of ring.Backend) float64 {
	total, own := 0, 0
	for _, b := range list {
		if b.Tag != of.Tag || !b.Usable() {
			continue
		}
		total += b.Weight()
		if b.Addr == of.Addr {
			own = b.Weight()
		}
	}
	if total == 0 {
		return 0
	}
	return float64(own) / float64(total)
}
