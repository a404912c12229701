package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Limits of a Config.
const (
	// MaxDepth keeps what is outstanding on a connection so small that it fits into socket buffers:
	// neither end can ever wait for the other to read.
	MaxDepth       = 200
	MaxUsers       = 100_000_000
	MaxDirectors   = 200
	MaxConnections = 10_000
	MaxRate        = 10_000_000
)

// Config says what to do.
type Config struct {
	Directors []Target
	Door      Door
	Users     Users
	// of all users; "" is the default tag. Doors with an auth behind them have it from there
	Tag         string
	Connections int // to each director
	Depth       int // requests outstanding on a connection; not with Rate
	Rate        float64
	Duration    time.Duration
	// Patience is how long answers are waited for after the end; a lookup may wait for 30 s. What
	// comes later counts as failed.
	Patience time.Duration
	// Moves says that users are being moved meanwhile: a user's backend may change then, but not
	// back.
	Moves bool
	Seed  uint64
	Login Login // for DoorLogin
	// Progress, unless nil, is called every second by a goroutine of Run's.
	Progress func(Progress)

	// Dial connects to a director; nil: by the network.
	Dial func(ctx context.Context, t Target) (net.Conn, error)
	// newSleeper makes what waits for the next moment of the schedule; nil: the most exact one of
	// this platform.
	newSleeper func() (sleeper, error)
}

// Target is where one director listens.
type Target struct {
	Name    string // in results
	Network string // unix or tcp
	Address string
}

// Login is what login processes tell of themselves.
type Login struct {
	Password string // of all users
	Service  string // imap, pop3, …
}

// Progress is what has happened in the last second.
type Progress struct {
	At      time.Duration // since the start
	Lookups int64         // answered in that second
	Failed  int64         // so far
	Wrong   int64         // so far
	P99     time.Duration // of that second
}

// Check returns all that is wrong with a configuration. Run does it too.
func (c *Config) Check() error {
	var errs []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(len(c.Directors) >= 1 && len(c.Directors) <= MaxDirectors,
		"directors: %d are given; 1 to %d are possible", len(c.Directors), MaxDirectors)
	require(c.Users.Count >= 1 && c.Users.Count <= MaxUsers, "users: %d; 1 to %d are possible",
		c.Users.Count, MaxUsers)
	require(c.Connections >= 1 && c.Connections <= MaxConnections,
		"connections: %d; 1 to %d are possible", c.Connections, MaxConnections)
	require(c.Rate >= 0 && c.Rate <= MaxRate, "rate: %v; give requests a second up to %d",
		c.Rate, MaxRate)
	require(c.Rate > 0 || c.Depth >= 1 && c.Depth <= MaxDepth, "depth: %d; 1 to %d are possible",
		c.Depth, MaxDepth)
	require(c.Duration > 0, "duration: %v; it must be positive", c.Duration)
	require(c.Users.Zipf == 0 || c.Users.Zipf > 1, "zipf: %v; the exponent must be above 1",
		c.Users.Zipf)
	require(!c.Users.Each || c.Users.Zipf == 0,
		"users are either taken one after the other or by chance")
	require(textual(c.Tag), "tag %q has control characters", c.Tag)
	require(textual(c.Login.Service), "service %q has control characters", c.Login.Service)
	require(c.Door.protocols() != nil, "door %q is not known", c.Door)
	return errors.Join(errs...)
}

// textual reports whether a text can be sent in a field of a line as it is.
func textual(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' {
			return false
		}
	}
	return true
}
