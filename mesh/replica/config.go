package replica

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/ring"
)

// ProtocolVersion is compared in every hello; directors of different versions refuse each other.
const ProtocolVersion = 2

// Config is what a core needs to know at its start.
type Config struct {
	Name       string         // node name, unique in the mesh
	Boot       uint64         // random, not zero, for each start of the process
	Addr       netip.AddrPort // advertised
	Mesh       string         // mesh name
	HashFormat string         // director_username_hash

	Expire    time.Duration // user expire E, at least 10 s
	KickDelay time.Duration // pause between the last kick and the release of a move
	// users a flush has in flight, 10,000 at most, unless the flush says otherwise; 0 means 100
	MaxParallelMoves int
	// rows in a chunk of a snapshot, about; 0 means 10,000, 60 to 160 KB on the wire
	ChunkRows int

	Backends []ring.Backend // --mail-servers
	Keeps    bool           // there is a data directory: the core emits Keep
	Notes    bool           // there is a history: the core emits Noted
	Disk     *Disk          // what is in it; nil: nothing
	Founder  bool           // has no director to join: founds a mesh at once
	// ServeAlone lets a director found a mesh although one that it was to join has other settings.
	ServeAlone bool
	Hook       bool // a flush hook is set: the core emits RunHook
	// the backends themselves can be asked for sessions: the core emits AskVacant
	AsksBackends bool
	Watches      bool // backends are checked here, and what they show comes by Observe
	Balance      Balance
	// SlowStart is over how long a backend that comes into use gets its whole weight, unless the
	// command says otherwise; directory.MaxSlowStart at most, 0: at once
	SlowStart time.Duration
	Names     NameWatch // what lookups find comes by ObserveName

	Wall      directory.Micros // wall clock at the moment of New; see ReadWall
	Rand      *rand.Rand       // for jitter and nonces
	Directory *directory.Directory
	Guards    Guards
}

// Limits are the fields of a Config that may change while a core runs.
type Limits struct {
	KickDelay        time.Duration
	MaxParallelMoves int
	SlowStart        time.Duration
}

// Guards switches guards of the protocol off. Only tests do that, to prove that the checker
// notices; the zero value has all guards on.
type Guards struct {
	NoBarrier bool // the old ring is forgotten at once
	// a mapping in its last seconds is answered and recorded whatever the ring says
	NoEndOfLife bool
	NoHold      bool // lookups of a user being moved are answered
	NoGapCheck  bool // a gap in a peer's log does not matter
	NoWakeCheck bool // a director that slept goes on as if nothing had been
	// a director that stood still with all its clocks goes on as if nothing had been
	NoThawCheck    bool
	NoReleaseCheck bool // a release releases whatever move is there
	NoAdmission    bool // a joiner answers as soon as it has a snapshot
	NoOrderedTable bool // table changes overtake rows on the streams
	NoMarksFirst   bool // a log is replayed before its receiver knows what has been forgotten since
	NoKickOnChange bool // a mapping that changes its backend does not kick
	NoDownExpiry   bool // mappings on down backends are prolonged
	NoStrangers    bool // meshes without a backend in common are merged like any two
	NoFreshness    bool // what memberlist brings counts, from any sender and of any time
	NoClockLeash   bool // votes may lead a director's mesh time away from that of the others
	NoClockCheck   bool // a director whose mesh time is off goes on
	MoveAllStamps  bool // a step moves all stamps, from any director and of any time
	RankByExactAge bool // meshes that meet compare their ages to the millisecond

	// a drain moves whom it has found, wherever the user is by then
	NoTaskCheck bool
	NoNewLook   bool // a drain looks for users once
	NoPinMoves  bool // users who are mapped elsewhere are not moved to where they are pinned

	NoGoingOn bool // no director takes over the moves of a director that is gone
	// what a peer has of a dead director's log and we lack does not count
	NoRests           bool
	NoAskAgain        bool // the rest of a dead director's log is asked for once, come what may
	NoJoinerPositions bool // positions in the logs of unknown directors do not count
	NoBarrierToJoin   bool // a director that is admitted goes by its table at once
	NoMajority        bool // a director excludes peers however many they are
	OneWayAdmission   bool // peers are admitted before we have what they alone hold
	JoinersExclude    bool // a joiner excludes peers, as a member does
	NoRowCheck        bool // rows of before a data directory was whole are not compared

	NoFailedLimit  bool // failed backends are out however many they are
	NoVerdictLimit bool // verdicts are written however many backends fail at once
	NoContactCheck bool // a director on its own side of a split acts for all

	NoFreeze      bool // factors change whatever else moves users
	NoFactorPause bool // factors change as often as it is looked
}
