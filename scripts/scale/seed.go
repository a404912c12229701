//go:build scale

package main

import (
	"context"
	"fmt"
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
	// Users were last seen in this span before now, evenly spread, and assigned in the two hours before that.
	oldest, newest time.Duration
	// strayed of them are on a backend where they do not hash to, each of them on the first that is another.
	strayed int
}

// seed founds a mesh in this process.
func seed(ctx context.Context, p population) (*mesh.Node, error) {
	backends, err := ring.ParseMailServers(mailServers, nil)
	if err != nil {
		return nil, err
	}
	addr := addrOf(seedNumber)
	n, err := mesh.New(mesh.Config{
		Name: "seed", Mesh: "director", Bind: addr, Advertise: addr,
		HashFormat: "%Lu", Expire: p.expire, Backends: backends, Log: zerolog.Nop(),
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
	rings := ring.Build(backends, nil)
	format, _ := ring.ParseHashFormat("%Lu") // has a test of its own
	hashes := make([]ring.UserHash, p.users)
	for i := range hashes {
		hashes[i] = format.Hash(fmt.Sprintf("user%d@example.org", i+1))
	}
	slices.Sort(hashes)
	every := p.users + 1
	if p.strayed > 0 {
		every = p.users / p.strayed
	}
	var rows []directory.Mapping
	for i, h := range hashes {
		place, _ := rings.Lookup("", h)
		if i%every == every-1 {
			place = otherThan(place, backends)
		}
		activity := now.Add(-p.newest - time.Duration(random.Int64N(int64(p.oldest-p.newest)+1)))
		rows = append(rows, directory.Mapping{
			Hash: h, Backend: place, Generation: 1,
			Activity: activity.Tick(), Stamp: activity.Add(-time.Duration(random.Int64N(int64(2 * time.Hour)))).Tick(),
		})
		if len(rows) == 1<<16 || i == len(hashes)-1 {
			d.Merge("", rows, now, nil)
			rows = rows[:0]
		}
	}
}

func otherThan(place netip.Addr, backends []ring.Backend) netip.Addr {
	if backends[0].Addr != place {
		return backends[0].Addr
	}
	return backends[1].Addr
}
