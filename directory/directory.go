package directory

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"directormesh/ring"
)

const (
	// DefaultExpire is how long a mapping outlives the user's last activity,
	// before the share is added.
	DefaultExpire = 15 * time.Minute
	// EndOfLife is the last part of a mapping's life, in which a lookup may
	// have to wait until the mapping is dead.
	EndOfLife = 10 * time.Second

	minShare = 20 * time.Second
	maxShare = 45 * time.Second

	// deadKept is how long dead rows stay stored, so that the mapping that
	// replaces one takes the next generation.
	deadKept = 60 * time.Second
	// deadCounts is how long after it was forgotten a row still keeps out what it superseded. That
	// is by mesh time and the stamp in the table, so it is the same moment everywhere, and comes
	// before any director has swept the row: who has, gives the user a mapping of the first
	// generation. A director that came meanwhile keeps the row for longer.
	deadCounts = deadKept - 5*time.Second
)

// Directory holds the mappings of all tags. All methods are safe for
// concurrent use; none waits for longer than others work on one leaf of some
// hundred rows, except SetBackends when it runs out of ids.
type Directory struct {
	share time.Duration
	life  time.Duration // expire time + share
	// lifeTicks is that in ticks, rounded up: a row's activity + lifeTicks is
	// the first tick at which it is dead.
	lifeTicks uint64
	guards    Guards

	shards   atomic.Pointer[shardSet]
	shardsMu sync.Mutex // serialises writers of shards

	view        atomic.Pointer[view]
	backendsMu  sync.Mutex // serialises SetBackends; taken before shardsMu and leaves
	maxBackends int

	// summarizedRows is from how much room on a pack has summaries; it loses
	// them when there is half as much.
	summarizedRows int
}

// shard holds the mappings of one tag: 256 groups of 256 leaves.
type shard struct {
	tag    ring.Tag
	groups [256]atomic.Pointer[group]
}

// shardSet is an immutable set of shards; it only ever grows.
type shardSet struct {
	byTag map[ring.Tag]*shard
	// untagged is the shard of the empty tag, which most lookups want; nil
	// until there is one.
	untagged *shard
}

// Guards switches off rules that the guarantees rest on, so that a simulation
// can show that it would notice.
type Guards struct {
	IgnoreForgotten bool // what was forgotten lives on
	ResetGeneration bool // a new mapping ignores the dead row it replaces
}

// New returns an empty directory without backends. Zero or less for expire
// means DefaultExpire.
func New(expire time.Duration) *Directory { return NewUnguarded(expire, Guards{}) }

// NewUnguarded returns a directory with the given rules switched off; it is
// for tests only.
func NewUnguarded(expire time.Duration, guards Guards) *Directory {
	if expire <= 0 {
		expire = DefaultExpire
	}
	share := min(max(expire/20, minShare), maxShare)
	d := &Directory{
		share: share, life: expire + share, guards: guards, maxBackends: maxBackends,
		summarizedRows: summarizedRows,
	}
	d.lifeTicks = uint64((d.life.Milliseconds() + tickMillis - 1) / tickMillis)
	d.shards.Store(&shardSet{})
	d.view.Store(newView())
	return d
}

// Share returns S, the part of a mapping's life that makes room for not
// recording every lookup: a twentieth of the expire time, but 20 to 45 s.
func (d *Directory) Share() time.Duration { return d.share }

// Ends returns when the mapping dies unless more activity is recorded: its
// recorded activity + expire time + share.
func (d *Directory) Ends(m Mapping) Time { return m.Activity.Time().Add(d.life) }

// Tags returns the tags that have had a backend or a mapping, sorted. A tag
// never goes away again.
func (d *Directory) Tags() []ring.Tag {
	return slices.Sorted(maps.Keys(d.shards.Load().byTag))
}

// shard returns the shard of a tag, or nil.
func (d *Directory) shard(tag ring.Tag) *shard {
	set := d.shards.Load()
	if tag == "" {
		return set.untagged
	}
	return set.byTag[tag]
}

// ensureShard returns the shard of a tag, which it creates if need be.
func (d *Directory) ensureShard(tag ring.Tag) *shard {
	if s := d.shard(tag); s != nil {
		return s
	}
	d.shardsMu.Lock()
	defer d.shardsMu.Unlock()
	if s := d.shard(tag); s != nil {
		return s
	}
	old := d.shards.Load()
	next := &shardSet{byTag: make(map[ring.Tag]*shard, len(old.byTag)+1)}
	maps.Copy(next.byTag, old.byTag)
	next.byTag[tag] = &shard{tag: tag}
	next.untagged = next.byTag[""]
	d.shards.Store(next)
	return next.byTag[tag]
}

// group returns the group of a leaf, or nil if it was never used. It is
// nil-safe.
func (s *shard) group(leaf uint16) *group {
	if s == nil {
		return nil
	}
	return s.groups[leaf>>8].Load()
}

func leafOf(h ring.UserHash) uint16 { return uint16(h >> 16) }

// Status says what is known of a user.
type Status int

const (
	None Status = iota // nothing is stored
	Dead               // a mapping is stored, but counts only for its generation
	Live
)

func (s Status) String() string {
	switch s {
	case None:
		return "none"
	case Dead:
		return "dead"
	case Live:
		return "live"
	default:
		return "invalid status"
	}
}

// deadline is a moment as rows see it: those whose recorded activity is at or
// before it are dead by time.
type deadline int64

func (d *Directory) deadline(now Time) deadline { return deadline(now.Add(-d.life).tick()) }

// live says whether a row of shard s is neither past its end, nor of a backend
// that is not present under this tag, nor forgotten.
func (v *view) live(s *shard, r row, due deadline) bool {
	return int64(r.activity) > int64(due) && v.liveByTable(s, r)
}

func (v *view) liveByTable(s *shard, r row) bool {
	if r.backend == 0 {
		return true
	}
	e := &v.entries[r.backend]
	return e.home == s && int64(r.stamp) > e.forgotten
}

// over says whether a row was forgotten at a tick or before, and so long ago that it does not even
// keep out what it superseded.
func (v *view) over(r row, tick int64) bool {
	e := &v.entries[r.backend]
	return r.backend != 0 && e.forgotten != unlisted && e.forgotten >= 0 &&
		int64(r.stamp) <= e.forgotten && e.forgotten <= tick
}

func (v *view) status(s *shard, r row, due deadline) Status {
	if v.live(s, r, due) {
		return Live
	}
	return Dead
}

// Find returns what is stored for a user. It does not allocate, and takes no
// lock unless it keeps meeting changes.
func (d *Directory) Find(tag ring.Tag, h ring.UserHash, now Time) (Mapping, Status) {
	s := d.shard(tag)
	g := s.group(leafOf(h))
	if g == nil {
		return Mapping{}, None
	}
	r, v, ok := d.peek(g, uint32(h))
	if !ok {
		return Mapping{}, None
	}
	return r.mapping(v), v.status(s, r, d.deadline(now))
}

// Leaf appends the live mappings whose hash begins with the 16 bits leaf to
// buf, sorted by hash.
func (d *Directory) Leaf(tag ring.Tag, leaf uint16, now Time, buf []Mapping) []Mapping {
	rows, _ := d.leafRows(tag, leaf, now, false, 0, buf)
	return rows
}

// All yields the live mappings in order of tag and hash. It copies one leaf at a time: lookups go
// on meanwhile, no lock is held while the caller looks at a mapping, and what changes during the
// walk may be seen before or after the change.
func (d *Directory) All(now Time) iter.Seq2[ring.Tag, Mapping] {
	return func(yield func(ring.Tag, Mapping) bool) {
		var rows []Mapping
		for _, tag := range d.Tags() {
			for leaf := range 1 << 16 {
				rows = d.Leaf(tag, uint16(leaf), now, rows[:0])
				for _, m := range rows {
					if !yield(tag, m) {
						return
					}
				}
			}
		}
	}
}

// LeafToSend is Leaf for other directors: with the rows that are dead by the
// table only, which they need to know what was superseded.
func (d *Directory) LeafToSend(tag ring.Tag, leaf uint16, now Time, buf []Mapping) []Mapping {
	rows, _ := d.leafRows(tag, leaf, now, true, 0, buf)
	return rows
}

// LeafSince is LeafToSend without the rows that were neither assigned nor active at since or later.
// It also returns how many rows it looked at.
func (d *Directory) LeafSince(
	tag ring.Tag, leaf uint16, now Time, since Tick, buf []Mapping,
) (rows []Mapping, looked int) {
	return d.leafRows(tag, leaf, now, true, since, buf)
}

func (d *Directory) leafRows(
	tag ring.Tag, leaf uint16, now Time, deadByTable bool, since Tick, buf []Mapping,
) (rows []Mapping, looked int) {
	s := d.shard(tag)
	l, ok := d.lockLeaf(s, leaf)
	if !ok {
		return buf, 0
	}
	defer l.unlock()
	due := d.deadline(now)
	for _, r := range l.rows {
		fresh := Tick(r.activity) >= since || Tick(r.stamp) >= since
		if fresh && int64(r.activity) > int64(due) && (deadByTable || l.view.liveByTable(s, r)) {
			buf = append(buf, r.mapping(l.view))
		}
	}
	return buf, len(l.rows)
}
