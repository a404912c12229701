package replica

import (
	"net/netip"
	"time"

	"directormesh/directory"
	"directormesh/mesh/replica/internal/hints"
	"directormesh/mesh/replica/internal/kicks"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// An Effect is something the core wants done outside. Effects must be carried out in order; those
// for one peer's stream above all.
type Effect interface{ effect() }

// Send puts a message on the outgoing streams to the named peers. One message may go to many:
// encode it once.
type Send struct {
	To      []string
	Message wire.Message
}

// Gossip hands a delta to the broadcast queue. A shell that finds it too big for a packet drops it:
// the streams carry it too.
type Gossip struct {
	Delta  *wire.Delta
	Passed bool // it is of another director and passed on
}

// Answer ends a lookup that had to wait (or failed).
type Answer struct {
	ID      uint64
	Backend netip.Addr
	Err     error // nil, or a *TemporaryError
}

// AdminDone ends an admin operation.
type AdminDone struct {
	ID      uint64
	Outcome Outcome
	Err     error
}

// KickResult is what a kicker knows after a kick.
type KickResult = kicks.Result

// Kick asks the local kicker to end sessions; it must be answered by KickDone with this ID, with
// Known false when it takes more than 10 s.
type Kick struct {
	ID     uint64
	Tag    ring.Tag
	Target KickTarget
}

// KickTarget says whose sessions: exactly one of the three forms is used.
type KickTarget struct {
	// The sessions of a user by hash, but not those on Keep (zero: all of them). With Others, the
	// user hash is valid.
	ByHash bool
	Hash   ring.UserHash
	Keep   netip.Addr
	// All sessions on a backend.
	Backend netip.Addr
	// The sessions of a user by name, or by auth field.
	Field string
	Value string
}

// RunHook asks for the flush hook of one user; to be answered by HookDone.
type RunHook struct {
	ID     uint64
	Hash   ring.UserHash
	Tag    ring.Tag
	Old    directory.BackendRow
	New    netip.Addr
	Cutoff time.Duration // give up after this long
}

// CloseStream asks the shell to drop the streams from and to a peer; it dials again by its usual
// rules.
type CloseStream struct {
	Peer   string
	Reason string
	Only   StreamSide
}

// StreamSide says which of the two streams with a peer is meant.
type StreamSide int

const (
	BothStreams StreamSide = iota
	OurStream              // the one that we dialled
	TheirStream            // the one that the peer dialled
)

// NewLife says that this director goes on under another boot id. It comes before the streams are
// closed that were opened under the old one.
type NewLife struct {
	Boot uint64
}

// Dial asks the shell to contact a director, to which no stream may be up yet.
type Dial struct {
	Name  string // "" if not known
	Addr  netip.AddrPort
	Trust Trust
}

// Trust is what speaks for a director being where it is said to be.
type Trust = hints.Trust

// The kinds of trust, least first.
const (
	Heard  = hints.Heard  // anybody may have said so, and years ago: one dial now and then
	Named  = hints.Named  // a live peer or an operator said so
	Proven = hints.Proven // a stream has proven it: dialled until it is given up
)

// Asked is a question of a peer, which the core knows nothing about.
type Asked struct {
	Peer     string
	Question *wire.Question
}

// Answered is a part of a peer's answer to such a question.
type Answered struct {
	Peer string
	Part *wire.AnswerPart
}

// Log is a line for the operator.
type Log struct {
	Level  LogLevel
	Text   string // constant, lower case
	Fields []Field
}

// LogLevel of a Log effect.
type LogLevel int

// The levels, least urgent first.
const (
	LogDebug LogLevel = iota
	LogInfo
	LogWarn
	LogError
)

// Field is a key and value of a Log effect.
type Field struct {
	Key   string
	Value any
}

func (Send) effect()        {}
func (Gossip) effect()      {}
func (Answer) effect()      {}
func (AdminDone) effect()   {}
func (Kick) effect()        {}
func (RunHook) effect()     {}
func (CloseStream) effect() {}
func (NewLife) effect()     {}
func (Dial) effect()        {}
func (Asked) effect()       {}
func (Answered) effect()    {}
func (Log) effect()         {}
