package api

// Sessions answers GET /v1/sessions: the sessions that Dovecot proxies, on all directors.
type Sessions struct {
	Sessions  []UserSessions     `json:"sessions"` // by user hash, backend and director
	More      bool               `json:"more"`     // there are others, which are left out
	Directors []SessionsDirector `json:"directors"`
}

// UserSessions are the sessions of one user on one backend, as one director lists them.
type UserSessions struct {
	UserHash uint32 `json:"user_hash"`
	Backend  IP     `json:"backend"`
	Director string `json:"director"`
	Sessions int    `json:"sessions"`
	// Mapped is where the user's mapping is, as the director that was asked has it; empty: nowhere.
	// Sessions elsewhere are to end.
	Mapped IP `json:"mapped"`
}

// SessionsDirector is what one director contributed to an answer.
type SessionsDirector struct {
	Name     string `json:"name"`
	Sessions int    `json:"sessions"` // those that are left out among them
	// Lists says that it can list sessions: it has a socket of Dovecot's for that.
	Lists bool   `json:"lists"`
	Error string `json:"error"` // why it did not answer, or not with all; "" if it did
}

// MaxSessions is how many UserSessions an answer has, at most.
const MaxSessions = 100_000

// SessionsQuery selects sessions. The zero value selects all.
type SessionsQuery struct {
	User    string // name, "" for all users
	Backend IP     // empty for all
}
