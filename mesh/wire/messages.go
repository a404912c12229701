package wire

import (
	"cmp"
	"net/netip"
	"strings"

	"directormesh/directory"
	"directormesh/ring"
)

// A Message is one unit of the mesh protocol. The concrete types are the pointers to the structs of
// this package.
type Message interface {
	Kind() Kind
}

// Kind is the first byte of an encoded message. Numbers are never used again for something else.
type Kind uint8

// The kinds of message. Log messages carry a Seq: they are part of their sender's log, which every
// peer gets in the same order. A kind that is added to the log is FirstLaterLog or above; another
// one is below.
const (
	KindHello           Kind = 1
	KindRefuse          Kind = 2
	KindBeat            Kind = 3
	KindTable           Kind = 4 // log
	KindRows            Kind = 5 // log
	KindHold            Kind = 6 // log
	KindHeld            Kind = 7
	KindKicked          Kind = 8
	KindAdmitRequest    Kind = 9
	KindAdmitted        Kind = 10
	KindExclude         Kind = 11
	KindSnapshotRequest Kind = 12
	KindSnapshotChunk   Kind = 13
	KindSnapshotAck     Kind = 14
	KindLookupRequest   Kind = 15
	KindLookupReply     Kind = 16
	KindKickUser        Kind = 17
	KindKickUserDone    Kind = 18
	KindLeafDigests     Kind = 19
	KindLeafRequest     Kind = 20
	KindLeafRows        Kind = 21
	KindFlushProgress   Kind = 22
	KindFlushCancel     Kind = 23
	KindLeaving         Kind = 24
	KindDelta           Kind = 25 // gossip
	KindPushPull        Kind = 26 // push/pull
	KindGonePositions   Kind = 27
	KindLogRequest      Kind = 28
	KindLogPart         Kind = 29
	KindCounting        Kind = 30
	KindWaiting         Kind = 31
	KindMeeting         Kind = 32
	KindMark            Kind = 33 // on disk
	KindKeyring         Kind = 34
	KindObservations    Kind = 40
	KindLoads           Kind = 42
	KindNames           Kind = 43
	KindQuestion        Kind = 50
	KindAnswerPart      Kind = 51
	KindHistoryQuery    Kind = 52 // in questions
	KindHistoryFound    Kind = 53 // in answers
	KindAdminNote       Kind = 54 // on disk and in answers, as the other notes
	KindUserNote        Kind = 55
	KindLoginsNote      Kind = 56
	KindTableNote       Kind = 57
	KindLapseNote       Kind = 58
)

// Settings are what two directors must agree on before they talk: a difference is refused with both
// values named.
type Settings struct {
	Protocol   int    // version of this protocol
	Mesh       string // mesh name
	HashFormat string // director_username_hash
	Expire     int64  // user expire, milliseconds
}

// Peer names a director and one life of its process.
type Peer struct {
	Name string
	Boot uint64 // random for each start of the process
	Addr netip.AddrPort
}

// Life names one run of a director's process.
type Life struct {
	Name string
	Boot uint64
}

// Compare orders lives by name. The order of those of one name means nothing.
func (l Life) Compare(other Life) int {
	return cmp.Or(strings.Compare(l.Name, other.Name), cmp.Compare(l.Boot, other.Boot))
}

// MeshRank identifies the mesh that the sender belongs to, and says what it ranks by where two
// meshes meet.
type MeshRank struct {
	ID    directory.MeshID // 0: none
	Grown bool             // it has ever had two directors
	Age   int64            // milliseconds that its directors ran, by their monotonic clocks
}

// Position is what its sender has of the log of one life of a director: everything up to and
// including Seq, and the Islands of what comes later.
type Position struct {
	Name    string
	Boot    uint64
	Seq     uint64
	Islands []Span // nearly always none
	Gone    uint32 // milliseconds since that life ended, as far as the sender knows; 0: it has not
}

// Span is the messages of a log from one number to another, both included.
type Span struct {
	From, To uint64
}

// Hello is the first message of a stream in either direction. In the acceptor's answer Resume says
// up to where it has the dialer's log; zero if it has nothing of this life of the dialer.
type Hello struct {
	Settings Settings
	From     Peer
	To       Peer // the addressee: the address dialled, the name if known; Boot is not used
	Mesh     MeshRank
	MeshTime directory.Micros // the sender's, at the moment of sending
	Up       int64            // for how long the sender has been running, milliseconds
	TakesIn  bool             // the receiver was added by command to the sender's mesh
	Resume   uint64
	Answers  uint64 // in the acceptor's answer: the dialer's boot id in the hello that it answers
	// Registers is how many registers of a backend the sender knows beyond those of the first
	// release; see directory.BackendRow.Known.
	Registers uint64
}

// Refuse answers a Hello that cannot be accepted; the stream is closed after it.
type Refuse struct {
	From   Peer
	Reason string
	Up     int64 // for how long the sender has been running, milliseconds
	// Stranger is the sender's mesh, if it has no backend in common with the receiver's; else 0.
	Stranger directory.MeshID
	// Change is what the receiver must know of the table, having been refused for it: that it was
	// removed.
	Change directory.Change
	// Differs says that the two have different settings: it will not pass by itself.
	Differs bool
}

// Beat is sent on every stream a few times a second. It proves both directions: SentAt comes back
// as Echo.
type Beat struct {
	SentAt    int64            // sender's monotonic clock, nanoseconds
	Echo      int64            // SentAt of the last beat received from the peer, 0 if none
	EchoDelay int64            // nanoseconds between receiving that beat and sending this one
	MeshTime  directory.Micros // sender's
	Wall      directory.Micros // sender's wall clock at the same moment: its vote
	Synced    bool             // the sender answers lookups by itself
	Counted   bool             // the sender counts the receiver: it waits for its confirmations
	Seq       uint64           // last log message sent on this stream
	Users     uint64           // users with a mapping, for display
	Mesh      MeshRank
	Majority  bool // the sender is in touch with more than half of the directors that it knows
	Loading   bool // the sender loads its data directory: what it holds is still to come
	Keeps     bool // the sender has a data directory
	// Kept is the number in the receiver's log up to which the sender's data directory has it on
	// the disk.
	Kept uint64
	// StandsBack says that the sender does nothing for all: it is in contact with too few
	// directors.
	StandsBack bool
}

// Table is a table change that the sender has applied, whatever its origin, at its place in the
// sender's log: every mapping that the sender answered before applying it stands earlier in the
// log. So it is also the sender's confirmation of the change.
type Table struct {
	Seq    uint64
	Change directory.Change
}

// Rows are new mappings and recorded activity.
type Rows struct {
	Seq    uint64
	Stamp  directory.Stamp // sender's logical clock
	Blocks []Block
}

// Hold starts moves: the mappings are marked moving, every director holds their lookups, confirms
// (Held), kicks, and reports (Kicked).
type Hold struct {
	Seq    uint64
	ID     uint64 // chosen by the sender, unique in its life
	Blocks []Block
}

// Held confirms a Hold. Blocks has the receiver's own row for each user whose row beat the move.
type Held struct {
	ID     uint64
	Beaten []Block
}

// KickCount reports what one director's kicker did for one user of a Hold.
type KickCount struct {
	Tag   ring.Tag
	Hash  ring.UserHash
	Count uint32 // sessions ended
	Known bool   // the kicker knows that these were all sessions
	Left  uint32 // sessions that it saw and could not end
	Blind bool   // there is no kicker
}

// Kicked reports kicks of a Hold, in as many messages as it takes.
type Kicked struct {
	ID    uint64
	Kicks []KickCount
}

// AdmitRequest asks the receiver to count the sender. The sender answers no lookup by itself
// until every live peer has admitted it, and has sent all rows it ever answered before it on the
// same stream.
//
// Members that have not been in touch may ask without having stopped. Then only the receiver has to
// stop until it is admitted in turn.
type AdmitRequest struct {
	Nonce   uint64
	Stopped bool           // the sender answers no lookup by itself
	Member  bool           // the sender belongs to the mesh already
	Holds   bool           // the sender holds rows that no log has which its peers know
	Since   directory.Tick // they changed then or later
}

// Admitted says that the sender counts the receiver from now on.
type Admitted struct {
	Nonce uint64
	// not yet: the sender first takes what it lacks of the receiver; the rest is empty
	Pending bool
	Member  bool             // the sender belongs to the mesh
	Change  directory.Change // the sender's whole table
	Moving  []Block          // the users held at the sender
	Live    []Peer           // the directors that the sender counts
	Apart   []Apart          // to one that joins: those that it is apart from
}

// Apart is a director that another one is out of touch with, and up to when the two had one mesh
// time, and nothing of the one was missing at the other.
type Apart struct {
	Director Peer
	Together directory.Time
}

// Waiting names to the members those for whose answer a joiner waits in vain. They ask these
// directors themselves.
type Waiting struct {
	For []Peer
}

// Exclude reports to a live director that has not confirmed for too long that it no longer counts;
// it must ask to be admitted again.
type Exclude struct {
	Reason string
}

// SnapshotRequest asks for all mappings, or for those assigned or active at Since or later.
//
// With Compare it asks instead where the rows of both directors differ; with Leaves, for all rows
// of these. Both are set only behind a snapshot of the same donor since a moment. Since is then the
// last tick there is: a donor of a release that does not know them has nothing to give.
type SnapshotRequest struct {
	ID      uint64
	Since   directory.Tick
	Compare Comparison
	Leaves  []TagLeaves
}

// Comparison are digests of the rows that were assigned by one moment and are alive at another, of
// the tags from From on and before To, of those that the sender has. An empty To is the end of all.
// It is set if Alive is.
type Comparison struct {
	Assigned, Alive directory.Time
	From, To        ring.Tag
	Digests         []GroupDigests
}

// TagLeaves are leaves of a tag by their numbers.
type TagLeaves struct {
	Tag    ring.Tag
	Leaves []uint16
}

// GroupLeaves are the digests of the leaves of a group, as of the moments of a Comparison.
type GroupLeaves struct {
	Tag    ring.Tag
	Group  uint8
	Leaves [256]uint64
}

// SnapshotChunk is a piece of a snapshot. Each chunk but the last must be acknowledged before a few
// more follow.
type SnapshotChunk struct {
	ID     uint64
	Index  uint32
	Last   bool
	Busy   bool       // the donor serves too many others; ask again or elsewhere
	Total  uint64     // mappings that the donor holds, about
	Covers []Position // in the first chunk: what the snapshot contains of each log at least
	Blocks []Block
	Differ []GroupLeaves // the answer to a Comparison: groups that differ
	// Flushes are how flushes went as the data directory has it of a donor that has just come: in
	// the first chunk. The donor runs none of them. Each names the director that began it.
	Flushes []FlushProgress
}

// SnapshotAck acknowledges the chunks up to Index.
type SnapshotAck struct {
	ID    uint64
	Index uint32
}

// LookupRequest asks a synced director to answer for the sender, which is not.
type LookupRequest struct {
	ID   uint64
	Tag  ring.Tag
	Hash ring.UserHash
}

// LookupReply answers a LookupRequest with the mapping, or says that there is none to give.
type LookupReply struct {
	ID     uint64
	Failed bool
	Block  Block // one row, unless Failed
}

// KickUser ends the sessions of a user by name on every director, or those with an auth field of
// this value.
type KickUser struct {
	ID    uint64
	Field string // empty: the user name
	Value string
}

// KickUserDone reports a KickUser.
type KickUserDone struct {
	ID    uint64
	Count uint32
	Known bool
	Error string // empty: it worked
	Left  uint32 // sessions that the kicker saw and could not end
	Blind bool   // there is no kicker
}

// LeafDigests carries the 256 leaf digests of one group whose digest differed.
type LeafDigests struct {
	Epoch  int64
	Tag    ring.Tag
	Group  uint8
	Leaves [256]uint64
}

// LeafRequest asks for the rows of leaves that differ.
type LeafRequest struct {
	Tag    ring.Tag
	Leaves []uint16
}

// LeafRows are the rows of leaves that differ.
type LeafRows struct {
	Blocks []Block
}

// FlushProgress reports to all directors how a flush goes; the director that runs it sends it.
type FlushProgress struct {
	ID       uint64
	Backend  netip.Addr // zero: all backends
	Total    uint64     // users to move, as far as found
	Scanning bool       // Total is still growing
	Moved    uint64
	Moving   uint64 // in flight
	Failed   uint64
	Done     bool
	Canceled bool
	Started  directory.Time
	Ended    directory.Time
	Left     uint64 // users with sessions that a kicker saw and could not end
	Blind    bool   // a director has no kicker
	Parallel uint64 // users in flight at the most; 0: not known
	Director string // the one that began the flush; empty: the sender
}

// FlushCancel asks the director that runs a flush to stop starting moves, and all others to start
// none should they have to go on with it.
type FlushCancel struct {
	ID       uint64
	Director string // the one that began the flush; empty: the receiver
}

// GonePositions says what the sender has of the logs of directors that are gone: of lives that
// failed, left or ended. A receiver that has less asks for the rest.
type GonePositions struct {
	Logs []Position
}

// LogRequest asks for a part of another director's log that the sender lacks: it has the rest
// of it, as far as Has says.
type LogRequest struct {
	Has Position
}

// LogPart answers a LogRequest with messages of the log of one life of a director: the first
// one is number From, and none is missing between. There are none if the sender does not have
// more than the asker, or, with Short, if it no longer keeps the messages themselves: a
// snapshot contains what they said.
type LogPart struct {
	Name    string
	Boot    uint64
	From    uint64
	Short   bool
	Entries []Message // Table, Rows, Hold and Unknown
}

// Leaving says that the sender leaves in good order.
type Leaving struct{}

// Delta is what travels over memberlist's gossip: a table change or a few mappings (moves and their
// releases). (Origin, Boot, N) identify it: the first receipt is passed on, a repeat is dropped.
type Delta struct {
	Origin string
	Boot   uint64
	N      uint64
	Change directory.Change
	Blocks []Block
}

// Counting names the lives that the sender counts, so that the receiver knows which deltas are of
// today. The first one on a stream is whole, each later one has what changed since the one before.
type Counting struct {
	Whole  bool   // Counts are all, whatever was said before
	Counts []Life // the sender counts these
	Gone   []Life // and these no more
}

// Meeting is the first message on a stream to a director of another mesh: the sender's whole table.
// It is compared and not applied.
type Meeting struct {
	Change directory.Change
}

// Mark is never sent. A director that keeps what it holds on disk writes one behind what it has
// written, and so knows after a restart what it may rely on.
type Mark struct {
	MeshTime directory.Micros // when the mark was made
	Wall     directory.Micros // the wall clock at the same moment
	// Whole is the mesh time up to which nothing is missing of what directors of the mesh said.
	Whole directory.Time
	Mesh  MeshRank
	Live  []Peer // the directors that were counted
	// Noted is set in the mark that begins a snapshot: between that mesh time and the mark no row
	// came late, that is, with activity of long before, but for those in Late.
	Noted directory.Time
	Late  []LateRows
	// Logs are those of this director: that of its life, and of lives that ended lately. All that
	// it has of them stands before the mark.
	Logs []Position
	// Apart are directors that were out of touch, of which Whole takes account.
	Apart []Peer
}

// LateRows says that rows came late.
type LateRows struct {
	At     directory.Time // when the last of them came
	Oldest directory.Tick // of their recorded activities
}

// Observations are what a director sees of backends: it checks them, and tells its peers when that
// changes. Whether a backend has failed is then decided by what most observers see.
type Observations struct {
	// Whole says that what the sender said before, in this life, is void. A director that checks
	// backends sends such a message on each stream that it opens, so peers know that it does.
	Whole    bool
	Backends []Observation
}

// Observation is what one observer sees of one backend.
type Observation struct {
	Backend netip.Addr
	Sight   Sight
	Since   directory.Time // when the observer first saw it so, by mesh time
	Reason  string         // what is wrong with a failing one, for people
}

// Sight is what an observer sees. One that only a later release knows counts as Unseen.
type Sight uint8

// What an observer sees.
const (
	Unseen  Sight = iota // it does not observe the backend, or has not for a while
	Good                 // the backend passes all checks
	Failing              // it does not
)

// Names are what a director sees of names of backends: it looks them up, and tells its peers when
// that changes. What becomes a backend, and what is drained, is then decided by what most see.
type Names struct {
	// Whole says that what the sender said before, in this life, is void. A director that watches
	// names sends such a message on each stream that it opens.
	Whole bool
	Names []NameSight
}

// NameSight is what a director sees of one name. It voids what it said of the name before.
type NameSight struct {
	Name     string
	Tag      ring.Tag
	Resolves bool // the last lookup has found all that it asked for
	// Settled says that it has watched the name for so long that what it does not see is gone.
	Settled bool
	Since   directory.Time // since when Resolves is so, by mesh time
	Reason  string         // why it does not resolve, for people
	Targets []ring.Target  // what it has seen lately
}

// Loads are what a director knows of how loaded backends are. It sends them on each stream that it
// opens, and in every round; each voids what it said before.
type Loads struct {
	Balance Balancing
	Source  LoadSource
	// Known says that it knows loads: backends that are not listed have none.
	Known    bool
	Backends []Load
}

// Load is how loaded a backend is: sessions, or percent.
type Load struct {
	Backend netip.Addr
	Load    uint64
}

// Balancing says whether a director evens out load. What only a later release knows counts as off.
type Balancing uint8

// What a director does about load.
const (
	BalanceOff    Balancing = iota
	BalanceDryRun           // it only says what it would do
	BalanceOn
)

// LoadSource says what a director knows loads from. One that only a later release knows is none.
type LoadSource uint8

// The sources.
const (
	NoLoads LoadSource = iota
	// ProxySessions are the sessions that the proxies of each director have: their sum counts.
	ProxySessions
	BackendSessions // the sessions that each backend says it has
	BusyPercent     // how busy each backend's agent says it is
)

// GroupDigests are the digests of one tag's 256 groups as of an epoch.
type GroupDigests struct {
	Tag    ring.Tag
	Groups [256]uint64
}

// PushPull is what memberlist's push/pull carries: who speaks, its table, and its digests as of an
// epoch.
type PushPull struct {
	Hello   Hello
	Change  directory.Change
	Epoch   int64 // 0: no digests yet
	Digests []GroupDigests
}
