package directory

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"directormesh/ring"
)

// contents returns all live mappings of a tag, by hash.
func contents(d *Directory, tag ring.Tag, now Time) []Mapping {
	s := d.shard(tag)
	if s == nil {
		return nil
	}
	var all []Mapping
	for _, leaf := range usedLeaves(s) {
		all = d.Leaf(tag, leaf, now, all)
	}
	return all
}

// toSend returns all rows of a tag that other directors get, by hash.
func toSend(d *Directory, tag ring.Tag, now Time) []Mapping {
	s := d.shard(tag)
	if s == nil {
		return nil
	}
	var all []Mapping
	for _, leaf := range usedLeaves(s) {
		all = d.LeafToSend(tag, leaf, now, all)
	}
	return all
}

func byHash(a, b Mapping) int { return cmp.Compare(a.Hash, b.Hash) }

// The law of merge holds through the directory: whatever the order of rows,
// however they are cut into batches and however often they come, the outcome
// is what the pure law gives for those that are alive.
func TestMergeLawThroughDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backends := drawBackends(t, start)
		row := rapid.Custom(func(t *rapid.T) Mapping { return drawRow(t, start) })
		rows := rapid.SliceOfN(row, 0, 20).Draw(t, "rows")

		m := &model{users: map[modelUser]Mapping{}}
		m.setBackends(backends)
		pure := map[ring.UserHash]Mapping{}
		for _, r := range rows {
			_, known := m.backends[r.Backend]
			if r.Generation == 0 || r.Generation > MaxGeneration ||
				start >= r.Activity.Time().Add(modelLife) || r.Backend.IsValid() && !known ||
				m.over(r, start) {
				continue
			}
			if stored, ok := pure[r.Hash]; ok {
				activity := max(stored.Activity, r.Activity)
				if m.beats("", stored, r) {
					r = stored
				}
				r.Activity = activity
			}
			pure[r.Hash] = r
		}
		var want []Mapping
		for _, r := range pure {
			if !m.deadByTable("", r) {
				want = append(want, r)
			}
		}
		slices.SortFunc(want, byHash)

		shuffled := rapid.Permutation(slices.Concat(rows, rows[:len(rows)/2])).Draw(t, "order")
		for name, list := range map[string][]Mapping{
			"as they are": rows, "shuffled and repeated": shuffled,
		} {
			d := New(modelExpire)
			d.SetBackends(backends)
			for rest := list; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
				if rapid.Bool().Draw(t, "sorted") {
					slices.SortStableFunc(rest[:n], byHash)
				}
				d.Merge("", rest[:n], start, nil)
				rest = rest[n:]
			}
			if diff := diff(want, contents(d, "", start)); diff != "" {
				t.Fatalf("%s (-pure law +directory):\n%s", name, diff)
			}
			wantCounts(t, d)
		}
	})
}

// Two directors that exchange what they hold agree.
func TestExchangeConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backends := drawBackends(t, start)
		var both [2]*Directory
		for i := range both {
			both[i] = New(modelExpire)
			both[i].SetBackends(backends)
			row := rapid.Custom(func(t *rapid.T) Mapping { return drawRow(t, start) })
			rows := rapid.SliceOfN(row, 0, 10).Draw(t, "rows")
			both[i].Merge("", rows, start, nil)
		}
		first, second := toSend(both[0], "", start), toSend(both[1], "", start)
		both[0].Merge("", second, start, nil)
		both[1].Merge("", first, start, nil)
		if diff := diff(contents(both[0], "", start), contents(both[1], "", start)); diff != "" {
			t.Fatalf("they differ:\n%s", diff)
		}
	})
}

// crowd returns n rows of live users, a few hundred to a leaf, sorted.
func crowd(n int, seed uint32) []Mapping {
	seen := map[ring.UserHash]bool{}
	var rows []Mapping
	for x := seed; len(rows) < n; {
		x = x*1664525 + 1013904223
		h := ring.UserHash(x >> 8 & 0x0003ffff)
		if seen[h] {
			continue
		}
		seen[h] = true
		rows = append(rows, Mapping{
			Hash: h, Backend: testBackends[x>>4&1], Generation: uint16(x>>2&3 + 1),
			Activity: start.Tick() - Tick(x>>1&7), Stamp: start.Tick() - Tick(x>>3&7),
			Moving: x&(1<<20) != 0,
		})
	}
	slices.SortFunc(rows, byHash)
	return rows
}

// Sorted rows take another path than single ones; both must do the same.
func TestSortedMergeIsAsUnsorted(t *testing.T) {
	for _, sizes := range [][2]int{{0, 1000}, {1000, 1000}, {1000, 20}, {20, 1000}, {1000, 0}} {
		stored, rows := crowd(sizes[0], 1), crowd(sizes[1], 2)
		reversed := slices.Clone(rows)
		slices.Reverse(reversed)
		var outs [2]map[ring.UserHash]Merged
		var both [2]*Directory
		for i, list := range [][]Mapping{rows, reversed} {
			both[i] = newDirectory()
			both[i].Merge("", stored, start, nil)
			outs[i] = map[ring.UserHash]Merged{}
			dropped := both[i].Merge("", list, start,
				func(in Mapping, out Merged) { outs[i][in.Hash] = out })
			if dropped != 0 || len(outs[i]) != len(rows) {
				t.Errorf("%v: %d rows dropped, %d reported", sizes, dropped, len(outs[i]))
			}
		}
		if d := diff(contents(both[0], "", start), contents(both[1], "", start)); d != "" {
			t.Errorf("%v: contents (-sorted +unsorted):\n%s", sizes, d)
		}
		if d := diff(outs[0], outs[1]); d != "" {
			t.Errorf("%v: reports (-sorted +unsorted):\n%s", sizes, d)
		}
	}
}

// A sorted batch keeps the digests of a leaf that had been summed up before.
func TestSortedMergeKeepsDigests(t *testing.T) {
	for _, sizes := range [][2]int{{0, 1000}, {1000, 1000}, {1000, 20}, {20, 1000}} {
		stored, rows := crowd(sizes[0], 1), crowd(sizes[1], 2)
		// Summaries are of epochs that are over, and the rows are older than those.
		later := start.Add(30 * time.Second)
		epochEnd := later.Add(-20 * time.Second)
		kept, fresh := newDirectory(), newDirectory()
		kept.Merge("", stored, start, nil)
		sweepAll(kept, later)
		kept.Merge("", rows, later, nil)
		fresh.Merge("", stored, start, nil)
		fresh.Merge("", rows, start, nil)
		for group := range 256 {
			want := fresh.DigestGroup("", uint8(group), epochEnd)
			if d := diff(want, kept.DigestGroup("", uint8(group), epochEnd)); d != "" {
				t.Fatalf("%v: digests of group %d (-summed up now +kept):\n%s", sizes, group, d)
			}
		}
	}
}

func TestMergeUnderUnknownTag(t *testing.T) {
	d := newDirectory()
	row := Mapping{
		Hash: 5, Backend: netip.MustParseAddr("198.51.100.77"), Generation: 1,
		Activity: start.Tick(), Stamp: start.Tick(),
	}
	dropped := d.Merge("hdd", []Mapping{row, row}, start, nil)
	if dropped != 2 || len(d.Tags()) != 2 {
		t.Errorf("%d rows dropped, tags %v", dropped, d.Tags())
	}
	row.Backend = noBackend
	if dropped := d.Merge("hdd", []Mapping{row}, start, nil); dropped != 0 {
		t.Errorf("a live row to no backend was dropped")
	}
	if got, status := d.Find("hdd", 5, start); status != Live || got != row {
		t.Errorf("found %+v, %v; want %+v", got, status, row)
	}
}

// The callback may use the directory: the directory has unlocked.
func TestMergeCallsBackWithoutLock(t *testing.T) {
	d := newDirectory()
	calls := 0
	d.Merge("", crowd(50, 3), start, func(in Mapping, out Merged) {
		calls++
		if m, _ := d.Find("", in.Hash, start); m != out.Mapping {
			t.Errorf("found %+v in the callback for %+v", m, out.Mapping)
		}
		d.Supersede("", in.Hash, b1, false, start, 0)
	})
	if calls != 50 {
		t.Errorf("%d callbacks, want 50", calls)
	}
}

func TestMergeKeepsActivityOfTheLoser(t *testing.T) {
	d := newDirectory()
	older := Mapping{
		Hash: 5, Backend: b1, Generation: 2, Activity: start.Tick(), Stamp: start.Tick(),
	}
	d.Merge("", []Mapping{older}, start, nil)
	now := start.Add(time.Minute)
	loser := Mapping{Hash: 5, Backend: b2, Generation: 1, Activity: now.Tick(), Stamp: now.Tick()}
	want := older
	want.Activity = now.Tick()
	d.Merge("", []Mapping{loser}, now, func(_ Mapping, out Merged) {
		if out != (Merged{Mapping: want, Before: older, BeforeStatus: Live, Changed: true}) {
			t.Errorf("merged: %+v", out)
		}
	})
	if got, _ := d.Find("", 5, now); got != want {
		t.Errorf("found %+v, want %+v", got, want)
	}
}

// A mapping that was superseded does not come back at whoever hears late, when the backend of its
// successor has been removed meanwhile.
func TestDeadSuccessorKeepsOutWhatItSuperseded(t *testing.T) {
	former := Mapping{
		Hash: 5, Backend: b1, Generation: 1, Activity: start.Tick(), Stamp: start.Tick(),
	}
	successor := Mapping{
		Hash: 5, Backend: b2, Generation: 2, Activity: start.Tick(), Stamp: start.Tick() + 1,
	}
	for name, order := range map[string][]Mapping{
		"in order": {former, successor}, "the other way": {successor, former},
	} {
		d := newDirectory()
		d.SetBackends([]BackendRow{presentRow(b1, "", 0), {Addr: b2}}) // b2 is removed
		for _, m := range order {
			d.Merge("", []Mapping{m}, start, nil)
		}
		if got, status := d.Find("", 5, start); status != Dead || got.Generation != 2 {
			t.Errorf("%s: found %+v, %v; want the dead successor", name, got, status)
		}
		if sent := toSend(d, "", start); len(sent) != 1 || sent[0].Generation != 2 {
			t.Errorf("%s: others get %+v", name, sent)
		}
		if m, ok := d.Assign("", 5, b1, start); !ok || m.Generation != 3 {
			t.Errorf("%s: assigned %+v, %v; want generation 3", name, m, ok)
		}
	}
}

// What was forgotten keeps out what it superseded for a while, and no longer: by then a director
// may have swept it, and given its user a mapping of the first generation. One that came later, or
// was restarted, has it still.
func TestForgottenKeepsOutForAWhile(t *testing.T) {
	d := New(modelExpire)
	forgotten := start
	d.SetBackends([]BackendRow{presentRow(b1, "", StampAt(forgotten)), presentRow(b2, "", 0)})
	for _, test := range []struct {
		after time.Duration
		want  Status
	}{
		{0, Dead}, {54 * time.Second, Dead}, {55 * time.Second, Live}, {70 * time.Second, Live},
	} {
		now := forgotten.Add(test.after)
		h := ring.UserHash(test.after)
		old := Mapping{Hash: h, Backend: b1, Generation: 2, Activity: forgotten.Tick(),
			Stamp: forgotten.Add(-time.Second).Tick()}
		d.Merge("", []Mapping{old}, forgotten, nil)
		fresh := Mapping{
			Hash: h, Backend: b2, Generation: 1, Activity: now.Tick(), Stamp: now.Tick(),
		}
		d.Merge("", []Mapping{fresh}, now, nil)
		d.Merge("", []Mapping{old}, now, nil) // it comes again, late
		got, status := d.Find("", h, now)
		if status != test.want || status == Live && got != fresh {
			t.Errorf("after %v: %+v, %v", test.after, got, status)
		}
	}
}

// A director that joins a mesh gives up the backends of its own that the mesh does not have. Its
// rows of those count for nothing from then on, neither for their generation nor for their
// activity: the members, which never knew the backends, dropped them.
func TestRowsOfABackendThatLeftTheTable(t *testing.T) {
	own := Mapping{
		Hash:       5,
		Backend:    b2,
		Generation: 3,
		Activity:   start.Tick() + 2,
		Stamp:      start.Tick(),
	}
	theirs := Mapping{
		Hash: 5, Backend: b1, Generation: 1, Activity: start.Tick(), Stamp: start.Tick(),
	}
	for _, test := range []struct {
		name   string
		others []BackendRow // beside b1
		want   Mapping
		status Status
	}{
		{"left the table", nil, theirs, Live},
		{"removed", []BackendRow{{Addr: b2}}, own, Dead},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := New(modelExpire)
			d.SetBackends([]BackendRow{presentRow(b2, "", 0)})
			d.Merge("", []Mapping{own}, start, nil)
			d.SetBackends(append(test.others, presentRow(b1, "", 0)))
			for _, rows := range [][]Mapping{{theirs}, {own}} {
				d.Merge("", rows, start, nil)
				if got, status := d.Find("", 5, start); got != test.want || status != test.status {
					t.Errorf("after %v: found %+v, %v; want %+v, %v",
						rows, got, status, test.want, test.status)
				}
			}
			d.SetBackends([]BackendRow{presentRow(b1, "", 0), presentRow(b2, "", 0)})
			d.Merge("", []Mapping{own}, start, nil)
			if got, status := d.Find("", 5, start); got != own || status != Live {
				t.Errorf("found %+v, %v once the backend is in the table again", got, status)
			}
		})
	}
}

// Rows are merged together as long as they are of one leaf and ascend.
func TestSortedRun(t *testing.T) {
	for _, test := range []struct {
		name   string
		hashes []ring.UserHash
		want   int
	}{
		{"one", []ring.UserHash{5}, 1},
		{"all", []ring.UserHash{5, 6, 0xffff}, 3},
		{"until another leaf", []ring.UserHash{5, 6, 0x10000}, 2},
		{"until they descend", []ring.UserHash{5, 7, 6}, 2},
		{"until one comes again", []ring.UserHash{5, 5}, 1},
	} {
		var rows []Mapping
		for _, h := range test.hashes {
			rows = append(rows, Mapping{Hash: h})
		}
		if got := sortedRun(rows); got != test.want {
			t.Errorf("%s: a run of %d rows, want %d", test.name, got, test.want)
		}
	}
}

// A row is past its end at the very tick at which its time is over: what comes then takes its
// place, whatever its generation, and what comes with that activity is dropped.
func TestMergeAtTheEndOfLife(t *testing.T) {
	for _, test := range []struct {
		name string
		now  Time // before the end of the row that is stored
		want uint16
		was  Status
	}{
		{"a tick before", start.Add(-250 * time.Millisecond), 5, Live},
		{"at the end", start, 1, Dead},
	} {
		d := newDirectory()
		old := Mapping{
			Hash: 5, Backend: b1, Generation: 5, Activity: start.Tick(), Stamp: start.Tick(),
		}
		d.Merge("", []Mapping{old}, start, nil)
		now := d.Ends(old).Add(test.now.Sub(start))
		young := Mapping{
			Hash: 5, Backend: b2, Generation: 1, Activity: now.Tick(), Stamp: now.Tick(),
		}
		d.Merge("", []Mapping{young}, now, func(_ Mapping, out Merged) {
			if out.BeforeStatus != test.was {
				t.Errorf("%s: what was stored is %v, want %v",
					test.name, out.BeforeStatus, test.was)
			}
		})
		if got, status := d.Find("", 5, now); got.Generation != test.want || status != Live {
			t.Errorf("%s: generation %d is %v, want %d alive",
				test.name, got.Generation, status, test.want)
		}
		wantCounts(t, d)
	}
	for _, summarized := range []int{1, summarizedRows} {
		d := newDirectory()
		d.summarizedRows = summarized
		old := Mapping{
			Hash: 5, Backend: b1, Generation: 5, Activity: start.Tick(), Stamp: start.Tick(),
		}
		d.Merge("", []Mapping{old}, start, nil)
		end := d.Ends(old)
		d.SweepLeaf("", 0, end.Add(-time.Second))
		again := old
		again.Activity = end.Tick()
		d.Merge("", []Mapping{again}, end, nil)
		if got, status := d.Find("", 5, end); got != again || status != Live {
			t.Errorf("active again at its end: %+v, %v", got, status)
		}
		later := end.Add(time.Minute)
		fresh := newDirectory()
		fresh.Merge("", []Mapping{again}, end, nil)
		if a, b := d.DigestLeaf("", 0, later), fresh.DigestLeaf("", 0, later); a != b {
			t.Errorf("active again at its end, the digest is %x, want %x", a, b)
		}
		wantCounts(t, d)
	}
	d := newDirectory()
	end := d.Ends(Mapping{Activity: start.Tick()})
	row := Mapping{Hash: 5, Backend: b1, Generation: 1, Activity: start.Tick()}
	if dropped := d.Merge("", []Mapping{row}, end, nil); dropped != 1 {
		t.Errorf("%d rows dropped at their end, want 1", dropped)
	}
	if dropped := d.Merge("", []Mapping{row}, end.Add(-250*time.Millisecond), nil); dropped != 0 {
		t.Errorf("%d rows dropped a tick before their end", dropped)
	}
}

// What is dead by the table when it comes is told only if it ends what lived, or is about a move.
func TestMergeTellsOfWhatTheDeadEnd(t *testing.T) {
	row := func(b netip.Addr, generation uint16, moving bool) Mapping {
		return Mapping{
			Hash: 5, Backend: b, Generation: generation, Moving: moving,
			Activity: start.Tick(), Stamp: start.Tick(),
		}
	}
	for _, test := range []struct {
		name        string
		before, now Mapping
		told        bool
	}{
		{"after one that lived", row(b1, 1, false), row(b2, 2, false), true},
		{"after a dead one", row(b2, 1, false), row(b2, 2, false), false},
		{"after a dead one that moved", row(b2, 1, true), row(b2, 2, false), true},
		{"that moves, after a dead one", row(b2, 1, false), row(b2, 2, true), true},
		{"that does not win over one that lives", row(b1, 2, false), row(b2, 1, false), false},
	} {
		d := newDirectory()
		d.SetBackends([]BackendRow{presentRow(b1, "", 0), {Addr: b2}}) // b2 is removed
		d.Merge("", []Mapping{test.before}, start, nil)
		told := false
		d.Merge("", []Mapping{test.now}, start, func(Mapping, Merged) { told = true })
		if told != test.told {
			t.Errorf("%s: told %v, want %v", test.name, told, test.told)
		}
	}
}
