package balance

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"time"

	"directormesh/mesh/mono"
	"directormesh/ring"
)

// law says what factors backends should have.
type law int

const (
	static   law = iota // the vhost counts stay the weights
	balanced            // the law of this package
	byLoad              // the average load divided by the backend's; this package does not do it
	inSteps             // 0.05 more or less than before; neither
)

func (l law) String() string {
	return [...]string{"static", "balanced", "by load", "in steps"}[l]
}

// cluster is days of a cluster in which users come and go. A user who is mapped stays where the
// mapping is, as long as there are sessions and expire after that.
type cluster struct {
	backends, users, days int
	zipf                  float64 // exponent of how users differ in how often they log in
	law                   law
	last                  time.Duration // of a session, on average

	slow   int     // a backend that is slow for a day, from 10:00 of the second one on; -1: none
	longer float64 // sessions that begin there then last so many times as long
	dearer float64 // load of a session that is there then
}

// outcome is how days were, after the first.
type outcome struct {
	busiest float64 // load of the busiest backend divided by the average, on average over time
	spread  float64 // standard deviation of the backends' loads, divided by the average
	slow    float64 // load of the slow one divided by the average, after four hours of being slow
	changes float64 // of a backend's factor, in the first day
	later   float64 // a day, after it
	swings  float64 // of these, changes against the one before
}

const (
	expire  = 15 // minutes, which are the unit of time of these days
	perDay  = 24 * 60
	morning = 10 * 60
)

// day is one run: its state, and what is measured.
type day struct {
	cluster
	rng      *rand.Rand
	rings    *ring.Rings
	table    []ring.Backend
	averages Averages

	hashes  []ring.UserHash
	weights []float64 // sums of how often users log in
	home    []int     // of each user: the backend; -1: not mapped
	live    []int     // sessions of each user
	until   []int     // when the mapping of one without sessions ends

	sessions, mapped []int // of each backend
	ending           [][]visit
	expiring         [][]int

	direction []int
	changedAt int
	out       outcome
}

type visit struct{ user, backend int }

func (c cluster) run(seed uint64) outcome {
	d := &day{
		cluster: c, rng: rand.New(rand.NewPCG(seed, 7)), changedAt: -expire,
		hashes: make([]ring.UserHash, c.users), weights: make([]float64, c.users+1),
		home: make([]int, c.users), live: make([]int, c.users), until: make([]int, c.users),
		sessions: make([]int, c.backends), mapped: make([]int, c.backends),
		ending: make([][]visit, c.days*perDay), expiring: make([][]int, c.days*perDay+expire),
		direction: make([]int, c.backends),
	}
	for b := range c.backends {
		d.table = append(d.table, ring.Backend{
			Addr: netip.AddrFrom4([4]byte{10, 0, byte(b / 250), byte(b%250 + 1)}), VHosts: 100,
		})
	}
	d.rings = ring.Build(d.table, nil)
	for u := range c.users {
		d.hashes[u] = ring.UserHash(d.rng.Uint32())
		d.home[u] = -1
		d.weights[u+1] = d.weights[u] + math.Pow(float64(u+1), -c.zipf)
	}
	measured := 0
	for minute := range c.days * perDay {
		d.end(minute)
		d.begin(minute)
		d.balance(minute)
		if minute >= perDay {
			d.measure(minute)
			measured++
		}
	}
	d.out.busiest /= float64(measured)
	d.out.spread /= float64(measured)
	if c.slow >= 0 {
		d.out.slow /= float64(perDay - 4*60)
	}
	d.out.changes /= float64(c.backends)
	d.out.later /= float64(c.backends * (c.days - 1))
	d.out.swings /= float64(c.backends * (c.days - 1))
	return d.out
}

// end ends sessions, and the mappings of those who have had none for a while.
func (d *day) end(minute int) {
	for _, s := range d.ending[minute] {
		d.sessions[s.backend]--
		if d.live[s.user]--; d.live[s.user] == 0 {
			d.until[s.user] = minute + expire
			d.expiring[minute+expire] = append(d.expiring[minute+expire], s.user)
		}
	}
	for _, u := range d.expiring[minute] {
		if d.live[u] == 0 && d.until[u] == minute && d.home[u] >= 0 {
			d.mapped[d.home[u]]--
			d.home[u] = -1
		}
	}
	d.ending[minute], d.expiring[minute] = nil, nil
}

func (d *day) isSlow(minute int) bool {
	return minute >= perDay+morning && minute < 2*perDay+morning
}

// begin lets users log in: as many as are usual at this time of the day, five times as many at noon
// as at night.
func (d *day) begin(minute int) {
	wave := math.Pow(math.Sin(math.Pi*float64(minute%perDay)/perDay), 2)
	rate := float64(d.users) / d.last.Minutes() * (0.25 + wave)
	logins := int(rate)
	if d.rng.Float64() < rate-float64(logins) {
		logins++
	}
	for range logins {
		at := d.rng.Float64() * d.weights[d.users]
		u := min(sort.SearchFloat64s(d.weights[1:], at), d.users-1)
		if d.home[u] < 0 {
			addr, _ := d.rings.Lookup("", d.hashes[u])
			ip := addr.As4()
			d.home[u] = int(ip[2])*250 + int(ip[3]) - 1
			d.mapped[d.home[u]]++
		}
		b := d.home[u]
		length := d.rng.ExpFloat64() * d.last.Minutes()
		if b == d.slow && d.isSlow(minute) {
			length *= d.longer
		}
		if end := minute + 1 + int(length); end < len(d.ending) {
			d.ending[end] = append(d.ending[end], visit{u, b})
		}
		d.live[u]++
		d.sessions[b]++
	}
}

// loads are the loads of the backends now, divided by the average.
func (d *day) loads(minute int) []float64 {
	loads, total := make([]float64, d.backends), 0.0
	for b := range loads {
		loads[b] = float64(d.sessions[b])
		if b == d.slow && d.isSlow(minute) {
			loads[b] *= d.dearer
		}
		total += loads[b]
	}
	for b := range loads {
		loads[b] /= total / float64(d.backends)
	}
	return loads
}

// balance changes factors by the law, at most every expire.
func (d *day) balance(minute int) {
	if d.law == static {
		return
	}
	loads := d.loads(minute)
	known := make([]Backend, d.backends)
	for b := range known {
		known[b] = Backend{
			Addr: d.table[b].Addr, VHosts: d.table[b].VHosts, Load: loads[b] * LeastLoad,
			Factor: cmp.Or(d.table[b].Factor, ring.NoFactor),
		}
	}
	d.averages.Note(mono.Time(minute)*mono.Time(time.Minute), Memory(expire*time.Minute), known)
	if minute-d.changedAt < expire || minute < calm*expire {
		return
	}
	changed, all := false, d.averages.Wanted()
	for b := range d.table {
		has := known[b].Factor
		wanted := all[d.table[b].Addr]
		switch d.law {
		case byLoad:
			wanted = clamp(ring.NoFactor / loads[b])
		case inSteps:
			wanted = has
			if loads[b] < 0.95 {
				wanted = clamp(float64(has) + 5)
			} else if loads[b] > 1.05 {
				wanted = clamp(float64(has) - 5)
			}
		}
		if !Due(has, wanted) && (d.law != inSteps || has == wanted) {
			continue
		}
		d.table[b].Factor = wanted
		changed = true
		direction := 1
		if wanted < has {
			direction = -1
		}
		switch turned := d.direction[b] == -direction; {
		case minute < perDay:
			d.out.changes++
		case turned:
			d.out.swings++
			fallthrough
		default:
			d.out.later++
		}
		d.direction[b] = direction
	}
	if changed {
		d.changedAt = minute
		d.rings = ring.Build(d.table, d.rings)
	}
}

func clamp(percent float64) int {
	return min(max(int(math.Round(percent)), ring.MinFactor), ring.MaxFactor)
}

func (d *day) measure(minute int) {
	loads := d.loads(minute)
	d.out.busiest += slices.Max(loads)
	squares := 0.0
	for _, l := range loads {
		squares += (l - 1) * (l - 1)
	}
	d.out.spread += math.Sqrt(squares / float64(d.backends))
	if d.slow >= 0 && d.isSlow(minute) && d.isSlow(minute-4*60) {
		d.out.slow += loads[d.slow]
	}
}
