package names

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"directormesh/directory"
	"directormesh/mesh/mono"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

const round = 30 * time.Second

var (
	key   = Key{Name: "imap.example.org"}
	other = Key{Name: "spare.example.org"}
	equal = cmpopts.EquateComparable(netip.Addr{})
)

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

func targets(list ...int) (all []ring.Target) {
	for _, i := range list {
		all = append(all, ring.Target{Addr: addr(i), VHosts: 100})
	}
	return all
}

// look takes an answer in round i.
func look(w *Watched, i int, reason string, list ...int) bool {
	now := mono.Time(time.Hour).Add(time.Duration(i) * round)
	return w.Take(now, directory.Time(now/1e6), key, targets(list...), reason)
}

func seen(w *Watched) string {
	var list []string
	for _, t := range w.Sight(key).Targets {
		list = append(list, fmt.Sprint(t.Addr.As4()[3]))
	}
	return strings.Join(list, " ")
}

// What is missing from the answers is gone after ten minutes in which the name resolves, however it
// fails meanwhile.
func TestGoneAfterTenMinutes(t *testing.T) {
	for name, test := range map[string]struct {
		// answer is in rounds after the first, which finds 1 and 2
		answer func(i int) (reason string, list []int)
		gone   int // in which round 2 is; 0: never
	}{
		"at once":     {func(int) (string, []int) { return "", []int{1} }, 20},
		"always seen": {func(int) (string, []int) { return "", []int{1, 2} }, 0},
		"seen now and then": {func(i int) (string, []int) {
			return "", []int{1, 1 + i%19/18}
		}, 0},
		"the name fails": {func(int) (string, []int) { return "server failure", nil }, 0},
		"empty answers":  {func(int) (string, []int) { return "", nil }, 0},
		"fails every other time": {func(i int) (string, []int) {
			return []string{"", "server failure"}[i%2], []int{1}
		}, 0},
		"fails for an hour first": {func(i int) (string, []int) {
			if i < 120 {
				return "server failure", nil
			}
			return "", []int{1}
		}, 140}, // time counts from the first whole answer on
		"seen in answers that are not whole": {func(i int) (string, []int) {
			if i%10 == 5 {
				return "no AAAA", []int{2}
			}
			return "", []int{1}
		}, 0},
	} {
		w := Watch([]Key{key}, round, GoneAfter)
		look(w, 0, "", 1, 2)
		gone := 0
		for i := 1; i < 200 && gone == 0; i++ {
			reason, list := test.answer(i)
			look(w, i, reason, list...)
			if !strings.Contains(seen(w), "2") {
				gone = i
			}
		}
		if gone != test.gone {
			t.Errorf("%s: gone in round %d, want %d", name, gone, test.gone)
		}
	}
}

// A director that stood still for an hour has not seen that an address was missing meanwhile.
func TestPausesDoNotCount(t *testing.T) {
	w := Watch([]Key{key}, round, GoneAfter)
	look(w, 0, "", 1, 2)
	look(w, 1, "", 1, 2)
	for i := 120; i < 138; i++ { // two rounds for the pause, 17 after it
		if look(w, i, "", 1); seen(w) != "1 2" {
			t.Fatalf("gone in round %d", i)
		}
	}
	if look(w, 138, "", 1); seen(w) != "1" {
		t.Errorf("seen at last: %s", seen(w))
	}
}

// Addresses that go within five minutes of each other go together; none waits for more than twice
// the time.
func TestGoTogether(t *testing.T) {
	for last, want := range map[int]string{1: "20 20", 8: "28 28", 15: "20 35"} {
		w := Watch([]Key{key}, round, GoneAfter)
		gone := make(map[string]int)
		for i := range 60 {
			list := []int{1}
			if i == 0 {
				list = append(list, 2)
			}
			if i <= last {
				list = append(list, 3)
			}
			look(w, i, "", list...)
			for _, a := range []string{"2", "3"} {
				if gone[a] == 0 && !strings.Contains(seen(w), a) {
					gone[a] = i
				}
			}
		}
		if got := fmt.Sprintf("%d %d", gone["2"], gone["3"]); got != want && last != 1 ||
			last == 1 && gone["2"] != gone["3"] {
			t.Errorf("the second was last seen in round %d: gone in %s, want %s", last, got, want)
		}
	}
	w := Watch([]Key{key}, round, GoneAfter)
	gone := 0
	for i := 0; i < 80 && gone == 0; i++ { // in each minute another one has its last
		list := []int{1}
		for a := 2; a < 100; a++ {
			if i <= 2*(a-2) {
				list = append(list, a)
			}
		}
		look(w, i, "", list...)
		if !strings.HasPrefix(seen(w), "1 2 ") {
			gone = i
		}
	}
	if gone != 40 {
		t.Errorf("gone in round %d", gone)
	}
}

// Only news is sent: what is seen, whether the name resolves, and when that began to count.
func TestNews(t *testing.T) {
	w := Watch([]Key{key}, round, GoneAfter)
	if w.Sight(key) != nil || w.Sight(other) != nil ||
		w.Take(1, 1, other, targets(1), "") {
		t.Error("something is seen before an answer, or of a name that is not watched")
	}
	for i, step := range []struct {
		reason string
		list   []int
		news   bool
		want   string
	}{
		{"", []int{1, 1}, true, "1"}, {"", []int{1}, false, "1"}, {"", []int{2}, true, "1 2"},
		{"timeout", nil, true, "1 2"}, {"timeout", nil, false, "1 2"},
		{"refused", nil, true, "1 2"},
		{"", nil, true, "1 2"}, {"", []int{1, 2}, true, "1 2"},
	} {
		news := look(w, i, step.reason, step.list...)
		s := w.Sight(key)
		if news != step.news || seen(w) != step.want || s.Resolves != (i < 3 || i == 7) ||
			s.Settled {
			t.Errorf("step %d: news %v, %+v", i, news, s)
		}
	}
	before := *w.Sight(key)
	for i := 8; i < 28; i++ {
		if news := look(w, i, "", 1, 2); news != (i == 25) {
			t.Errorf("round %d: news %v", i, news)
		}
	}
	if s := w.Sight(key); !s.Settled || s.Since != before.Since {
		t.Errorf("at last %+v", s)
	}
	late := mono.Time(time.Hour).Add(40 * round)
	if keys := w.Overdue(late, 9, 20*round); keys != nil {
		t.Errorf("overdue %v", keys)
	}
	if keys := w.Overdue(late, 9, 5*round); !slices.Equal(keys, []Key{key}) ||
		w.Sight(key).Resolves || w.Overdue(late, 9, 5*round) != nil {
		t.Errorf("overdue %v, %+v", keys, w.Sight(key))
	}
}

// What an answer has that no backend can be is left out, and what a name has is bounded.
func TestHostileAnswers(t *testing.T) {
	w := Watch([]Key{key}, round, GoneAfter)
	var list []ring.Target
	for _, s := range []string{
		"0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1",
	} {
		list = append(list, ring.Target{Addr: netip.MustParseAddr(s), VHosts: 1 << 30})
	}
	w.Take(1, 1, key, append(list, ring.Target{}), strings.Repeat("\x1b", 9999))
	s := w.Sight(key)
	want := []ring.Target{{Addr: addr(1), VHosts: ring.MaxVHosts}}
	if diff := cmp.Diff(want, s.Targets, equal); diff != "" || len(s.Reason) > wire.MaxReason {
		t.Errorf("reason of %d bytes (-want +got):\n%s", len(s.Reason), diff)
	}
	list = nil
	for i := range 2 * wire.MaxNameTargets {
		list = append(list, ring.Target{
			Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}),
		})
	}
	w.Take(2, 2, key, list, "")
	if s := w.Sight(key); len(s.Targets) != wire.MaxNameTargets || s.Resolves {
		t.Errorf("%d addresses, resolves %v", len(s.Targets), s.Resolves)
	}
	if _, err := wire.Encode(&wire.Names{Names: []wire.NameSight{*w.Sight(key)}}); err != nil {
		t.Error(err)
	}
}

func TestSights(t *testing.T) {
	s := make(Sights)
	for i := range 2 * wire.MaxNames {
		s.Note(&wire.NameSight{Name: fmt.Sprintf("n%03d", i)})
	}
	s.Note(&wire.NameSight{Name: "n000", Targets: targets(1)})
	if len(s) != wire.MaxNames || len(s[Key{Name: "n000"}].Targets) != 1 {
		t.Errorf("%d names", len(s))
	}
	got := make(Sights)
	messages := s.Messages()
	for i, m := range messages {
		if m.Whole != (i == 0) || len(m.Names) != 1 {
			t.Errorf("message %d: %+v", i, m)
		}
		got.Note(&m.Names[0])
	}
	if diff := cmp.Diff(s, got, equal); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if none := make(Sights).Messages(); len(none) != 1 || !none[0].Whole || none[0].Names != nil {
		t.Errorf("of no names: %+v", none)
	}
}
