package replica

import (
	"net/netip"

	"directormesh/mesh/mono"
	"directormesh/mesh/replica/internal/health"
	"directormesh/mesh/replica/internal/names"
	"directormesh/ring"
)

// A part of a core owns one mechanism of the protocol: its rules, and the state that nothing else
// needs. At the top of its file it says what it shares with other parts, as fields, and what it
// needs done by them, as an interface that is called its port. So a part can be read, and tested,
// without the others. All parts act through one output.
//
//	output        the effects of an input
//	ownLog        our log: writing, replaying, sending batches
//	gaps          what is missing of the peers' logs
//	deadLogs      what peers have of the logs of directors that are gone
//	merging       rows that come in, and what follows from them
//	snapshotting  snapshots, taken and given
//	comparing     digests, and the leaves that differ
//	gossiping     deltas, and which of them are of today
//	watching      what directors see of backends, and verdicts on those
//	balancing     what directors know of loads, and the factors of backends
//	starting      the weights of backends that start slowly
//	naming        what directors see of names of backends, and what follows for the table
//	lookupQueue   lookups that wait, and relayed ones
//	mover         moves, Holds and their answers
//	flushRunner   flushes
//	taskRunner    drains and rebalances
//	pinKeeper     users who are not where they are pinned
//	kicking       kicks, by mapping and by name
//	exclusion     peers that do not answer, and stepping out
//	membership    which mesh this director belongs to
//	timekeeping   mesh time
//	addressBook   where directors are said to be, and under which names
//
// No part calls another one by its type, and none decides when it works: Tick, Receive and the
// other inputs of the Core do.

// assemble gives the parts of a core what they need: the structures that they share, and the core
// itself as the port to the other parts.
func (c *Core) assemble() {
	c.output.peers = &c.peers
	c.flushRunner = flushRunner{
		output: &c.output, flushRunnerPort: c, admission: &c.admission, cfg: &c.cfg,
		clock: &c.clock, counters: &c.counters, dir: c.dir, flushes: c.flushes,
		peers: &c.peers, table: c.table,
	}
	c.taskRunner = taskRunner{
		output: &c.output, taskRunnerPort: c, barrier: c.barrier, cfg: &c.cfg, clock: &c.clock,
		counters: &c.counters, dir: c.dir, lookups: c.lookups, moves: c.moves, table: c.table,
		tasks: c.tasks,
	}
	c.pinKeeper = pinKeeper{
		pinKeeperPort: c, cfg: &c.cfg, clock: &c.clock, dir: c.dir, lookups: c.lookups,
		moves: c.moves,
	}
	c.kicking = kicking{
		output: &c.output, kickingPort: c, cfg: &c.cfg, counters: &c.counters, kicks: c.kicks,
		lookups: c.lookups, ops: c.ops, peers: &c.peers,
	}
	c.gaps = gaps{
		output: &c.output, counters: &c.counters, logs: c.logs, peers: &c.peers,
	}
	c.deadLogs = deadLogs{
		output: &c.output, deadLogsPort: c, admission: &c.admission, cfg: &c.cfg,
		counters: &c.counters, logs: c.logs, moves: c.moves, peers: &c.peers,
		receiver: &c.receiver,
	}
	c.timekeeping = timekeeping{
		output: &c.output, timekeepingPort: c, admission: &c.admission, cfg: &c.cfg,
		clock: &c.clock, peers: &c.peers, table: c.table,
	}
	c.mover = mover{
		output: &c.output, moverPort: c, cfg: &c.cfg, clock: &c.clock, dir: c.dir,
		flushes: c.flushes, hlc: &c.hlc, kicks: c.kicks, lookups: c.lookups, moves: c.moves,
		peers: &c.peers, relayed: &c.relayed, table: c.table, tasks: c.tasks,
	}
	c.exclusion = exclusion{
		output: &c.output, exclusionPort: c, admission: &c.admission, barrier: c.barrier,
		cfg: &c.cfg, counters: &c.counters, donations: &c.donations, logs: c.logs, moves: c.moves,
		peers: &c.peers, receiver: &c.receiver, table: c.table,
	}
	c.membership = membership{
		output: &c.output, membershipPort: c, admission: &c.admission, barrier: c.barrier,
		cfg: &c.cfg, counters: &c.counters, rand: c.rand, table: c.table,
	}
	c.lookupQueue = lookupQueue{
		output: &c.output, lookupQueuePort: c, admission: &c.admission, cfg: &c.cfg,
		clock: &c.clock, counters: &c.counters, dir: c.dir, lookups: c.lookups, moves: c.moves,
		peers: &c.peers, relayed: &c.relayed, waiters: c.waiters,
	}
	c.snapshotting = snapshotting{
		output: &c.output, snapshottingPort: c, admission: &c.admission, cfg: &c.cfg,
		clock: &c.clock, counters: &c.counters, dir: c.dir, donations: &c.donations,
		flushes: c.flushes, late: &c.late, log: &c.log, logs: c.logs, peers: &c.peers,
		receiver: &c.receiver, table: c.table,
	}
	c.comparing = comparing{
		output: &c.output, comparingPort: c, clock: &c.clock, counters: &c.counters, dir: c.dir,
	}
	c.ownLog = ownLog{
		output: &c.output, ownLogPort: c, admission: &c.admission, cfg: &c.cfg, clock: &c.clock,
		counters: &c.counters, dir: c.dir, hlc: &c.hlc, late: &c.late, log: &c.log,
		lookups: c.lookups, outbox: &c.outbox, table: c.table,
	}
	c.merging = merging{
		output: &c.output, mergingPort: c, cfg: &c.cfg, clock: &c.clock, counters: &c.counters,
		dir: c.dir, moves: c.moves, outbox: &c.outbox, table: c.table, waiters: c.waiters,
	}
	c.addressBook = addressBook{
		output: &c.output, addressBookPort: c, admission: &c.admission, cfg: &c.cfg,
		counters: &c.counters, peers: &c.peers, table: c.table,
	}
	c.gossiping = gossiping{
		output: &c.output, gossipingPort: c, admission: &c.admission, cfg: &c.cfg,
		counters: &c.counters, moves: c.moves, peers: &c.peers,
	}
	c.balancing = balancing{
		output: &c.output, balancingPort: c, admission: &c.admission, cfg: &c.cfg,
		clock: &c.clock, counters: &c.counters, flushes: c.flushes, peers: &c.peers, table: c.table,
	}
	c.starting = starting{
		output: &c.output, startingPort: c, cfg: &c.cfg, clock: &c.clock, table: c.table,
	}
	c.naming = naming{
		output: &c.output, namingPort: c, admission: &c.admission, cfg: &c.cfg, clock: &c.clock,
		counters: &c.counters, peers: &c.peers, table: c.table, mine: make(names.Sights),
		watched: names.Watch(c.cfg.Names.Names, c.cfg.Names.Every, c.cfg.Names.goneAfter()),
	}
	c.watching = watching{
		output: &c.output, watchingPort: c, admission: &c.admission, cfg: &c.cfg, clock: &c.clock,
		peers: &c.peers, table: c.table, sights: make(health.Sights),
		renewed: make(map[netip.Addr]mono.Time), alarms: make(map[ring.Tag]Alarm),
	}
}
