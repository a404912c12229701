package api

import (
	"time"

	"directormesh/ring"
)

// An Operation is a change of the mesh that an operator asks for. Its type is its home: where it is
// posted, what it demands, and how it is described stand in its methods. Operations lists all
// types.
//
// To add one, add a type here and to the list, and the operation that it becomes to
// replica.Operations or, for keys, to those of package mesh. The tests of cli/api, cli/daemon,
// cli/door/httpapi, cli, mesh and mesh/meshtest/sim name each place that lacks it.
type Operation interface {
	// Path is where the operation is posted, for example /v1/backends/add.
	Path() string
	// Check returns an *Error of CodeBadRequest if something is missing or out of range, without
	// asking any director.
	Check() error
	// Describe says what the operation does, for records of who did what.
	Describe(hash func(user string) ring.UserHash) Description
}

// Operations returns one operation of each type, empty. Doors offer what is in it.
func Operations() []Operation {
	return []Operation{
		AddBackend{}, UpdateBackend{}, RemoveBackend{}, BackendUp{}, BackendDown{},
		Move{}, KickUser{}, FlushUsers{}, CancelFlush{}, Forget{},
		AddDirector{}, RemoveDirector{}, ImportMappings{},
		AddKey{}, UseKey{}, RemoveKey{}, RotateKeys{}, Reload{},
		DrainBackend{}, UndrainBackend{}, Rebalance{}, PinUser{}, UnpinUser{}, ResetBalance{},
	}
}

// Description is what is recorded of an operation. It never holds the name of a user.
type Description struct {
	Action string // as people say it, for example "ring add"
	Fields []Field
}

// Field is one fact about an operation.
type Field struct {
	Name  string
	Value any // string, int or uint32
}

// AddBackend adds a backend. For one that is there it sets what is given.
type AddBackend struct {
	IP     IP      `json:"ip"`
	Tag    *string `json:"tag,omitempty"` // must be the tag of a backend that is there
	VHosts *int    `json:"vhosts,omitempty"`
	// takes users only while no other backend of the tag does; absent: unchanged for a known one
	Standby *bool `json:"standby,omitempty"`
	// over how long a backend that comes into use gets its whole share of the new users, at most
	// 24 hours, 0: at once; absent: the director's setting
	SlowStartMS *int64 `json:"slow_start_ms,omitempty"`
}

// UpdateBackend sets a backend's vhost count.
type UpdateBackend struct {
	IP     IP      `json:"ip"`
	Tag    *string `json:"tag,omitempty"` // if given it must be the backend's
	VHosts int     `json:"vhosts"`
	// as of AddBackend
	SlowStartMS *int64 `json:"slow_start_ms,omitempty"`
}

// RemoveBackend removes a backend, forgets its users and kicks the sessions on it.
type RemoveBackend struct {
	IP IP `json:"ip"`
}

// BackendUp lets a backend get new users again.
type BackendUp struct {
	IP IP `json:"ip"`
	// as of AddBackend
	SlowStartMS *int64 `json:"slow_start_ms,omitempty"`
}

// BackendDown keeps new users away from a backend; users who are mapped to it stay.
type BackendDown struct {
	IP IP `json:"ip"`
}

// Move gives one user another backend. The user is named by User or by UserHash, in the tag of the
// backend.
type Move struct {
	User     string  `json:"user,omitempty"`
	UserHash *uint32 `json:"user_hash,omitempty"`
	Backend  IP      `json:"backend"`
	// answer when the user is released, not when all directors hold the user
	Wait bool `json:"wait,omitempty"`
}

// KickUser ends a user's sessions on every director. The mapping stays.
type KickUser struct {
	User  string `json:"user"`            // name, or the value of Field
	Field string `json:"field,omitempty"` // auth field to select sessions by, instead of the name
}

// FlushUsers begins to move the users of a backend, or of all, to where they hash now.
type FlushUsers struct {
	Backend IP `json:"backend"` // "": all backends
	// at most MaxParallel; absent: the director's setting
	MaxParallel int `json:"max_parallel,omitempty"`
}

// MaxParallel is how many users a flush may move at a time.
const MaxParallel = 10_000

// CancelFlush keeps the flushes of a backend, or all flushes, from starting further moves,
// whichever directors run them.
type CancelFlush struct {
	Backend IP `json:"backend"` // "": all flushes
}

// Forget drops the mappings to a backend, or all, at once. No session is touched.
type Forget struct {
	Backend IP `json:"backend"` // "": all backends
}

// AddDirector makes the mesh contact a director, and accept it again if it had been removed. It is
// named either by IP or by Name.
type AddDirector struct {
	IP   IP     `json:"ip,omitempty"`
	Port int    `json:"port,omitempty"` // of IP; 0: the port of the director that is asked
	Name string `json:"name,omitempty"` // one that the director that is asked has seen
}

// RemoveDirector makes the mesh refuse a director. It is named either by IP or by Name.
type RemoveDirector struct {
	IP   IP     `json:"ip,omitempty"`
	Port int    `json:"port,omitempty"` // of IP; 0: the only director at this address
	Name string `json:"name,omitempty"` // one that the director that is asked has seen
}

// ImportMappings takes mappings over from another director, as far as their backends are in the
// table under their tag and they have not expired. A user who is mapped elsewhere here gets the
// imported backend.
type ImportMappings struct {
	Mappings []ImportedMapping `json:"mappings"` // at most MaxImport
	// Keep has the answer wait until the data directories have these mappings and those of all
	// requests before on their disks, two seconds at most. It is for the last one of many.
	Keep bool `json:"keep,omitempty"`
}

// MaxImport is how many mappings one ImportMappings may have.
const MaxImport = 4096

// ImportedMapping is one user of another director.
type ImportedMapping struct {
	Tag       string    `json:"tag,omitempty"`
	UserHash  uint32    `json:"user_hash"`
	Backend   IP        `json:"backend"`
	ExpiresAt time.Time `json:"expires_at"` // unless there is more activity
}

// AddKey gives all directors a key to decrypt with.
type AddKey struct {
	// Key is a line of a key file; "": a new key, which nobody is shown.
	Key string `json:"key,omitempty"`
}

// UseKey makes all directors encrypt with a key that they have.
type UseKey struct {
	ID string `json:"id"`
	// Without are directors that are removed from the mesh for it.
	Without []string `json:"without,omitempty"`
}

// RemoveKey removes a key for good.
type RemoveKey struct {
	ID      string   `json:"id"`
	Without []string `json:"without,omitempty"`
}

// RotateKeys replaces the key that encrypts by a new one, and removes it.
type RotateKeys struct {
	// FromFile takes the new key from each director's own key file; else one is made.
	FromFile bool     `json:"from_file,omitempty"`
	Without  []string `json:"without,omitempty"`
}

// Reload makes the director that is asked read its settings and files again, as SIGHUP does. Other
// directors are not concerned.
type Reload struct{}

// Outcome reports what an operation did.
type Outcome struct {
	// FailedDirectors were counted as failed while the operation waited for all directors: they do
	// not have the change yet.
	FailedDirectors []string `json:"failed_directors"`
	// Away are those of them that had not been heard for a while when the operation began.
	Away []AwayDirector `json:"away"`
	// Users is how many users are still mapped to the backend (BackendDown, DrainBackend).
	Users int `json:"users"`
	// Flush is the flush that was begun (FlushUsers).
	Flush *FlushID `json:"flush"`
	// Count is how many sessions were ended (KickUser), flushes that stop (CancelFlush) or
	// mappings taken (ImportMappings).
	Count int `json:"count"`
	// Known says that these were certainly all of the user's sessions (KickUser).
	Known bool `json:"known"`
	// SessionsLeft are sessions of the user that directors saw and could not end (Move, KickUser),
	// as far as they had reported.
	SessionsLeft []SessionsLeft `json:"sessions_left"`
	// NoKicker are directors without a way to end sessions (Move, KickUser, RemoveBackend), as far
	// as they had reported.
	NoKicker []string `json:"no_kicker"`
	// NotKept are directors whose data directories did not have the change on the disk within two
	// seconds. It holds there; but if all directors stop at once, it may be lost with them.
	NotKept []string `json:"not_kept"`
	// KeptByNone says that no director has it on its disk although some have a data directory, be
	// they away.
	KeptByNone bool `json:"kept_by_none"`
	// Reloaded are the settings that had changed and are in force now, NeedRestart those that only
	// a restart applies (Reload).
	Reloaded    []string `json:"reloaded"`
	NeedRestart []string `json:"need_restart"`
	// Key is the id of the key that was added, used or removed; the new one of a rotation.
	Key string `json:"key"`
}

// SessionsLeft is how many sessions a director could not end.
type SessionsLeft struct {
	Director string `json:"director"`
	Sessions int    `json:"sessions"`
}

// Complete makes the lists that are absent empty.
func (o Outcome) Complete() Outcome {
	if o.FailedDirectors == nil {
		o.FailedDirectors = []string{}
	}
	if o.Away == nil {
		o.Away = []AwayDirector{}
	}
	if o.SessionsLeft == nil {
		o.SessionsLeft = []SessionsLeft{}
	}
	if o.NoKicker == nil {
		o.NoKicker = []string{}
	}
	if o.NotKept == nil {
		o.NotKept = []string{}
	}
	if o.Reloaded == nil {
		o.Reloaded = []string{}
	}
	if o.NeedRestart == nil {
		o.NeedRestart = []string{}
	}
	return o
}

// AwayDirector is a director that is not heard.
type AwayDirector struct {
	Director string    `json:"director"`
	Since    time.Time `json:"since"` // when it was last heard
}

// FlushID names a flush in the whole mesh.
type FlushID struct {
	Director string `json:"director"`
	ID       uint64 `json:"id"`
}
