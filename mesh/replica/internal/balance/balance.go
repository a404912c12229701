package balance

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"directormesh/mesh/mono"
	"directormesh/ring"
)

const (
	// memory is over how many times the expire time of users loads and weights are averaged: 8 h
	// with the usual 15 minutes. Sessions live for hours, and load follows a factor as they end.
	memory = 32
	// calm is for how many times the expire time nothing else may have changed before a factor is.
	calm = 2
	// deadBand is by how many percent of the vhost count a weight has to be off before it is
	// changed, and backBand is that where the change is back to the vhost count.
	deadBand = 10
	backBand = 15
	// LeastLoad is the least load that says something, on average over the backends.
	LeastLoad = 10
)

// Memory is how long loads and weights are averaged over.
func Memory(expire time.Duration) time.Duration { return memory * expire }

// Calm is for how long nothing else may have changed before a factor is changed.
func Calm(expire time.Duration) time.Duration { return calm * expire }

// Backend is what is known of a backend that takes new users.
type Backend struct {
	Addr   netip.Addr
	VHosts int // more than 0
	Factor int // that it has, in percent
	// Load is in any unit; it is to be in proportion to the vhost counts.
	Load float64
}

func (b Backend) weight() float64 { return float64(b.VHosts*b.Factor) / ring.NoFactor }

// Enough reports whether the backends have so much load that it can be compared.
func Enough(backends []Backend) bool {
	total := 0.0
	for _, b := range backends {
		total += b.Load
	}
	return total >= LeastLoad*float64(len(backends))
}

// Averages are what the load and the weight of each backend of a tag were, on average. The zero
// value knows nothing.
type Averages struct {
	of    map[netip.Addr]*average
	noted mono.Time
}

type average struct {
	load   float64       // the backend's part of all load, times the number of backends
	weight float64       // its part of all weights, likewise
	age    time.Duration // of what these are averages of, the memory at most
}

// Note takes in what is known of all backends of the tag at some time; it forgets any others. There
// must be some load.
func (a *Averages) Note(now mono.Time, memory time.Duration, backends []Backend) {
	load, weight := 0.0, 0.0
	for _, b := range backends {
		load += b.Load
		weight += b.weight()
	}
	n := float64(len(backends))
	passed := max(min(now.Sub(a.noted), memory), 1)
	a.noted = now
	before := a.of
	a.of = make(map[netip.Addr]*average, len(backends))
	for _, b := range backends {
		has := average{
			load: b.Load / load * n, weight: b.weight() / weight * n, age: passed,
		}
		if was := before[b.Addr]; was != nil {
			has.age = min(was.age+passed, memory)
			part := float64(passed) / float64(has.age)
			has.load = was.load + (has.load-was.load)*part
			has.weight = was.weight + (has.weight-was.weight)*part
		}
		a.of[b.Addr] = &has
	}
}

// Forget forgets all: what was known does not hold any more.
func (a *Averages) Forget() { *a = Averages{} }

// Wanted returns the factors that the backends should have, in percent; none if nothing is known.
func (a *Averages) Wanted() map[netip.Addr]int {
	var costs []float64
	for _, has := range a.of {
		costs = append(costs, has.cost())
	}
	if len(costs) == 0 {
		return nil
	}
	slices.Sort(costs)
	middle := (costs[(len(costs)-1)/2] + costs[len(costs)/2]) / 2
	wanted := make(map[netip.Addr]int, len(a.of))
	for addr, has := range a.of {
		percent := math.Round(ring.NoFactor * middle / has.cost())
		wanted[addr] = int(min(max(percent, ring.MinFactor), ring.MaxFactor))
	}
	return wanted
}

// cost is what a part of the new users costs the backend. One without any load costs something,
// too, or it would have to get all of them.
func (a *average) cost() float64 { return max(a.load, 0.01) / a.weight }

// Due reports whether a factor is so far from the wanted one that it is to be changed.
func Due(has, wanted int) bool {
	off := max(has-wanted, wanted-has)
	if has < ring.NoFactor && wanted > has || has > ring.NoFactor && wanted < has {
		return off >= backBand
	}
	return off >= deadBand
}
