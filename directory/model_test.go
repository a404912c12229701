package directory

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// model is the directory as one would write it without regard to cost: plain
// maps, and the rules in the words of the design.
type model struct {
	backends map[netip.Addr]modelBackend
	users    map[modelUser]Mapping
}

type modelBackend struct {
	present   bool
	tag       ring.Tag // "" unless present: a removed backend is under no tag
	forgotten Tick     // up to which mappings are forgotten; 0: none are
	unlisted  bool     // the table has no row of it any more
	seenAt    Time     // first sweep that met a dead mapping since the last change; 0 before
}

type modelUser struct {
	tag  ring.Tag
	hash ring.UserHash
}

// modelLife is how long a mapping outlives its activity with an expire time of
// ten minutes.
const (
	modelExpire = 10 * time.Minute
	modelLife   = modelExpire + 30*time.Second
)

func (m *model) setBackends(rows []BackendRow) {
	next := map[netip.Addr]modelBackend{}
	for addr, b := range m.backends {
		next[addr] = modelBackend{forgotten: b.forgotten, unlisted: true}
	}
	for _, r := range rows {
		b := modelBackend{present: r.present(), forgotten: r.Forgotten.Tick()}
		if b.present {
			b.tag = r.Presence.Value.Tag
		}
		next[r.Addr] = b
	}
	for addr, b := range next {
		was := m.backends[addr]
		b.seenAt = was.seenAt
		if was == b {
			next[addr] = was
		}
	}
	m.backends = next
}

func (m *model) deadByTable(tag ring.Tag, u Mapping) bool {
	b := m.backends[u.Backend]
	return u.Backend.IsValid() &&
		(!b.present || b.tag != tag || b.forgotten != 0 && u.Stamp <= b.forgotten)
}

// over reports whether a row was forgotten so long ago that it counts for nothing.
func (m *model) over(u Mapping, now Time) bool {
	b, known := m.backends[u.Backend]
	return known && !b.unlisted && b.forgotten != 0 && u.Stamp <= b.forgotten &&
		b.forgotten <= now.Add(-55*time.Second).Tick()
}

func (m *model) status(tag ring.Tag, u Mapping, now Time) Status {
	if now >= u.Activity.Time().Add(modelLife) || m.deadByTable(tag, u) {
		return Dead
	}
	return Live
}

func (m *model) find(tag ring.Tag, h ring.UserHash, now Time) (Mapping, Status) {
	u, ok := m.users[modelUser{tag, h}]
	if !ok {
		return Mapping{}, None
	}
	return u, m.status(tag, u, now)
}

func (m *model) touch(tag ring.Tag, u Mapping, now Time) (Mapping, bool) {
	stored, status := m.find(tag, u.Hash, now)
	if status != Live || stored.Moving ||
		stored.Generation != u.Generation || stored.Stamp != u.Stamp ||
		stored.Backend != u.Backend {
		return Mapping{}, false
	}
	stored.Activity = max(stored.Activity, now.Tick())
	m.users[modelUser{tag, u.Hash}] = stored
	return stored, true
}

// assign is Assign when only is set, else Supersede.
func (m *model) assign(
	tag ring.Tag, h ring.UserHash, backend netip.Addr, moving bool, now Time, above uint16,
	only bool,
) (Mapping, bool) {
	stored, status := m.find(tag, h, now)
	if only && !backend.IsValid() {
		return Mapping{}, false
	}
	if only && status == Live &&
		(stored.Backend.IsValid() || stored.Moving || stored.Generation == MaxGeneration) {
		return stored, false
	}
	b := m.backends[backend]
	if backend.IsValid() && (!b.present || b.tag != tag) ||
		status == Live && stored.Generation == MaxGeneration {
		return Mapping{}, false
	}
	u := Mapping{
		Hash: h, Backend: backend, Moving: moving, Activity: now.Tick(), Stamp: now.Tick(),
		Generation: min(max(stored.Generation, above)+1, MaxGeneration),
	}
	if !backend.IsValid() && u.Generation == MaxGeneration {
		return Mapping{}, false
	}
	if status != None && now < stored.Activity.Time().Add(modelLife) {
		u.Activity = max(u.Activity, stored.Activity)
	}
	if b.forgotten != 0 {
		u.Stamp = max(u.Stamp, b.forgotten+1)
	}
	m.users[modelUser{tag, h}] = u
	return u, true
}

func (m *model) digest(tag ring.Tag, leaf uint16, end Time) (sum uint64) {
	for key, u := range m.users {
		if key.tag == tag && leafOf(u.Hash) == leaf && u.Stamp <= end.Tick() &&
			m.status(tag, u, end) == Live {
			sum += mixRow(packed(u, 0), mixAddr(u.Backend))
		}
	}
	return sum
}

// beats is the order of mappings that are not dead by time.
func (m *model) beats(tag ring.Tag, a, b Mapping) bool {
	switch {
	case a.Generation != b.Generation:
		return a.Generation > b.Generation
	case m.deadByTable(tag, a) != m.deadByTable(tag, b):
		return m.deadByTable(tag, b)
	case a.Stamp != b.Stamp:
		return a.Stamp < b.Stamp
	case a.Moving != b.Moving:
		return b.Moving
	default:
		return a.Backend.Less(b.Backend)
	}
}

func (m *model) listed(backend netip.Addr) bool {
	b, known := m.backends[backend]
	return !backend.IsValid() || known && !b.unlisted
}

func (m *model) merge(tag ring.Tag, in Mapping, now Time) (out Merged, dropped bool) {
	if in.Generation == 0 || in.Generation > MaxGeneration ||
		now >= in.Activity.Time().Add(modelLife) {
		return Merged{}, true
	}
	dead := m.deadByTable(tag, in)
	if dead && (!m.listed(in.Backend) || m.over(in, now)) {
		return Merged{}, true
	}
	out.Before, out.BeforeStatus = m.find(tag, in.Hash, now)
	out.Mapping = in
	if out.BeforeStatus != None && now < out.Before.Activity.Time().Add(modelLife) &&
		m.listed(out.Before.Backend) && !m.over(out.Before, now) {
		if m.beats(tag, out.Before, in) {
			out.Mapping = out.Before
		}
		out.Mapping.Activity = max(in.Activity, out.Before.Activity)
	}
	out.Changed = out.BeforeStatus == None || out.Mapping != out.Before &&
		(out.BeforeStatus == Live || !m.deadByTable(tag, out.Mapping) ||
			out.Before.Moving || out.Mapping.Moving)
	m.users[modelUser{tag, in.Hash}] = out.Mapping
	return out, dead
}

func (m *model) sweep(now Time) {
	for key, u := range m.users {
		if now >= u.Activity.Time().Add(modelLife+time.Minute) {
			delete(m.users, key)
		} else if m.deadByTable(key.tag, u) {
			b := m.backends[u.Backend]
			if b.seenAt == 0 {
				b.seenAt = now
				m.backends[u.Backend] = b
			}
			if now >= b.seenAt.Add(time.Minute) {
				delete(m.users, key)
			}
		}
	}
}

func (m *model) live(tag ring.Tag, leaf uint16, now Time) []Mapping {
	var rows []Mapping
	for key, u := range m.users {
		if key.tag == tag && uint16(u.Hash>>16) == leaf && m.status(tag, u, now) == Live {
			rows = append(rows, u)
		}
	}
	slices.SortFunc(rows, func(a, b Mapping) int { return int(int64(a.Hash) - int64(b.Hash)) })
	return rows
}

var (
	testTags     = []ring.Tag{"", "ssd"}
	testBackends = []netip.Addr{b1, b2, b3, b6}
	testHashes   = []ring.UserHash{1, 2, 0x10007, 0x10008, 0x1fffe, 0x7fff0000, 0xffffffff}
)

func drawTag(t *rapid.T) ring.Tag       { return rapid.SampledFrom(testTags).Draw(t, "tag") }
func drawHash(t *rapid.T) ring.UserHash { return rapid.SampledFrom(testHashes).Draw(t, "hash") }
func drawNoOrBackend(t *rapid.T) netip.Addr {
	backends := append([]netip.Addr{noBackend}, testBackends...)
	return rapid.SampledFrom(backends).Draw(t, "backend or none")
}

// drawRow draws a row that a peer may send: often near the end of its life,
// sometimes past it, sometimes of a form that cannot be.
func drawRow(t *rapid.T, now Time) Mapping {
	age := rapid.SampledFrom([]time.Duration{
		0, time.Second, 5 * time.Minute, modelLife - time.Second, modelLife, 2 * modelLife,
	})
	return Mapping{
		Hash:     drawHash(t),
		Backend:  drawNoOrBackend(t),
		Activity: now.Add(-age.Draw(t, "inactive for")).Tick(),
		Stamp:    now.Add(-age.Draw(t, "assigned before")).Tick(),
		Generation: rapid.SampledFrom([]uint16{
			1, 1, 2, 2, 3, MaxGeneration, 0, MaxGeneration + 1,
		}).Draw(t, "generation"),
		Moving: rapid.Bool().Draw(t, "moving"),
	}
}

func drawBackends(t *rapid.T, now Time) []BackendRow {
	var rows []BackendRow
	for _, addr := range testBackends {
		if rapid.IntRange(0, 4).Draw(t, "absent if 0") > 0 {
			forgotten := rapid.SampledFrom([]Stamp{
				0, 0, 0, StampAt(now.Add(-5 * time.Minute)), StampAt(now),
			})
			row := presentRow(addr, drawTag(t), forgotten.Draw(t, "forgotten"))
			row.Presence.Value.Present = rapid.IntRange(0, 4).Draw(t, "removed if 0") > 0
			rows = append(rows, row)
		}
	}
	return rows
}

func sweepAll(d *Directory, now Time) (removed int) {
	for _, tag := range d.Tags() {
		for group := range 256 {
			removed += d.SweepGroup(tag, uint8(group), now)
		}
	}
	return removed
}

// usedLeaves returns the numbers of the leaves that exist.
func usedLeaves(s *shard) (numbers []uint16) {
	for i := range s.groups {
		if s.groups[i].Load() == nil {
			continue
		}
		for j := range 256 {
			numbers = append(numbers, uint16(i<<8|j))
		}
	}
	return numbers
}

// wantCounts checks the counts against the rows that are stored.
func wantCounts(t rapid.TB, d *Directory) {
	t.Helper()
	v := d.view.Load()
	counted, buried := map[uint16]int64{}, map[uint16]int64{}
	all := 0
	for _, s := range d.shards.Load().byTag {
		for _, number := range usedLeaves(s) {
			l, ok := d.lockLeaf(s, number)
			if !ok {
				continue
			}
			l.unlock()
			for _, r := range l.rows {
				if r.bits&bitBuried != 0 {
					buried[r.backend]++
				} else {
					counted[r.backend]++
					all++
				}
			}
		}
	}
	for id := range v.entries {
		users := v.entries[id].users
		if got, want := users.counted.Load(), counted[uint16(id)]; got != want {
			t.Fatalf("%v has %d rows, counted are %d", v.entries[id].addr, want, got)
		}
		if got, want := users.buried.Load(), buried[uint16(id)]; got != want {
			t.Fatalf("%v has %d buried rows, counted are %d", v.entries[id].addr, want, got)
		}
	}
	if d.Len() != all {
		t.Fatalf("Len is %d, counted are %d", d.Len(), all)
	}
}

func TestDirectoryAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := start
		d := New(modelExpire)
		d.summarizedRows = rapid.SampledFrom([]int{0, 3, summarizedRows}).Draw(t, "summarized rows")
		m := &model{users: map[modelUser]Mapping{}}
		setBackends := func(t *rapid.T) {
			rows := drawBackends(t, now)
			d.SetBackends(rows)
			m.setBackends(rows)
		}
		setBackends(t)
		t.Repeat(map[string]func(*rapid.T){
			"time passes": func(t *rapid.T) {
				now = now.Add(rapid.SampledFrom([]time.Duration{
					time.Millisecond, 250 * time.Millisecond, 5 * time.Second, 20 * time.Second,
					time.Minute, modelLife,
				}).Draw(t, "for"))
			},
			"set backends": setBackends,
			"touch": func(t *rapid.T) {
				tag := drawTag(t)
				u, _ := m.find(tag, drawHash(t), now)
				if rapid.IntRange(0, 3).Draw(t, "outdated if 0") == 0 {
					u.Stamp++
				}
				got, ok := d.Touch(tag, u, now)
				if want, wantOK := m.touch(tag, u, now); got != want || ok != wantOK {
					t.Fatalf("got %+v, %v; want %+v, %v", got, ok, want, wantOK)
				}
			},
			"assign": func(t *rapid.T) {
				tag, h, b := drawTag(t), drawHash(t), drawNoOrBackend(t)
				got, ok := d.Assign(tag, h, b, now)
				want, wantOK := m.assign(tag, h, b, false, now, 0, true)
				if got != want || ok != wantOK {
					t.Fatalf("got %+v, %v; want %+v, %v", got, ok, want, wantOK)
				}
			},
			"supersede": func(t *rapid.T) {
				tag, h, b := drawTag(t), drawHash(t), drawNoOrBackend(t)
				moving := rapid.Bool().Draw(t, "moving")
				above := uint16(rapid.IntRange(0, 4).Draw(t, "above"))
				wantBefore, wantWas := m.find(tag, h, now)
				got, before, was := d.Supersede(tag, h, b, moving, now, above)
				if before != wantBefore || was != wantWas {
					t.Fatalf("it was %+v, %v; want %+v, %v", before, was, wantBefore, wantWas)
				}
				if want, _ := m.assign(tag, h, b, moving, now, above, false); got != want {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			},
			"release": func(t *rapid.T) {
				tag := drawTag(t)
				u, status := m.find(tag, drawHash(t), now)
				got, ok := d.Release(tag, u)
				u.Moving = false
				if got != u || ok != (status != None) {
					t.Fatalf("got %+v, %v; want %+v, %v", got, ok, u, status)
				}
				if ok {
					m.users[modelUser{tag, u.Hash}] = u
				}
			},
			"merge": func(t *rapid.T) {
				tag := drawTag(t)
				row := rapid.Custom(func(t *rapid.T) Mapping { return drawRow(t, now) })
				rows := rapid.SliceOfN(row, 0, 6).Draw(t, "rows")
				if rapid.Bool().Draw(t, "sorted") {
					slices.SortStableFunc(rows, func(a, b Mapping) int {
						return int(int64(a.Hash) - int64(b.Hash))
					})
				}
				type seen struct {
					In  Mapping
					Out Merged
				}
				var got, want []seen
				wantDropped := 0
				for _, in := range rows {
					out, dropped := m.merge(tag, in, now)
					if dropped {
						wantDropped++
					}
					matters := out.BeforeStatus == Live || out.Before.Moving || out.Mapping.Moving
					if !dropped || out.Changed && matters {
						want = append(want, seen{in, out})
					}
				}
				dropped := d.Merge(tag, rows, now,
					func(in Mapping, out Merged) { got = append(got, seen{in, out}) })
				if diff := diff(want, got); diff != "" {
					t.Fatalf("merged rows (-want +got):\n%s", diff)
				}
				if dropped != wantDropped {
					t.Fatalf("%d rows dropped, want %d", dropped, wantDropped)
				}
			},
			"sweep": func(t *rapid.T) {
				stored := len(m.users)
				m.sweep(now)
				if removed := sweepAll(d, now); removed != stored-len(m.users) {
					t.Fatalf("%d rows swept, want %d", removed, stored-len(m.users))
				}
				users := map[netip.Addr]int{}
				for key, u := range m.users {
					if m.status(key.tag, u, now) == Live {
						users[u.Backend]++
					}
				}
				for _, b := range testBackends {
					if d.Users(b) != users[b] {
						t.Fatalf("after a sweep %v has %d users, want %d", b, d.Users(b), users[b])
					}
				}
			},
			"digest": func(t *rapid.T) {
				end := now.Add(-rapid.SampledFrom([]time.Duration{
					0, 10 * time.Second, time.Minute,
				}).Draw(t, "ended"))
				if rapid.Bool().Draw(t, "an epoch") {
					end -= end % Time(EpochLength.Milliseconds())
				}
				for _, tag := range testTags {
					for _, h := range testHashes {
						got := d.DigestLeaf(tag, leafOf(h), end)
						want := m.digest(tag, leafOf(h), end)
						if got != want {
							t.Fatalf("tag %q, leaf of %v: digest %x, want %x", tag, h, got, want)
						}
					}
				}
			},
			"": func(t *rapid.T) {
				for _, tag := range testTags {
					for _, h := range testHashes {
						got, status := d.Find(tag, h, now)
						want, wantStatus := m.find(tag, h, now)
						if got != want || status != wantStatus {
							t.Fatalf("tag %q, user %v: %+v, %v; want %+v, %v",
								tag, h, got, status, want, wantStatus)
						}
						diff := diff(m.live(tag, uint16(h>>16), now),
							d.Leaf(tag, uint16(h>>16), now, nil))
						if diff != "" {
							t.Fatalf("leaf of %v (-want +got):\n%s", h, diff)
						}
					}
				}
				wantCounts(t, d)
				wantSummaries(t, d)
			},
		})
	})
}
