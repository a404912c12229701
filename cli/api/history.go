package api

import (
	"net/url"
	"strconv"
	"time"
)

// AdminChange is a change that somebody asked for, or one of the table of which it is not known who
// did.
type AdminChange struct {
	At     time.Time `json:"at"`      // mesh time when it was asked for
	WallAt time.Time `json:"wall_at"` // the clock of the director that noted it
	// the director that was asked; "" if that is not known
	Director string `json:"director"`
	// user id and process id, a user or certificate, or an address; "" if that is not known
	Who  string `json:"who"`
	From string `json:"from"` // address of a user or certificate, else ""
	Door string `json:"door"` // director.sock, http or director-admin; "" if that is not known
	// what was asked for, or what asks for such a change, if nobody is known to have asked
	Action          string         `json:"action"`
	Details         []ChangeDetail `json:"details"`
	TookMS          int64          `json:"took_ms"`
	Error           string         `json:"error"` // why it failed, "" if it did not
	FailedDirectors []string       `json:"failed_directors"`
	NotKept         []string       `json:"not_kept"`
	SeenBy          []string       `json:"seen_by"` // directors that have noted it
}

// ChangeDetail says more about a change.
type ChangeDetail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// HistoryDirector is what one director contributed to an answer.
type HistoryDirector struct {
	Name string `json:"name"`
	// null if it answered that it knows nothing, or did not answer
	Since  *time.Time `json:"since"`
	Memory bool       `json:"memory"` // it has no data directory: a restart loses what it knows
	More   bool       `json:"more"`   // it knows of more, older changes than it was asked for
	Error  string     `json:"error"`  // why it did not answer, or not with all; "" if it did
}

// HistoryLapse is a time of which a director may lack something.
type HistoryLapse struct {
	Director string     `json:"director"`
	Since    *time.Time `json:"since"` // null: from the beginning
	Till     time.Time  `json:"till"`
	Reason   string     `json:"reason"` // begun, stopped, crashed or lost
	Lost     uint64     `json:"lost"`   // notes that are missing, as far as that is known
}

// The reasons of lapses.
const (
	LapseBegun   = "begun"
	LapseStopped = "stopped"
	LapseCrashed = "crashed"
	LapseLost    = "lost"
)

// HistoryQuery asks for a part of the history. The zero value asks for all of it.
type HistoryQuery struct {
	Since, Until time.Time // zero: from the beginning, to now
	Limit        int       // the newest so many; 0: as many as a director gives
}

func (q HistoryQuery) values() url.Values {
	values := url.Values{}
	if !q.Since.IsZero() {
		values.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if !q.Until.IsZero() {
		values.Set("until", q.Until.UTC().Format(time.RFC3339Nano))
	}
	if q.Limit != 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	return values
}

// MaxHistory is how many changes can be asked for at once.
const MaxHistory = 10_000

// History answers GET /v1/history.
type History struct {
	Changes   []AdminChange     `json:"changes"`   // oldest first
	Directors []HistoryDirector `json:"directors"` // by name
	Lapses    []HistoryLapse    `json:"lapses"`
}

// UserChange is a change of a user's backend.
type UserChange struct {
	At     time.Time `json:"at"`
	WallAt time.Time `json:"wall_at"`
	Tag    string    `json:"tag"`
	From   IP        `json:"from"` // empty: none, or not known
	To     IP        `json:"to"`   // empty: none, the user was forgotten
	// login, move, flush, session, import, conflict, expired, forgotten, removed, failed or other
	Reason string `json:"reason"`
	By     string `json:"by"` // the director that decided it; "" if that is not known
	// what it followed from; null if nobody asked, or nobody knows who did
	Asked  *AdminChange `json:"asked"`
	SeenBy []string     `json:"seen_by"`
}

// UserStay is where a user was.
type UserStay struct {
	Tag string `json:"tag"`
	// there, there_if_active, nowhere or unknown
	Certainty string      `json:"certainty"`
	Backend   IP          `json:"backend"`
	Since     *time.Time  `json:"since"`
	Until     *time.Time  `json:"until"` // the next change that is known of
	Why       *UserChange `json:"why"`   // null if that is not known
}

// How certain it is where a user was.
const (
	StayThere         = "there"
	StayThereIfActive = "there_if_active"
	StayNowhere       = "nowhere"
	StayUnknown       = "unknown"
)

// UserHistory answers GET /v1/history/user.
type UserHistory struct {
	UserHash     uint32            `json:"user_hash"`
	UserExpireMS int64             `json:"user_expire_ms"`
	At           *time.Time        `json:"at"`      // the moment that was asked for
	Stays        []UserStay        `json:"stays"`   // then, by tag; none: nothing is known
	Changes      []UserChange      `json:"changes"` // oldest first
	Directors    []HistoryDirector `json:"directors"`
	Lapses       []HistoryLapse    `json:"lapses"`
}
