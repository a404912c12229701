package api

import (
	"time"

	"directormesh/ring"
)

// PinUser sends a user to one backend from now on, while it takes users. One who is mapped
// elsewhere is moved. The user is named by User or by UserHash, in the tag of the backend.
type PinUser struct {
	User     string  `json:"user,omitempty"`
	UserHash *uint32 `json:"user_hash,omitempty"`
	Backend  IP      `json:"backend"`
	// answer when a user who is moved is released, not when all directors hold the user
	Wait bool `json:"wait,omitempty"`
}

// UnpinUser lets a user go by hash again; a mapping stays. The user is named by User or by
// UserHash.
type UnpinUser struct {
	User     string  `json:"user,omitempty"`
	UserHash *uint32 `json:"user_hash,omitempty"`
	Tag      string  `json:"tag,omitempty"`
}

// Pin is a user who is pinned.
type Pin struct {
	UserHash uint32    `json:"user_hash"`
	Tag      string    `json:"tag"`
	Backend  IP        `json:"backend"`
	Since    time.Time `json:"since"`
	// Counts is false while the backend takes no users or is not in the table: the user then goes
	// by hash.
	Counts bool `json:"counts"`
}

// Pins answers GET /v1/pins.
type Pins struct {
	Pins []Pin `json:"pins"` // ordered by tag and hash
}

func checkUser(user string, hash *uint32) error {
	if (user == "") == (hash == nil) {
		return Errorf(CodeBadRequest, "give either user or user_hash")
	}
	return nil
}

// hashField describes a user without the name.
func hashField(user string, given *uint32, hash func(user string) ring.UserHash) Field {
	if given != nil {
		return Field{"user_hash", *given}
	}
	return Field{"user_hash", uint32(hash(user))}
}

// Path implements Operation.
func (PinUser) Path() string { return "/v1/pins/add" }

// Check implements Operation.
func (o PinUser) Check() error {
	if err := checkUser(o.User, o.UserHash); err != nil {
		return err
	}
	return needs(o.Backend, "backend")
}

// Describe implements Operation.
func (o PinUser) Describe(hash func(user string) ring.UserHash) Description {
	return ofBackend("pin", o.Backend, hashField(o.User, o.UserHash, hash))
}

// Path implements Operation.
func (UnpinUser) Path() string { return "/v1/pins/remove" }

// Check implements Operation.
func (o UnpinUser) Check() error { return checkUser(o.User, o.UserHash) }

// Describe implements Operation.
func (o UnpinUser) Describe(hash func(user string) ring.UserHash) Description {
	return Description{"unpin", []Field{
		hashField(o.User, o.UserHash, hash), {"tag", ring.Printable(o.Tag)},
	}}
}
