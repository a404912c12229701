package api

import (
	"time"

	"directormesh/ring"
)

// DrainBackend gives a backend no new users and moves its users to where they hash now. With
// neither By nor OverMS they are moved as soon as may be.
type DrainBackend struct {
	IP     IP         `json:"ip"`
	By     *time.Time `json:"by,omitempty"`      // when the last user is to be moved
	OverMS int64      `json:"over_ms,omitempty"` // or in how long
	// users to move at a time, at most MaxParallel; absent: the director's setting
	MaxParallel int `json:"max_parallel,omitempty"`
	// however little of the tag's vhosts remains in use
	Force bool `json:"force,omitempty"`
}

// UndrainBackend lets a drained backend have new users again. Users who were moved stay where they
// are.
type UndrainBackend struct {
	IP IP `json:"ip"`
	// as of AddBackend
	SlowStartMS *int64 `json:"slow_start_ms,omitempty"`
}

// Rebalance moves the users of a tag, or of all, who are not where they hash now. The fields that
// say how fast are those of DrainBackend.
type Rebalance struct {
	Tag         *string    `json:"tag,omitempty"` // absent: all tags
	By          *time.Time `json:"by,omitempty"`
	OverMS      int64      `json:"over_ms,omitempty"`
	MaxParallel int        `json:"max_parallel,omitempty"`
}

// maxOver is for how long users may be moved at the most, in milliseconds: 30 days.
const maxOver int64 = 30 * 24 * 3_600_000

// checkPace checks how fast users are to be moved.
func checkPace(by *time.Time, overMS int64, parallel int) error {
	switch {
	case by != nil && overMS != 0:
		return Errorf(CodeBadRequest, "give either by or over_ms")
	case by != nil && by.UnixMilli() <= 0:
		return Errorf(CodeBadRequest, "by is before 1970")
	case overMS < 0 || overMS > maxOver:
		return Errorf(CodeBadRequest, "over_ms is %d; give a number from 1 to %d", overMS, maxOver)
	}
	return checkParallel(parallel)
}

func checkParallel(n int) error {
	if n < 0 || n > MaxParallel {
		return Errorf(CodeBadRequest, "max_parallel is %d; give a number from 1 to %d",
			n, MaxParallel)
	}
	return nil
}

// paceFields describe how fast users are to be moved.
func paceFields(by *time.Time, overMS int64, parallel int) (fields []Field) {
	if by != nil {
		fields = append(fields, Field{"by", by.UTC().Format(time.RFC3339)})
	}
	if overMS != 0 {
		fields = append(fields, Field{"over_ms", int(overMS)})
	}
	return append(fields, Field{"max_parallel", parallel})
}

// Path implements Operation.
func (DrainBackend) Path() string { return "/v1/backends/drain" }

// Check implements Operation.
func (o DrainBackend) Check() error {
	if err := needs(o.IP, "ip"); err != nil {
		return err
	}
	return checkPace(o.By, o.OverMS, o.MaxParallel)
}

// Describe implements Operation.
func (o DrainBackend) Describe(func(string) ring.UserHash) Description {
	more := paceFields(o.By, o.OverMS, o.MaxParallel)
	if o.Force {
		more = append(more, Field{"force", "true"})
	}
	return ofBackend("drain", o.IP, more...)
}

// Path implements Operation.
func (UndrainBackend) Path() string { return "/v1/backends/undrain" }

// Check implements Operation.
func (o UndrainBackend) Check() error { return checkComing(o.IP, o.SlowStartMS) }

// Describe implements Operation.
func (o UndrainBackend) Describe(func(string) ring.UserHash) Description {
	return ofBackend("undrain", o.IP, slowStartField(o.SlowStartMS)...)
}

// Path implements Operation.
func (Rebalance) Path() string { return "/v1/backends/rebalance" }

// Check implements Operation.
func (o Rebalance) Check() error { return checkPace(o.By, o.OverMS, o.MaxParallel) }

// Describe implements Operation.
func (o Rebalance) Describe(func(string) ring.UserHash) Description {
	return Description{
		"rebalance", append(tagField(o.Tag), paceFields(o.By, o.OverMS, o.MaxParallel)...),
	}
}
