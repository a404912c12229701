package api

import "time"

// Names answers GET /v1/names: what the directors see of the names of backends.
type Names struct {
	Watching []string `json:"watching"` // the directors that look names up, by name
	// Count is how many directors count: more than half of them must see an address.
	Count int `json:"count"`
	// Writer says that the director that was asked is the one that follows the names.
	Writer bool `json:"writer"`
	// OutOfContact says that it is in contact with fewer than half of the directors that it knows,
	// and follows none.
	OutOfContact bool        `json:"out_of_contact"`
	Names        []Name      `json:"names"` // by name
	Alarms       []NameAlarm `json:"alarms"`
}

// Name is a name of backends.
type Name struct {
	Name      string         `json:"name"`
	Tag       string         `json:"tag"`
	Directors []NameDirector `json:"directors"` // that look it up, by name
	Addresses []NameAddress  `json:"addresses"` // ordered by address
}

// Text is a name as it stands in the list of mail servers.
func (n Name) Text() string {
	if n.Tag == "" {
		return n.Name
	}
	return n.Name + "@" + n.Tag
}

// NameDirector is what one director sees of a name.
type NameDirector struct {
	Director string     `json:"director"`
	Resolves bool       `json:"resolves"`
	Since    *time.Time `json:"since"`
	Reason   string     `json:"reason"` // why it does not resolve
	// Settled says that it has looked the name up for so long that what it does not see is gone.
	Settled   bool `json:"settled"`
	Addresses int  `json:"addresses"` // that it has seen lately
}

// NameAddress is an address that a name has for a director, or had when it became a backend.
type NameAddress struct {
	IP      IP   `json:"ip"`
	VHosts  int  `json:"vhosts"` // that it would be added with
	Standby bool `json:"standby"`
	// State is used, missing (no director has seen it lately), gone (and drained for it), retained
	// (gone, and kept in use by an operator), new (not seen by most), ready (about to be added),
	// removed (by an operator), by_address (added by address, and left alone) or conflict.
	State  string   `json:"state"`
	SeenBy []string `json:"seen_by"` // directors, by name
}

// The states of an address of a name.
const (
	NameUsed      = "used"
	NameMissing   = "missing"
	NameGone      = "gone"
	NameRetained  = "retained"
	NameNew       = "new"
	NameReady     = "ready"
	NameRemoved   = "removed"
	NameByAddress = "by_address"
	NameConflict  = "conflict"
)

// NameAlarm says that of the backends of a tag so many are gone from their names at once that none
// is drained for it.
type NameAlarm struct {
	Tag  string `json:"tag"`
	Gone int    `json:"gone"`
	Most int    `json:"most"` // so many may be drained for it
}
