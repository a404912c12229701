package api

import "time"

// DataDir is how a director's data directory does.
type DataDir struct {
	Problem string `json:"problem"` // why nothing is kept at present, "" if it is
	Bytes   int64  `json:"bytes"`   // of its files
}

// DataContents is what a data directory holds, as `director data inspect` shows it.
type DataContents struct {
	Director  string     `json:"director"` // whose it is, "" if that is not known
	Mesh      string     `json:"mesh"`
	MeshID    string     `json:"mesh_id"`
	MeshAgeMS int64      `json:"mesh_age_ms"`
	InUse     bool       `json:"in_use"`   // a director runs on it
	KeptAt    *time.Time `json:"kept_at"`  // mesh time of the last sync; null: there was none
	WholeAt   *time.Time `json:"whole_at"` // until then nothing of the mesh is missing
	Live      []string   `json:"live"`     // other directors that were live at the last sync
	Users     int        `json:"users"`    // with a mapping, expired or not
	Files     int        `json:"files"`    // that would be loaded
	Bytes     int64      `json:"bytes"`    // of these
	// Torn says that a part of a record at the end was left by a crash, which is in order.
	Torn        bool          `json:"torn"`
	Damaged     []string      `json:"damaged"`      // files that have lost what was kept
	LaterFormat []string      `json:"later_format"` // files that only a later release can read
	LeftOut     []string      `json:"left_out"`     // files that would not be loaded
	Unknown     uint64        `json:"unknown"`      // messages that only a later release knows
	Backends    []DataBackend `json:"backends"`
	Pins        []Pin         `json:"pins"`
}

// DataBackend is a backend in a data directory.
type DataBackend struct {
	IP     IP     `json:"ip"`
	Tag    string `json:"tag"`
	VHosts int    `json:"vhosts"`
	Down   bool   `json:"down"`
	Users  int    `json:"users"`
	// SlowStart is null unless the backend started slowly when the directory was last written.
	SlowStart *SlowStart `json:"slow_start"`
}
