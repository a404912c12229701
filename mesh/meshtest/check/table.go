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

// backend is what is known of one backend: every value that its registers were ever given.
type backend struct {
	table  *table
	addr   netip.Addr
	tag    string
	writes [registers][]write

	rebalanced bool // somebody ordered it; it ends by itself

	outs   []outSpan // when it was out at some director, in order
	judged bool      // some director showed a verdict that it has failed

	unnamed bool // it may be gone from its name

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
		o.anew = !known || o.stranger
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
		add(t.backend(o.op.Backend), regDrained, drained, o.standing)
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
		if row.Gone && !b.unnamed {
			problems = append(problems,
				fmt.Sprintf("backend %v is gone from its name, which nobody saw", b.addr))
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
