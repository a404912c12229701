package directory

import (
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"directormesh/ring"
)

func TestSummaryIsACacheLine(t *testing.T) {
	if size := unsafe.Sizeof(summary{}); size != 64 {
		t.Errorf("a summary has %d bytes, want 64", size)
	}
}

// wantSummaries checks the valid summaries against the rows.
func wantSummaries(t rapid.TB, d *Directory) {
	t.Helper()
	for _, s := range d.shards.Load().byTag {
		for _, number := range usedLeaves(s) {
			l, ok := d.lockLeaf(s, number)
			if !ok {
				continue
			}
			l.unlock()
			if version := l.lock.version.Load(); version%2 != 0 {
				t.Fatalf("leaf %x is being changed for ever", number)
			}
			if !l.valid() {
				continue
			}
			for e := l.summary.base; e <= l.summary.base+recentEpochs; e++ {
				end := Tick(uint64(e) * ticksPerEpoch).Time()
				if got, ok := l.sum(end, d.deadline(end)); ok {
					if want := l.digest(end); got != want {
						t.Fatalf("leaf %x: by its summary %x is the digest as of %v, want %x",
							number, got, end, want)
					}
				}
			}
			for _, r := range l.rows {
				if at := l.dueAt(r); l.summary.next > at {
					t.Fatalf("leaf %x is swept by deadline %d, want %d for %+v",
						number, l.summary.next, at, r)
				}
			}
		}
	}
}

// After a sweep digests as of recent epochs are there without a look at the rows, whatever changes.
func TestDigestsAreKept(t *testing.T) {
	d := newDirectory()
	d.summarizedRows = 1
	var rows []Mapping
	for i := range 100 {
		age := time.Duration(i) * 9 * time.Second
		rows = append(rows, Mapping{
			Hash: testHashes[0] + 3*ring.UserHash(i), Backend: b1, Generation: 1,
			Activity: start.Add(-age).Tick(), Stamp: start.Add(-2 * age).Tick(),
		})
	}
	d.Merge("", rows, start, nil)
	last := uint64(0)
	for turn := range 120 {
		now := start.Add(time.Duration(turn) * EpochLength)
		sweepAll(d, now)
		d.Assign("", testHashes[0]+1+3*ring.UserHash(turn), b2, now)
		d.Supersede("", rows[turn%len(rows)].Hash, b2, false, now, 0)
		l, _ := d.lockLeaf(d.shard(""), 0)
		l.unlock()
		end := now - now%Time(EpochLength.Milliseconds()) - Time(EpochLength.Milliseconds())
		got, ok := l.sum(end, d.deadline(end))
		if want := l.digest(end); !ok || got != want {
			t.Fatalf("turn %d: the digest is %x, %v; want %x", turn, got, ok, want)
		}
		if turn > 0 && got == last {
			t.Fatalf("turn %d: the digest stays", turn)
		}
		last = got
	}
	wantSummaries(t, d)
}

// Packs with rows enough have summaries, and give them back.
func TestSummariesComeAndGo(t *testing.T) {
	d := newDirectory()
	rows := crowd(2*summarizedRows, 1)
	summarized := func() bool { return d.shard("").group(0).lockOf(0).summaries != nil }
	d.Merge("", rows[:10], start, nil)
	if summarized() {
		t.Error("ten rows have summaries")
	}
	d.Merge("", rows, start, nil)
	if !summarized() {
		t.Errorf("%d rows have none", len(rows))
	}
	sweepAll(d, d.Ends(Mapping{Activity: start.Tick()}).Add(deadKept))
	if summarized() {
		t.Error("no rows have summaries")
	}
}

// A clock that is set back a little brings users back to life who have been buried: activity of
// theirs counts, and so do they.
func TestTouchOfTheBuried(t *testing.T) {
	d := newDirectory()
	d.summarizedRows = 1
	m, _ := d.Assign("", 5, b1, start)
	end := d.Ends(m)
	sweepAll(d, end)
	if n := d.Users(b1); n != 0 {
		t.Fatalf("%d users after the end", n)
	}
	if _, ok := d.Touch("", m, end-500); !ok {
		t.Fatal("nothing to touch before the end")
	}
	if n := d.Users(b1); n != 1 {
		t.Errorf("%d users who are alive", n)
	}
	sweepAll(d, end.Add(time.Second))
	wantCounts(t, d)
	wantSummaries(t, d)
	epochEnd := end + Time(EpochLength.Milliseconds()) - end%Time(EpochLength.Milliseconds())
	l, _ := d.lockLeaf(d.shard(""), 0)
	l.unlock()
	if got, want := d.DigestLeaf("", 0, epochEnd), l.digest(epochEnd); got == 0 || got != want {
		t.Errorf("the digest is %x, want %x", got, want)
	}
}

// A row of the future, or a leaf that was not swept for long, makes the summary invalid until the
// next sweep; so no digest is wrong, and none is lost for good.
func TestSummaryOfWhatIsFarAhead(t *testing.T) {
	at := start - start%Time(EpochLength.Milliseconds()) // the end of an epoch
	for _, test := range []struct {
		name  string
		stamp Time
		valid bool
	}{
		{"in the last epoch that is kept apart",
			at.Add((recentEpochs - settledAfter) * EpochLength), true},
		{"after that",
			at.Add((recentEpochs-settledAfter)*EpochLength + 250*time.Millisecond), false},
	} {
		d := newDirectory()
		d.summarizedRows = 1
		d.Assign("", 5, b1, at)
		sweepAll(d, at)
		d.Assign("", 6, b1, test.stamp)
		l, _ := d.lockLeaf(d.shard(""), 0)
		l.unlock()
		if l.valid() != test.valid {
			t.Errorf("%s: the summary is valid: %v, want %v", test.name, l.valid(), test.valid)
		}
		wantSummaries(t, d)
		later := test.stamp.Add(settledAfter * EpochLength)
		sweepAll(d, later)
		if l, _ = d.lockLeaf(d.shard(""), 0); !l.valid() {
			t.Errorf("%s: the summary is not valid after a sweep", test.name)
		}
		l.unlock()
		wantSummaries(t, d)
	}
}

// A leaf is swept at the first moment at which there is something to do, and not before.
func TestSweepIsDueWhenARowDies(t *testing.T) {
	d := newDirectory()
	d.summarizedRows = 1
	m, _ := d.Assign("", 5, b1, start)
	sweepAll(d, start)
	l, _ := d.lockLeaf(d.shard(""), 0)
	l.unlock()
	end := d.Ends(m)
	if !l.idle(d.deadline(end.Add(-250 * time.Millisecond))) {
		t.Error("a sweep has something to do before the row is dead")
	}
	if l.idle(d.deadline(end)) {
		t.Error("a sweep has nothing to do although the row is dead")
	}
}
