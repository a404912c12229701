package replica

import (
	"cmp"
	"net/netip"
	"slices"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/balance"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// BalanceStatus is how load is evened out, as this director knows it.
type BalanceStatus struct {
	Balance
	// InCharge is the director that changes factors, "" if none does; Dry says that it only tells
	// what it would do.
	InCharge string
	Dry      bool
	// OutOfContact is set where this director is in charge, but in contact with fewer than half of
	// the directors that it knows.
	OutOfContact bool
	Tags         []TagBalance // by tag
}

// TagBalance is how the load of a tag is evened out.
type TagBalance struct {
	Tag      ring.Tag
	Frozen   string         // why no factor is changed now; "": one may be
	Next     directory.Time // when one may be changed next; 0 while frozen
	Backends []BackendBalance
}

// BackendBalance is the load of a backend, and what follows from it.
type BackendBalance struct {
	Backend ring.Backend
	Load    float64 // sessions, or percent; if Known
	Known   bool
	Wanted  int  // the factor that it should have, in percent; 0: not known
	Due     bool // the factor is far enough from the wanted one to be changed
}

// Balancing returns how load is evened out.
func (c *Core) Balancing(now mono.Time) BalanceStatus {
	s := BalanceStatus{Balance: c.cfg.Balance, InCharge: c.inCharge()}
	s.Source = c.sourceOf(s.InCharge)
	s.Dry = c.cfg.Balance.Mode == wire.BalanceDryRun
	if p := c.peers.get(s.InCharge); p != nil {
		s.Dry = p.loads.Balance == wire.BalanceDryRun
	}
	s.OutOfContact = s.InCharge == c.cfg.Name && !c.inContact()
	byTag := make(map[ring.Tag]int)
	for _, b := range c.table.Backends() {
		i, ok := byTag[b.Tag]
		if !ok {
			i = len(s.Tags)
			byTag[b.Tag] = i
			s.Tags = append(s.Tags, c.tagBalance(now, b.Tag))
		}
		s.Tags[i].Backends = append(s.Tags[i].Backends, BackendBalance{Backend: b})
	}
	for _, t := range s.Tags {
		c.balanceBackends(t)
	}
	slices.SortFunc(s.Tags, func(a, b TagBalance) int { return cmp.Compare(a.Tag, b.Tag) })
	return s
}

func (b *balancing) tagBalance(now mono.Time, tag ring.Tag) TagBalance {
	t := TagBalance{Tag: tag}
	if account := b.tags[tag]; account != nil {
		if t.Frozen = account.why; t.Frozen == "" {
			t.Next = b.clock.At(max(b.due(now, tag, account), now))
		}
	}
	return t
}

// balanceBackends fills in what is known of the backends of a tag.
func (b *balancing) balanceBackends(t TagBalance) {
	account := b.tags[t.Tag]
	if account == nil {
		return
	}
	loads := make(map[netip.Addr]float64, len(account.loads))
	for _, has := range account.loads {
		loads[has.Addr] = has.Load
	}
	wanted := account.averages.Wanted()
	for i := range t.Backends {
		one := &t.Backends[i]
		one.Load, one.Known = loads[one.Backend.Addr]
		if one.Wanted = wanted[one.Backend.Addr]; one.Wanted != 0 {
			has := directory.Factor(one.Backend.Factor).Percent()
			one.Due = balance.Due(has, one.Wanted)
		}
	}
}

// loadOf is how loaded a backend is, if that is known.
func (b *balancing) loadOf(one ring.Backend) (load uint64, known bool) {
	account := b.tags[one.Tag]
	if account == nil {
		return 0, false
	}
	at, known := slices.BinarySearchFunc(account.loads, one.Addr,
		func(has balance.Backend, addr netip.Addr) int { return ring.CompareAddr(has.Addr, addr) })
	if !known {
		return 0, false
	}
	return uint64(account.loads[at].Load), true
}
