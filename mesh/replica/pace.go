package replica

import "time"

// pace is how often things are done in a mesh of so many peers, by the monotonic clock.
type pace int

func (c *Core) pace() pace { return pace(len(c.peers.all)) }

// beat is how long after a beat the next one goes to all peers: longer in larger meshes, where each
// beat goes to more of them.
func (n pace) beat() time.Duration {
	if n <= beatManyPeers {
		return beatEvery
	}
	return min(beatEvery*time.Duration(n)/beatManyPeers, time.Second)
}

// silence is how old the last echo of a live peer may be: 5 s, and the two beats that an echo takes
// at worst. At the end of a mapping's life there is room for the longest, 7 s, and for what else
// counts there.
func (n pace) silence() time.Duration { return failAfter + 2*(n.beat()-beatEvery) }

// lateBeat is after how long without a beat a peer is shown as silent: when three should have come,
// and within the first second where beats are frequent.
func (n pace) lateBeat() time.Duration { return 3 * n.beat() }

// batch is how long rows are collected: longer in larger meshes, where each director has fewer, so
// that what a batch costs beside its rows, its list of backends above all, stays a small part of
// it.
func (n pace) batch() time.Duration {
	return min(max(4*time.Millisecond*time.Duration(n+1), 50*time.Millisecond), time.Second)
}

// review is how often a director that answers by itself looks whether a peer has failed or must be
// asked again: at each tick, unless there are dozens of peers. What peers say counts at once.
func (n pace) review() time.Duration {
	return min(time.Millisecond*time.Duration(n), 200*time.Millisecond)
}
