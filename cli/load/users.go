package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
)

// Users are the users who log in.
type Users struct {
	Names Names
	Count int
	// 0: all log in equally often; else the k-th log in as 1/k to the power of this, above 1
	Zipf float64
	Each bool // each once at every director, in order; then the run ends
}

// Names are the names of any number of users.
type Names struct {
	prefix, suffix         string
	jsonPrefix, jsonSuffix string // the same within a JSON string
}

// ParseNames reads a pattern such as user%d@example.org; %d stands for the number of the user, from
// 1.
func ParseNames(pattern string) (Names, error) {
	prefix, suffix, ok := strings.Cut(pattern, "%d")
	if !ok || strings.Contains(prefix+suffix, "%") {
		return Names{}, fmt.Errorf(
			"user names %q: give one %%d, which becomes the number of the user, and no other %%",
			pattern)
	}
	if !textual(pattern) {
		return Names{}, fmt.Errorf("user names %q: control characters have no place there", pattern)
	}
	inJSON := func(s string) string {
		raw, _ := json.Marshal(s) // strings can be encoded
		return string(raw[1 : len(raw)-1])
	}
	return Names{prefix, suffix, inJSON(prefix), inJSON(suffix)}, nil
}

// append appends the name of a user, counted from 0.
func (n *Names) append(b []byte, user uint32) []byte {
	b = append(b, n.prefix...)
	b = strconv.AppendUint(b, uint64(user)+1, 10)
	return append(b, n.suffix...)
}

func (n *Names) appendJSON(b []byte, user uint32) []byte {
	b = append(b, n.jsonPrefix...)
	b = strconv.AppendUint(b, uint64(user)+1, 10)
	return append(b, n.jsonSuffix...)
}

// errNoMoreUsers ends a run in which each user is asked for once.
var errNoMoreUsers = errors.New("all users have logged in")

// picker says who logs in next. It belongs to one goroutine, except for what is said otherwise.
type picker struct {
	users  Users
	random *rand.Rand
	zipf   *rand.Zipf
	next   *atomic.Int64 // of Users.Each: shared by all connections to a director
}

// newPicker returns a picker that draws the same users whenever it is made with the same numbers.
func newPicker(u Users, seed, stream uint64, next *atomic.Int64) *picker {
	p := &picker{users: u, random: rand.New(rand.NewPCG(seed, stream)), next: next}
	if u.Zipf > 0 {
		p.zipf = rand.NewZipf(p.random, u.Zipf, 1, uint64(u.Count-1))
	}
	return p
}

// pick returns a user, counted from 0.
func (p *picker) pick() (uint32, error) {
	switch {
	case p.users.Each:
		n := p.next.Add(1) - 1
		if n >= int64(p.users.Count) {
			return 0, errNoMoreUsers
		}
		return uint32(n), nil
	case p.zipf != nil:
		return uint32(p.zipf.Uint64()), nil
	}
	return p.random.Uint32N(uint32(p.users.Count)), nil
}
