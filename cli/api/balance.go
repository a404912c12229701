package api

import (
	"time"

	"directormesh/ring"
)

// Balance answers GET /v1/balance: how the load of backends is evened out, as the director that was
// asked knows it.
type Balance struct {
	// Mode is that of the director in charge; of the one that was asked, if there is none.
	Mode string `json:"mode"` // off, dryrun or on
	// InCharge is the director that changes factors, "" if none does.
	InCharge string `json:"in_charge"`
	Source   string `json:"source"` // what loads are: sessions, backends or agent
	// OutOfContact says that the director that was asked is in charge, and does nothing: it is in
	// contact with fewer than half of the directors that it knows.
	OutOfContact bool         `json:"out_of_contact"`
	Tags         []TagBalance `json:"tags"` // ordered by tag
}

// TagBalance is how the load of the backends of a tag is evened out.
type TagBalance struct {
	Tag string `json:"tag"`
	// Frozen says why no factor is changed now, "" if one may be.
	Frozen string `json:"frozen"`
	// NextAt is when a factor may be changed next; null while frozen.
	NextAt   *time.Time       `json:"next_at"`
	Backends []BackendBalance `json:"backends"` // ordered by address
}

// BackendBalance is how loaded a backend is, and what follows from it.
type BackendBalance struct {
	IP     IP       `json:"ip"`
	VHosts int      `json:"vhosts"`
	Factor int      `json:"factor"` // percent of vhosts that are its weight
	Load   *float64 `json:"load"`   // sessions, or percent with agents; null: not known
	Wanted *int     `json:"wanted"` // the factor that would even out load; null: not known
	// Due says that the factor is off by so much that it is changed when that may be.
	Due bool `json:"due"`
}

// The modes of balancing.
const (
	BalanceOff    = "off"
	BalanceDryRun = "dryrun"
	BalanceOn     = "on"
)

// Where loads come from.
const (
	LoadSessions = "sessions" // the sessions that the directors' proxies have
	LoadBackends = "backends" // the sessions that the backends say they have
	LoadAgent    = "agent"    // how busy the backends' agents say they are
)

// ResetBalance makes the vhost counts of a tag, or of all, the weights again. Directors that
// balance go on from there.
type ResetBalance struct {
	Tag *string `json:"tag,omitempty"` // absent: all tags
}

// Path implements Operation.
func (ResetBalance) Path() string { return "/v1/balance/reset" }

// Check implements Operation.
func (ResetBalance) Check() error { return nil }

// Describe implements Operation.
func (o ResetBalance) Describe(func(string) ring.UserHash) Description {
	return Description{"balance reset", tagField(o.Tag)}
}
