package replica

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// BenchmarkPins is what 10,000 pins, the most that there may be, cost beside none: lookups of users
// who are known and of new ones, a change of a vhost count, and a look whether users are where they
// are pinned, of which there are two a second. Reports how large the state is that directors
// exchange.
func BenchmarkPins(b *testing.B) {
	for _, pins := range []int{0, directory.MaxPins} {
		b.Run(fmt.Sprint(pins), func(b *testing.B) { benchPins(b, pins) })
	}
}

func benchPins(b *testing.B, pins int) {
	const users = 100_000
	now := mono.Time(time.Hour)
	dir := directory.New(15 * time.Minute)
	core := New(Config{
		Name: "d1", Boot: 1, Mesh: "bench", HashFormat: "%Lu",
		Addr:   netip.MustParseAddrPort("127.0.0.1:9090"),
		Expire: 15 * time.Minute, KickDelay: 2 * time.Second, Backends: testBackends(50),
		Founder: true,
		Wall:    trueTime(0), Rand: rand.New(rand.NewPCG(1, 1)), Directory: dir,
	}, now)
	hash := func(i int) ring.UserHash { return ring.UserHash(i) * 40_009 }
	change := directory.Change{Mesh: core.table.Mesh()}
	for i := range pins { // every tenth user, where the user is
		u := ring.User{Hash: hash(10 * i)}
		change.Pins = append(change.Pins, directory.PinRow{
			User: u, Backend: directory.Register[netip.Addr]{
				Value: core.target(u), Stamp: directory.StampAt(core.MeshTime(now)), Origin: "d1",
			},
		})
	}
	core.apply(now, change, nil)
	for i := range users {
		core.TryLookup(now, "", hash(i))
	}
	core.outbox.Take()
	core.Take()
	state, err := wire.Encode(core.PushPull(now))
	if err != nil {
		b.Fatal(err)
	}

	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % users
			core.TryLookup(now, "", hash(i))
		}
		b.ReportMetric(float64(len(state)), "B/state")
	})
	b.Run("change", func(b *testing.B) {
		id, at := uint64(0), now
		for b.Loop() {
			id++
			at = at.Add(time.Millisecond)
			core.Do(at, id, UpdateBackend{Addr: testBackend(1), VHosts: 90 + int(id%20)})
			core.Take()
		}
		now = at
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			core.pinKeeper.look = 0
			core.keepPins(now)
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		i := users
		for b.Loop() {
			if i++; i&0xffff == 0 {
				core.outbox.Take()
			}
			core.TryLookup(now, "", hash(i))
		}
	})
}
