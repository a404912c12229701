package replica

import (
	"net/netip"
	"slices"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/balance"
	"directormesh/mesh/replica/internal/barrier"
	"directormesh/mesh/replica/internal/flushes"
	"directormesh/mesh/replica/internal/meshtime"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// Balance says what a director does to even out load, and what it knows loads from.
type Balance struct {
	Mode   wire.Balancing
	Source wire.LoadSource
}

// LoadRound is how often a director with balancing reports loads: 15 times within the expire time
// of users.
func LoadRound(expire time.Duration) time.Duration { return max(expire/15, time.Second) }

const (
	// loadRounds is for how many rounds a report of loads counts.
	loadRounds = 3
	// looksPerRound is how often in a round it is looked whether a factor is to be changed.
	looksPerRound = 4
)

// factorRegister is the place of the factor among the registers that were added after the first
// release.
const factorRegister = 4

// balancing keeps what directors know of loads, and changes the factors of backends. All directors
// keep account alike; the one in charge writes.
type balancing struct {
	*output
	balancingPort

	admission *ownAdmission
	cfg       *Config
	clock     *meshtime.Clock
	counters  *Counters
	flushes   *flushes.Set
	peers     *peers
	table     *directory.Table

	report     wire.Loads // what we know, and say
	reportedAt mono.Time  // when it was reported; 0: never
	toldAt     mono.Time  // when peers were last told
	nextLook   mono.Time
	tags       map[ring.Tag]*balancedTag
}

// balancedTag is the account of one tag.
type balancedTag struct {
	averages balance.Averages
	calmAt   mono.Time // since when nothing else changes
	why      string    // it does not change factors now; "": it may
	loads    []balance.Backend
	saidAt   mono.Time // when a dry run last told what it would do
}

// balancingPort is what balancing needs of the other parts of the core.
type balancingPort interface {
	apply(now mono.Time, change directory.Change, from *peer) *barrier.Change
	gossip(change directory.Change, blocks []wire.Block)
	mayAct() bool
	nextStamp(now mono.Time, after directory.Time) (directory.Stamp, error)
	outnumbered() bool
	standsBack(p *peer) bool
	synced() bool
}

// balance tells peers what is known of loads, and changes factors if that is this director's to do.
func (b *balancing) balance(now mono.Time) {
	if now < b.nextLook || !b.admission.bootstrapped {
		return
	}
	round := LoadRound(b.cfg.Expire)
	b.nextLook = now.Add(round / looksPerRound)
	if b.cfg.Balance.Mode != wire.BalanceOff && now.Sub(b.toldAt) >= round {
		b.toldAt = now
		b.sendAll(b.loadsToTell(now))
	}
	charge := b.inCharge()
	if charge == "" {
		b.tags = nil
		return
	}
	b.account(now, charge)
	if charge == b.cfg.Name && b.mayAct() {
		b.changeFactors(now)
	}
}

// inCharge is the director that changes factors: of the synced ones that balance, and do not stand
// back, the one with the lowest name; "" if there is none.
func (b *balancing) inCharge() string {
	name := ""
	a := b.admission
	if b.cfg.Balance.Mode != wire.BalanceOff && b.synced() && !a.leaving && !a.removed &&
		!b.outnumbered() {
		name = b.cfg.Name
	}
	for _, p := range b.peers.all {
		if p.balances() && p.synced && !p.left && (name == "" || p.name < name) &&
			!b.standsBack(p) {
			name = p.name
		}
	}
	return name
}

// balances reports whether a peer evens out load, or would.
func (p *peer) balances() bool {
	if !p.live || !p.Counted || p.loads == nil {
		return false
	}
	return p.loads.Balance == wire.BalanceOn || p.loads.Balance == wire.BalanceDryRun
}

// loadsToTell is what peers are told of loads: nothing known, if what is known is too old.
func (b *balancing) loadsToTell(now mono.Time) *wire.Loads {
	m := b.report
	m.Balance, m.Source = b.cfg.Balance.Mode, b.cfg.Balance.Source
	if !b.countsStill(now, b.reportedAt) {
		m.Known, m.Backends = false, nil
	}
	return &m
}

// countsStill reports whether a report of loads still counts.
func (b *balancing) countsStill(now, at mono.Time) bool {
	return at != 0 && now.Sub(at) <= loadRounds*LoadRound(b.cfg.Expire)
}

// sendLoads tells a peer, to which a stream has just been opened, what is known here.
func (b *balancing) sendLoads(now mono.Time, p *peer) {
	if b.cfg.Balance.Mode != wire.BalanceOff {
		b.send(p, b.loadsToTell(now))
	}
}

// gotLoads takes what a peer knows.
func (b *balancing) gotLoads(now mono.Time, p *peer, m *wire.Loads) { p.loads, p.loadsAt = m, now }

// ReportLoads takes how loaded backends are, as far as this director knows: known is false if it
// could not find out. It is to be called in every LoadRound. Loads of anything but backends of the
// table count for nothing.
func (c *Core) ReportLoads(now mono.Time, loads []wire.Load, known bool) {
	defer c.enter(now)()
	loads = slices.DeleteFunc(slices.Clone(loads), func(l wire.Load) bool {
		row, _ := c.table.Row(l.Backend)
		return !row.Presence.Value.Present
	})
	c.report = wire.Loads{Known: known, Backends: loads}
	c.reportedAt, c.toldAt = now, 0 // tell them now
}

// LoadsWanted returns the backends of which this director is to find out how loaded they are: all,
// if it is in charge, for no other one need ask them. With ProxySessions every director reports
// what it has, whatever is asked for here.
func (c *Core) LoadsWanted() (backends []netip.Addr) {
	if c.inCharge() != c.cfg.Name {
		return nil
	}
	for _, b := range c.table.Backends() {
		if b.VHosts > 0 && !b.Down {
			backends = append(backends, b.Addr)
		}
	}
	return backends
}

// account takes the loads that are known now into the averages of each tag.
func (b *balancing) account(now mono.Time, charge string) {
	byTag := make(map[ring.Tag][]ring.Backend)
	for _, one := range b.table.Backends() {
		byTag[one.Tag] = append(byTag[one.Tag], one)
	}
	for tag := range b.tags {
		if byTag[tag] == nil {
			delete(b.tags, tag)
		}
	}
	loads, why := b.loadsOf(now, charge)
	for tag, backends := range byTag {
		t := b.tags[tag]
		if t == nil {
			t = &balancedTag{calmAt: now}
			if b.tags == nil {
				b.tags = make(map[ring.Tag]*balancedTag)
			}
			b.tags[tag] = t
		}
		t.loads = nil
		if t.why = b.disturbed(backends); t.why != "" && !b.cfg.Guards.NoFreeze {
			t.averages.Forget()
			t.calmAt = now
			continue
		}
		if t.why = why; why == "" {
			t.loads, t.why = comparableLoads(backends, loads)
		}
		if t.why == "" {
			t.averages.Note(now, balance.Memory(b.cfg.Expire), b.shared(t.loads, charge))
		}
	}
}

// shared returns loads that are to be in proportion to vhost counts. How busy the backends are is
// to be the same everywhere.
func (b *balancing) shared(loads []balance.Backend, charge string) []balance.Backend {
	if b.sourceOf(charge) != wire.BusyPercent {
		return loads
	}
	shared := slices.Clone(loads)
	for i := range shared {
		shared[i].Load *= float64(shared[i].VHosts)
	}
	return shared
}

// sourceOf is what the director in charge knows loads from.
func (b *balancing) sourceOf(charge string) wire.LoadSource {
	if p := b.peers.get(charge); p != nil && p.loads != nil {
		return p.loads.Source
	}
	return b.cfg.Balance.Source
}

// changeFactors changes the factors of the tags in which it is time for that.
func (b *balancing) changeFactors(now mono.Time) {
	for _, tag := range sortedTags(b.tags) {
		t := b.tags[tag]
		if t.why != "" || now < b.due(now, tag, t) {
			continue
		}
		wanted := t.averages.Wanted()
		change := make(map[netip.Addr]int)
		for _, one := range t.loads {
			if balance.Due(one.Factor, wanted[one.Addr]) {
				change[one.Addr] = wanted[one.Addr]
			}
		}
		switch {
		case len(change) == 0:
		case b.cfg.Balance.Mode == wire.BalanceOn:
			b.writeFactors(now, tag, t, change)
		case t.saidAt == 0 || now.Sub(t.saidAt) >= b.cfg.Expire:
			t.saidAt = now
			b.logFactors("factor of a backend would be changed", tag, t, change)
		}
	}
}

// due is when factors of a tag may be changed next.
func (b *balancing) due(now mono.Time, tag ring.Tag, t *balancedTag) mono.Time {
	due := t.calmAt.Add(balance.Calm(b.cfg.Expire))
	at := b.clock.At(now)
	for _, one := range b.table.Backends() {
		row, _ := b.table.Row(one.Addr)
		if one.Tag == tag && row.Factor.Stamp != 0 && !b.cfg.Guards.NoFactorPause {
			wait := row.Factor.Stamp.Time().Add(b.cfg.Expire).Sub(at)
			due = max(due, now.Add(wait))
		}
	}
	return due
}

// writeFactors writes factors like a command's change.
func (b *balancing) writeFactors(
	now mono.Time, tag ring.Tag, t *balancedTag, factors map[netip.Addr]int,
) {
	stamp, err := b.nextStamp(now, 0)
	if err != nil {
		return // the next look tries again
	}
	change := b.table.SetFactors(stamp, b.cfg.Name, factors)
	if change.Empty() {
		return
	}
	b.logFactors("factor of a backend changed", tag, t, factors)
	b.counters.FactorChanges += uint64(len(change.Backends))
	if b.apply(now, change, nil) != nil {
		b.gossip(change, nil)
	}
}

func (b *balancing) logFactors(
	message string, tag ring.Tag, t *balancedTag, factors map[netip.Addr]int,
) {
	for _, one := range t.loads {
		if percent, ok := factors[one.Addr]; ok {
			b.logf(LogInfo, message, Field{"backend", ring.AddrText(one.Addr)},
				Field{"tag", string(tag)}, Field{"was_percent", one.Factor},
				Field{"factor_percent", percent})
		}
	}
}

func sortedTags(tags map[ring.Tag]*balancedTag) (sorted []ring.Tag) {
	for tag := range tags {
		sorted = append(sorted, tag)
	}
	slices.Sort(sorted)
	return sorted
}
