package check

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// register names one of the values that the mesh keeps of a backend.
type register int

const (
	regPresent register = iota
	regVHosts
	regDown
	regDrained
	regStandby
	registers // how many there are
)

func (r register) String() string {
	return [registers]string{"presence", "vhost count", "down", "drained", "standby"}[r]
}

// write is one operation's value for one register. Booleans are 0 and 1.
type write struct {
	op     *operation // nil: the configuration
	value  int
	unsure bool // the operation may have found the register not in need of a write
	odd    bool // the configuration of the directors that did not found the mesh
}

// backend is what is known of one backend: every value that its registers were ever given.
type backend struct {
	table  *table
	addr   netip.Addr
	tag    string
	writes [registers][]write

	rebalanced bool // somebody ordered it; it ends by itself

	outs   []outSpan // when it was out at some director, in order
	judged bool      // some director showed a verdict that it has failed

	balanced bool // some director wrote a factor
	factors  factors
	started  bool    // some director wrote a slow start, or may have by a command
	starts   factors // how much of its weight it had anywhere
}

// table models the replicated table from outside: the values that a register may have, given what
// was ordered and acknowledged.
type table struct {
	backends []*backend
	pins     map[User]*pin // of those who were ever pinned
	pinnedTo []netip.Addr  // see pinValue
	places   places
	odd      bool // the configuration of others than the founder may hold
}

func newTable(configured []Backend, odd [][]Backend) *table {
	t := &table{places: make(places), pins: make(map[User]*pin)}
	t.configure(configured, false)
	for _, o := range odd {
		t.configure(o, true)
	}
	for _, o := range append(slices.Clone(odd), configured) {
		for _, b := range t.backends {
			if !slices.ContainsFunc(o, func(x Backend) bool { return x.Addr == b.addr }) {
				b.writes[regPresent] = append(b.writes[regPresent], write{odd: true})
			}
		}
	}
	return t
}

func (t *table) configure(backends []Backend, odd bool) {
	for _, b := range backends {
		x := t.backend(b.Addr)
		x.tag, x.rebalanced = b.Tag, x.rebalanced || b.Rebalanced
		x.started = x.started || b.Start != 0
		for r, value := range [registers]int{
			1, b.VHosts, one(b.Down), one(b.Drained), one(b.Standby),
		} {
			x.writes[r] = append(x.writes[r], write{value: value, odd: odd})
		}
	}
}

func (t *table) find(addr netip.Addr) *backend {
	for _, b := range t.backends {
		if b.addr == addr {
			return b
		}
	}
	return nil
}

func (t *table) backend(addr netip.Addr) *backend {
	b := t.find(addr)
	if b == nil {
		b = &backend{addr: addr, table: t}
		t.backends = append(t.backends, b)
		slices.SortFunc(t.backends, func(a, b *backend) int { return a.addr.Compare(b.addr) })
	}
	return b
}

// order notes what an operation that begins now may write.
func (t *table) order(now time.Duration, o *operation) {
	add := func(b *backend, r register, value int, unsure bool) {
		b.writes[r] = append(b.writes[r], write{op: o, value: value, unsure: unsure})
	}
	switch o.op.Kind {
	case OpAdd, OpUpdate, OpUp, OpUndrain: // it may come into use by that, and start slowly
		t.backend(o.op.Backend).started = true
	}
	switch o.op.Kind {
	case OpAdd:
		b := t.backend(o.op.Backend)
		was := b.possible(regPresent, now, now, everyone)
		// one mesh does not hear of removals in another
		fresh := !slices.Contains(was, 1) && !o.stranger
		known := len(was) == 1 && was[0] == 1
		if len(b.writes[regPresent]) == 0 {
			b.tag = o.op.Tag
		}
		add(b, regPresent, 1, false)
		switch {
		case o.op.VHosts >= 0:
			add(b, regVHosts, o.op.VHosts, false)
		case !known || o.stranger: // what is configured in one mesh does not go along into another
			add(b, regVHosts, 100, !fresh)
		}
		if !known {
			add(b, regDown, 0, !fresh)
			add(b, regDrained, 0, !fresh)
		}
		switch {
		case o.op.Standby:
			add(b, regStandby, 1, false)
		case !known:
			add(b, regStandby, 0, !fresh)
		}
	case OpUpdate:
		add(t.backend(o.op.Backend), regVHosts, o.op.VHosts, false)
	case OpRemove:
		add(t.backend(o.op.Backend), regPresent, 0, false)
	case OpDown, OpUp:
		down := 0
		if o.op.Kind == OpDown {
			down = 1
		}
		add(t.backend(o.op.Backend), regDown, down, false)
	case OpDrain, OpUndrain:
		drained := 0
		if o.op.Kind == OpDrain {
			drained = 1
		}
		add(t.backend(o.op.Backend), regDrained, drained, false)
	case OpRebalance:
		for _, b := range t.backends {
			b.rebalanced = true
		}
	case OpPin:
		t.orderPin(o, o.op.User, o.op.Backend)
	case OpUnpin:
		t.orderPin(o, o.op.User, netip.Addr{})
	case OpForget, OpMove, OpFlush, OpCancel, OpKick, OpImport, OpReset: // no register is modelled
	default:
		panic(fmt.Sprintf("check: operation kind %d has no rule for what it writes", o.op.Kind))
	}
}

// withdraw takes back what an operation might have written: it failed before it changed anything.
func (t *table) withdraw(o *operation) {
	for _, b := range t.backends {
		for r := range b.writes {
			b.writes[r] = slices.DeleteFunc(b.writes[r], func(w write) bool { return w.op == o })
		}
	}
	for _, p := range t.pins {
		p.writes = slices.DeleteFunc(p.writes, func(w write) bool { return w.op == o })
	}
}

// begun is when a write got its stamp; the configuration lies before everything.
func (w write) begun() time.Duration {
	if w.op == nil {
		return never
	}
	return w.op.at
}

// over is the time from which on a newer write has a later stamp for sure: it was made where this
// one was known, or late enough.
func (w write) over() time.Duration {
	switch {
	case w.op == nil:
		return never
	case w.op.stranger:
		return forever
	case w.op.done && len(w.op.failed) == 0:
		return min(w.op.doneAt, w.op.at+w.op.unseen)
	}
	return w.op.at + w.op.unseen
}

// known is when all in a scope had the write.
func (w write) known(who scope) time.Duration {
	if w.op == nil {
		return never
	}
	return who(w.op)
}

const (
	// forever is later than any time of a run, also when a limit is added.
	forever = time.Duration(1 << 62)
	// unseenMargin is how much later an operation must begin to be newer for sure than one that its
	// director had not heard of: more than directors' clocks differ. See drifted.
	unseenMargin = 3 * time.Second
)

// possible is every value that a register may have had at some director of a scope at some time
// from since to until.
func (b *backend) possible(r register, since, until time.Duration, who scope) []int {
	writes := b.writes[r]
	values := b.table.possibleOf(writes, since, until, who)
	configured := func(w write) bool { return w.op == nil && !w.odd }
	known := func(w write) bool { return w.known(who) <= since }
	if r == regPresent && !slices.Contains(values, 0) &&
		!slices.ContainsFunc(writes, configured) && !slices.ContainsFunc(writes, known) {
		values = append(values, 0) // it was not there at first
	}
	return values
}

// possibleOf is possible for the writes of any register, without what it was before all of them.
func (t *table) possibleOf(writes []write, since, until time.Duration, who scope) (values []int) {
	for i, w := range writes {
		if w.begun() > until || w.odd && !t.odd {
			continue
		}
		overwritten := slices.ContainsFunc(writes[i+1:], func(x write) bool {
			return x.op != nil && !x.unsure && !x.op.stranger && x.op.err == "" &&
				x.begun() >= w.over() && x.known(who) <= since
		})
		if !overwritten && !slices.Contains(values, w.value) {
			values = append(values, w.value)
		}
	}
	return values
}

// maxCombinations is how many tables are tried; beyond that any place counts as possible.
const maxCombinations = 64

// placesOf is every backend that a user may have hashed to at some director of a scope from since
// to until; the zero address stands for no usable backend. Any says that there are too many
// possibilities to tell.
func (t *table) placesOf(
	u User, since, until time.Duration, who scope,
) (found []netip.Addr, any bool) {
	found, hashed := t.placesByPin(u, since, until, who)
	if !hashed {
		return found, false
	}
	combinations := [][]usable{nil}
	for _, b := range t.backends {
		if b.tag != u.Tag {
			continue
		}
		counts := b.pointCounts(since, until, who)
		var next [][]usable
		for _, n := range counts {
			for _, c := range combinations {
				c = slices.Clip(c)
				if n == 0 {
					next = append(next, c)
					continue
				}
				for _, standby := range b.possible(regStandby, since, until, who) {
					next = append(next, append(c, usable{b.addr, n, standby == 1}))
				}
			}
		}
		if len(next) > maxCombinations {
			return nil, true
		}
		combinations = next
	}
	for _, c := range combinations {
		if addr := t.places.of(inUse(c), u.Hash); !slices.Contains(found, addr) {
			found = append(found, addr)
		}
	}
	return found, false
}

// inUse leaves standbys out where others are.
func inUse(all []usable) []usable {
	others := slices.DeleteFunc(slices.Clone(all), func(b usable) bool { return b.standby })
	if len(others) > 0 {
		return others
	}
	return all
}

// pointCounts is how many points on the ring a backend may have had.
func (b *backend) pointCounts(since, until time.Duration, who scope) []int {
	var counts []int
	add := func(n int) {
		if !slices.Contains(counts, n) {
			counts = append(counts, n)
		}
	}
	present := b.possible(regPresent, since, until, who)
	down := b.possible(regDown, since, until, who)
	drained := b.possible(regDrained, since, until, who)
	if slices.Contains(present, 0) || slices.Contains(down, 1) || slices.Contains(drained, 1) ||
		b.mayBeOut(since, until) {
		add(0)
	}
	if slices.Contains(present, 1) && slices.Contains(down, 0) && slices.Contains(drained, 0) {
		for _, n := range b.possible(regVHosts, since, until, who) {
			for _, percent := range b.factors.possible(since, until) {
				for _, start := range b.starts.possible(since, until) {
					add(weight(n, percent, start))
				}
			}
		}
	}
	return counts
}

// surelyUp reports whether a backend was up at every director from since to until.
func (t *table) surelyUp(addr netip.Addr, since, until time.Duration) bool {
	b := t.find(addr)
	return b != nil && !slices.Contains(b.possible(regDown, since, until, everyone), 1)
}

// surelyThere reports whether a backend was in the table of every director from since to until:
// what is done to all backends is not done to others.
func (t *table) surelyThere(addr netip.Addr, since, until time.Duration) bool {
	b := t.find(addr)
	return b != nil && !slices.Contains(b.possible(regPresent, since, until, everyone), 0)
}

// judge compares the table of a director of a scope with the values that its registers may have
// now.
func (t *table) judge(has Table, now time.Duration, who scope) (problems []string) {
	for _, b := range t.backends {
		row := has[b.addr]
		present := b.possible(regPresent, now, now, who)
		if !slices.Contains(present, one(row.Present)) {
			problems = append(problems, fmt.Sprintf("backend %v: presence is %v, expected %v",
				b.addr, one(row.Present), present))
		}
		if !row.Present {
			continue
		}
		if vhosts := b.possible(regVHosts, now, now, who); !slices.Contains(vhosts, row.VHosts) {
			problems = append(problems, fmt.Sprintf("backend %v: vhost count is %d, expected %v",
				b.addr, row.VHosts, vhosts))
		}
		if down := b.possible(regDown, now, now, who); !slices.Contains(down, one(row.Down)) {
			problems = append(problems,
				fmt.Sprintf("backend %v: down is %v, expected %v", b.addr, one(row.Down), down))
		}
		drained := b.possible(regDrained, now, now, who)
		if !slices.Contains(drained, one(row.Drained)) {
			problems = append(problems, fmt.Sprintf("backend %v: drained is %v, expected %v",
				b.addr, one(row.Drained), drained))
		}
		standby := b.possible(regStandby, now, now, who)
		if !slices.Contains(standby, one(row.Standby)) {
			problems = append(problems, fmt.Sprintf("backend %v: standby is %v, expected %v",
				b.addr, one(row.Standby), standby))
		}
		if row.Rebalanced && !b.rebalanced {
			problems = append(problems,
				fmt.Sprintf("backend %v is rebalanced, and nobody ordered that", b.addr))
		}
		if row.Failed && !b.judged {
			problems = append(problems,
				fmt.Sprintf("backend %v has failed, and nobody saw that", b.addr))
		}
		if row.Factor != 0 && !b.balanced {
			problems = append(problems,
				fmt.Sprintf("backend %v has the factor %d %%, and nobody wrote that",
					b.addr, row.Factor))
		}
	}
	for addr, row := range has {
		if b := t.find(addr); b != nil && row.Present && row.Start != 0 && !b.started {
			problems = append(problems, fmt.Sprintf(
				"backend %v has %d %% of its weight, and nobody wrote that", addr, row.Start))
		}
		if row.Present && t.find(addr) == nil {
			problems = append(problems, fmt.Sprintf("backend %v was never added", addr))
		}
	}
	slices.Sort(problems)
	return problems
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
