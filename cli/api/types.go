package api

import "time"

// Self is the director that was asked.
type Self struct {
	Name         string `json:"name"`
	Mesh         string `json:"mesh"`
	Version      string `json:"version"`
	UsernameHash string `json:"username_hash"` // format by which this mesh hashes user names
	UserExpireMS int64  `json:"user_expire_ms"`
	Synced       bool   `json:"synced"`  // answers lookups by itself
	Alone        bool   `json:"alone"`   // serves without any peer although it has some to join
	Leaving      bool   `json:"leaving"` // is being stopped
	Reason       string `json:"reason"`  // why not synced, or why alone
	Users        int    `json:"users"`   // users with a mapping
	Waiting      int    `json:"waiting"` // lookups that wait
	WaitingFor   []Wait `json:"waiting_for"`
	Changing     bool   `json:"changing"` // a table change is not yet confirmed by all directors
	// drawn when the mesh was founded, "" before there is one
	MeshID    string `json:"mesh_id"`
	MeshAgeMS int64  `json:"mesh_age_ms"` // time that the directors of the mesh ran
	// DataDir is null without --data-dir.
	DataDir *DataDir `json:"data_dir"`
	// Missing are the directors that were live when this one ended and are not back; for a minute.
	Missing []string `json:"missing"`
}

// Wait is what some lookups wait for.
type Wait struct {
	// Reason is unsynced, moving, barrier, end_of_life, no_backend or backend_failed.
	Reason  string `json:"reason"`
	Lookups int    `json:"lookups"`
}

// Director is one director of the mesh, as the one that was asked sees it.
type Director struct {
	Name          string     `json:"name"`
	IP            IP         `json:"ip"`
	Port          int        `json:"port"`
	Type          string     `json:"type"` // self, peer or removed
	LastFailedAt  *time.Time `json:"last_failed_at"`
	State         string     `json:"state"`          // handshaking, syncing or synced
	UsersReceived uint64     `json:"users_received"` // while handshaking
	UsersSent     uint64     `json:"users_sent"`     // while handshaking
	Reachable     bool       `json:"reachable"`      // frames flow both ways
	Left          bool       `json:"left"`           // left in good order
	// UnreachableSince is when a peer that is not reachable was last heard; null if it never was.
	UnreachableSince *time.Time `json:"unreachable_since"`
	PingMS           *float64   `json:"ping_ms"`
	Users            uint64     `json:"users"`
	// its mesh time less that of the director that was asked
	SkewMS   float64 `json:"skew_ms"`
	OffsetMS float64 `json:"offset_ms"` // self: mesh time less its own wall clock
	Reason   string  `json:"reason"`    // self: why not synced, or why alone
}

// The types of a director.
const (
	TypeSelf    = "self"
	TypePeer    = "peer"
	TypeRemoved = "removed"
)

// The states of a director.
const (
	StateHandshaking = "handshaking"
	StateSyncing     = "syncing"
	StateSynced      = "synced"
)

// Directors answers GET /v1/directors, ordered by address.
type Directors struct {
	Directors []Director `json:"directors"`
}

// Key is a key of the mesh, without the key itself.
type Key struct {
	ID      string `json:"id"`      // hash of the key, the same at all directors
	Primary bool   `json:"primary"` // the director that was asked encrypts with it
	Streams int    `json:"streams"` // from and to that director, that were opened with it
	// Directors report that they have it.
	Directors []string `json:"directors"`
	// Packets is how many packets they have encrypted with it, about.
	Packets uint64 `json:"packets"`
}

// Keys answers GET /v1/keys.
type Keys struct {
	Keys      []Key         `json:"keys"`      // the primary first; none: the mesh is not encrypted
	Directors []KeyDirector `json:"directors"` // those that changes of keys wait for
	Rotation  *Rotation     `json:"rotation"`  // that is under way; null: none
}

// KeyDirector is a director as far as its keys go.
type KeyDirector struct {
	Name    string `json:"name"`
	Away    bool   `json:"away"`    // not in touch
	Uses    string `json:"uses"`    // id of the key that it encrypts with; "": it has not reported
	Problem string `json:"problem"` // why it cannot keep keys
}

// Rotation is a change of which keys are used, under way.
type Rotation struct {
	New      string   `json:"new"` // id of the key that encrypts in the end
	Old      string   `json:"old"` // id of the key that is removed; "": none
	By       string   `json:"by"`  // the director where it began
	Step     string   `json:"step"`
	FromFile bool     `json:"from_file"`
	WaitsFor []string `json:"waits_for"` // each a director, and what it lacks
}

// Steps of a Rotation.
const (
	StepAdding = "adding" // not every director has the new key, or knows of the rotation
	StepUsing  = "using"  // the new key encrypts, and not every director uses it
)

// Backend is one row of the table.
type Backend struct {
	IP     IP     `json:"ip"`
	Name   string `json:"name"` // host name, "" if given by address
	Tag    string `json:"tag"`
	VHosts int    `json:"vhosts"` // the operator's count
	// Factor is by how much the directors change the weight to even out load, in percent of vhosts.
	Factor int     `json:"factor"`
	Load   *uint64 `json:"load"` // sessions, or percent with agents; null: not known
	// Standby says that it takes users only while no other backend of its tag does, Idle that it
	// takes none for that now.
	Standby        bool       `json:"standby"`
	Idle           bool       `json:"idle"`
	State          string     `json:"state"` // up or down
	StateChangedAt *time.Time `json:"state_changed_at"`
	Users          int        `json:"users"`   // mappings to this backend
	Leaving        int        `json:"leaving"` // users who are being moved away from it
	// Drain and Rebalance are null if there never was one.
	Drain     *Task `json:"drain"`
	Rebalance *Task `json:"rebalance"`
	// Gone says that its name does not have its address any more: it is drained for that, unless an
	// operator keeps it in use.
	Gone bool `json:"gone"`
	// Failure is null unless the directors that observe the backend see it failed.
	Failure *BackendFailure `json:"failure"`
	// SlowStart is null unless the backend came into use lately and gets few of the new users yet.
	SlowStart *SlowStart `json:"slow_start"`
}

// SlowStart is how much of its share a backend has that starts slowly.
type SlowStart struct {
	Percent int        `json:"percent"` // of its share
	Since   *time.Time `json:"since"`
	EndsAt  *time.Time `json:"ends_at"` // then it has all
}

// BackendFailure is that a backend has failed.
type BackendFailure struct {
	Since *time.Time `json:"since"`
	By    string     `json:"by"` // the director that wrote it
	// Kept is true if the backend stays in use all the same, since too many have failed.
	Kept bool `json:"kept"`
}

// Health answers GET /v1/health: what the directors see of the backends.
type Health struct {
	Watching []string `json:"watching"` // the directors that check backends
	// Writer says that the director that was asked is the one that takes failed backends out.
	Writer bool `json:"writer"`
	// OutOfContact says that it is in contact with fewer than half of the directors that it knows,
	// and takes none out.
	OutOfContact bool            `json:"out_of_contact"`
	Backends     []BackendHealth `json:"backends"` // ordered by address
	Alarms       []HealthAlarm   `json:"alarms"`
}

// BackendHealth is what is seen of one backend.
type BackendHealth struct {
	IP    IP     `json:"ip"`
	Tag   string `json:"tag"`
	State string `json:"state"` // up or down, as operators have it
	// Health is good, failing (seen, and not yet long enough), failed (out of use), kept (failed,
	// in use all the same), cleared (up was given, and it still fails or has not been good for
	// three rounds) or unseen.
	Health  string          `json:"health"`
	Failure *BackendFailure `json:"failure"`
	// Flaps is how often in a row one that has failed did so within ten minutes of being good
	// again, and GoodForMS how long it must be good to come back.
	Flaps     int        `json:"flaps"`
	GoodForMS int64      `json:"good_for_ms"`
	Observers []Observer `json:"observers"` // by name
}

// The healths of a backend.
const (
	HealthGood    = "good"
	HealthFailing = "failing"
	HealthFailed  = "failed"
	HealthKept    = "kept"
	HealthCleared = "cleared"
	HealthUnseen  = "unseen"
)

// Observer is what one director sees of a backend.
type Observer struct {
	Director string     `json:"director"`
	Sees     string     `json:"sees"` // good, failing or unseen
	Since    *time.Time `json:"since"`
	Reason   string     `json:"reason"` // what is wrong with a failing one
}

// HealthAlarm says that more backends of a tag seem to fail at once than may be out of use. Then
// none is taken out.
type HealthAlarm struct {
	Tag     string `json:"tag"`
	Failing int    `json:"failing"`
	Most    int    `json:"most"` // so many may be out
}

// Task is users of a backend being moved away by all directors together.
type Task struct {
	On    bool       `json:"on"`    // it goes on; a backend that is drained stays so without users
	Since *time.Time `json:"since"` // when it began or ended
	By    *time.Time `json:"by"`    // when the last user is to be moved; null: as soon as may be
	// users that are moved at a time; 0: as many as the director's setting says
	MaxParallel int `json:"max_parallel"`
	// Waits says that it waits for another backend of the tag to be usable.
	Waits  bool  `json:"waits"`
	LateMS int64 `json:"late_ms"` // since when the last user was to have been moved
}

// MovesUsers reports whether users of the backend are to be moved away.
func (b Backend) MovesUsers() bool {
	drains := b.Drain != nil && b.Drain.On && b.Users+b.Leaving > 0
	return drains || b.Rebalance != nil && b.Rebalance.On
}

// The states of a backend.
const (
	StateUp   = "up"
	StateDown = "down"
)

// Backends answers GET /v1/backends.
type Backends struct {
	Backends []Backend `json:"backends"` // ordered by address
	Removed  []IP      `json:"removed"`  // configured, but not in the table
	// OutOfContact says that the director that was asked is in contact with fewer than half of the
	// directors that it knows, and moves nobody for a drain or rebalance.
	OutOfContact bool `json:"out_of_contact"`
}

// User is where one user is and would be.
type User struct {
	UserHash uint32 `json:"user_hash"`
	Tag      string `json:"tag"`
	Mapped   bool   `json:"mapped"`
	Moving   bool   `json:"moving"`
	// the mapping's backend, else where a login would go now
	Current       IP         `json:"current"`
	ExpiresAt     *time.Time `json:"expires_at"`
	Hashed        IP         `json:"hashed"`
	InitialConfig IP         `json:"initial_config"`
	Pinned        IP         `json:"pinned"` // "": not pinned
}

// Mapping is one user's mapping.
type Mapping struct {
	Tag       string    `json:"tag"`
	UserHash  uint32    `json:"user_hash"`
	Backend   IP        `json:"backend"`
	ExpiresAt time.Time `json:"expires_at"`
	Moving    bool      `json:"moving"`
}

// LookupRequest asks for one user's backend.
type LookupRequest struct {
	User string `json:"user"`
	Tag  string `json:"tag,omitempty"`
}

// LookupAnswer is one user's backend, or the error.
type LookupAnswer struct {
	User    string `json:"user"`
	Tag     string `json:"tag,omitempty"`
	Backend IP     `json:"backend"`
	Error   *Error `json:"error,omitempty"`
}

// Flush is how a flush goes, as last heard.
type Flush struct {
	Director  string     `json:"director"` // that began it
	ID        uint64     `json:"id"`
	Backend   IP         `json:"backend"`  // empty: all backends
	Total     uint64     `json:"total"`    // users to move
	Scanning  bool       `json:"scanning"` // total is still growing
	Moved     uint64     `json:"moved"`
	Moving    uint64     `json:"moving"`
	Failed    uint64     `json:"failed"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Cancelled bool       `json:"cancelled"`
	Lost      bool       `json:"lost"` // the director that ran it died, and no other one goes on
	// users with sessions that were seen and could not be ended
	UsersLeft uint64 `json:"users_left"`
	NoKicker  bool   `json:"no_kicker"` // a director has no way to end sessions
	Runner    string `json:"runner"`    // the director that runs it, or ran it last
}

// Ended reports whether no more will be heard of the flush.
func (f Flush) Ended() bool { return f.EndedAt != nil || f.Lost }

// Flushes answers GET /v1/flushes.
type Flushes struct {
	Flushes []Flush `json:"flushes"`
}
