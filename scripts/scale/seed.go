//go:build scale

package main

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"directormesh/directory"
	"directormesh/mesh"
	"directormesh/ring"
)

// seedNumber is the number of the director in this process.
const seedNumber = 200

// userNames is how users are called, in the words of package load.
const userNames = "user%d@example.org"

// population says what users the mesh begins with.
type population struct {
	users  int
	expire time.Duration
	// Users were last seen in this span before now, evenly spread, and assigned in the two hours
	// before that.
	oldest, newest time.Duration
	// strayed of them are on a backend where they do not hash to, each of them on the first that is
	// another.
	strayed int
}

// seed founds a mesh in this process.
func seed(ctx context.Context, p population, keys [][]byte) (*mesh.Node, error) {
	backends, err := ring.ParseMailServers(mailServers, nil)
	if err != nil {
		return nil, err
	}
	addr := addrOf(seedNumber)
	n, err := mesh.New(mesh.Config{
		Name: "seed", Mesh: "director", Bind: addr, Advertise: addr,
		HashFormat: "%Lu", Expire: p.expire, Backends: backends, Log: zerolog.Nop(), Keys: keys,
	})
	if err != nil {
		return nil, err
	}
	if err := n.WaitSynced(ctx); err != nil {
		return nil, err
	}
	p.fill(n.Directory(), n.MeshTime(), backends)
	return n, nil
}

// fill makes the mappings.
func (p population) fill(d *directory.Directory, now directory.Time, backends []ring.Backend) {
	random := rand.New(rand.NewPCG(1, 1))
	var rows []directory.Mapping
	flush := func() { d.Merge("", rows, now, nil); rows = rows[:0] }
	for u := range p.places(backends) {
		activity := now.Add(-p.newest - time.Duration(random.Int64N(int64(p.oldest-p.newest)+1)))
		rows = append(rows, directory.Mapping{
			Hash: u.hash, Backend: u.backend, Generation: 1,
			Activity: activity.Tick(),
			Stamp:    activity.Add(-time.Duration(random.Int64N(int64(2 * time.Hour)))).Tick(),
		})
		if len(rows) == 1<<16 {
			flush()
		}
	}
	flush()
}

// placed is a user and where it is at first.
type placed struct {
	hash    ring.UserHash
	number  uint32 // in its name
	backend netip.Addr
	strayed bool
}

// places gives all users by hash.
func (p population) places(backends []ring.Backend) iter.Seq[placed] {
	return func(yield func(placed) bool) {
		rings := ring.Build(backends, nil)
		format, _ := ring.ParseHashFormat("%Lu") // has a test of its own
		byHash := make([]uint64, p.users)        // hash, number
		for i := range byHash {
			byHash[i] = uint64(format.Hash(fmt.Sprintf(userNames, i+1)))<<32 | uint64(i+1)
		}
		slices.Sort(byHash)
		every := p.users + 1
		if p.strayed > 0 {
			every = p.users / p.strayed
		}
		for i, both := range byHash {
			u := placed{
				hash: ring.UserHash(both >> 32), number: uint32(both), strayed: i%every == every-1,
			}
			u.backend, _ = rings.Lookup("", u.hash)
			if u.strayed {
				u.backend = otherThan(u.backend, backends)
			}
			if !yield(u) {
				return
			}
		}
	}
}

// sessions gives each user who has strayed a session beside one of the directors, and as many of
// the others.
func (p population) sessions(staying, directors int) (beside [][]loggedIn) {
	beside = make([][]loggedIn, directors)
	backends, _ := ring.ParseMailServers(mailServers, nil) // seed reports it
	n := 0
	for u := range p.places(backends) {
		if !u.strayed {
			if staying == 0 {
				continue
			}
			staying--
		}
		beside[n%directors] = append(beside[n%directors],
			loggedIn{fmt.Sprintf(userNames, u.number), u.backend})
		n++
	}
	return beside
}

func otherThan(place netip.Addr, backends []ring.Backend) netip.Addr {
	if backends[0].Addr != place {
		return backends[0].Addr
	}
	return backends[1].Addr
}
