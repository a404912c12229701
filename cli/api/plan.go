package api

import "strings"

// Plan is what a change would do to users. Nothing is changed by asking for it.
type Plan struct {
	// Table is the digest of the table that it goes by. A change that is given it as if_plan fails
	// if the table is another one by then.
	Table string `json:"table"`
	// Users would be moved, by the change itself or by a flush that follows it; Due of them are to
	// be moved by a flush without the change too.
	Users int `json:"users"`
	Due   int `json:"due"`
	// Forgotten of the users are not moved, but get another backend at their next login.
	Forgotten int              `json:"forgotten"`
	Moves     []PlannedMoves   `json:"moves"` // ordered by tag, from and to
	Backends  []PlannedBackend `json:"backends"`
	LeastMS   int64            `json:"least_ms"` // how long the moves take at least
	// SlowStartMS is over how long a backend gets its whole share, which it has here; 0: at once.
	SlowStartMS int64 `json:"slow_start_ms"`
}

// PlannedMoves are the users of one backend who would get the same other one.
type PlannedMoves struct {
	Tag   string `json:"tag"`
	From  IP     `json:"from"`
	To    IP     `json:"to"` // "": no backend is left
	Users int    `json:"users"`
}

// PlannedBackend is a backend of a tag that is concerned.
type PlannedBackend struct {
	IP         IP      `json:"ip"`
	Tag        string  `json:"tag"`
	Users      int     `json:"users"`       // now
	UsersAfter int     `json:"users_after"` // when all are moved
	Share      float64 `json:"share"`       // of the new users of the tag, now: 0 to 1
	ShareAfter float64 `json:"share_after"`
}

// plans is where a plan of an operation is asked for, before the operation's path.
const plans = "/v1/plan"

// PlanPath is where a plan of an operation is asked for; "" if there are none of it.
func PlanPath(op Operation) string {
	switch op.(type) {
	case AddBackend, UpdateBackend, RemoveBackend, BackendUp, BackendDown, DrainBackend,
		UndrainBackend, Rebalance, ResetBalance, FlushUsers, PinUser, UnpinUser:
		return plans + strings.TrimPrefix(op.Path(), "/v1")
	}
	return ""
}
