package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const second = time.Second

// at is an answer of director d that took no time.
func at(seconds float64, d int, backend string) Answer {
	when := time.Duration(seconds * float64(second))
	return Answer{User: "u", Backend: backend, Director: d, Asked: when, Answered: when}
}

// late is an answer that took a while.
func late(asked, answered float64, d int, backend string) Answer {
	a := at(asked, d, backend)
	a.Answered = secs(answered)
	return a
}

// movedInAStop stops director 1, and has the user moved meanwhile.
func movedInAStop(j *Judge) {
	j.Hung(1, secs(4), secs(40))
	j.Command(Command{Op: Move, User: "u", Backend: "b", OK: true, Begun: secs(5), Ended: secs(6)})
}

func secs(seconds float64) time.Duration { return time.Duration(seconds * float64(second)) }

// Each story is judged as a whole: an answer that its director must have known better is reported,
// one that it could not know better is not.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		happens func(j *Judge)
		answers []Answer
		want    []string // rules that were broken
	}{
		{"the same everywhere", nil, []Answer{at(1, 0, "a"), at(1, 1, "a"), at(9, 2, "a")}, nil},
		{"two backends in a mesh without faults", nil,
			[]Answer{at(1, 0, "a"), at(1.001, 1, "b")}, []string{"G2"}},
		{"two backends at one director", nil, []Answer{at(1, 0, "a"), at(2, 0, "b")},
			[]string{"G2"}},
		{"to and fro", nil, []Answer{at(1, 0, "a"), at(2, 1, "b"), at(3, 0, "a")},
			[]string{"G2", "G2"}},
		{"after the user has expired", nil, []Answer{at(1, 0, "a"), at(62, 1, "b")}, nil},
		{"a little before", nil, []Answer{at(1, 0, "a"), at(60, 1, "b")}, []string{"G2"}},

		{"moved", func(j *Judge) {
			j.Command(Command{Op: Move, User: "u", Backend: "b", OK: true, Begun: secs(5),
				Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(8, 1, "b"), at(9, 2, "b")}, nil},
		{"moved and back", func(j *Judge) {
			j.Command(Command{Op: Move, User: "u", Backend: "b", OK: true, Begun: secs(5),
				Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(8, 1, "b"), at(48, 2, "a")}, []string{"G2"}},
		{"another user was moved", func(j *Judge) {
			j.Command(Command{Op: Move, User: "w", Backend: "b", OK: true, Begun: secs(5),
				Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(8, 1, "b")}, []string{"G2"}},
		{"moved long before", func(j *Judge) {
			j.Command(Command{Op: Move, User: "u", Backend: "a", OK: true, Begun: secs(5),
				Ended: secs(6)})
		}, []Answer{at(45, 1, "a"), at(46, 2, "b")}, []string{"G2"}},
		{"a vhost count moves nobody", func(j *Judge) {
			j.Command(Command{Op: Update, Backend: "a", Value: "0", OK: true, Begun: secs(5),
				Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(5.5, 1, "b")}, []string{"G2"}},
		{"flushed", func(j *Judge) {
			j.Command(Command{Op: Flush, Backend: "a", OK: true, Begun: secs(5), Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(9, 1, "b")}, nil},
		{"moved to a backend that was flushed then", func(j *Judge) {
			j.Command(Command{Op: Move, User: "u", Backend: "c", OK: true, Begun: secs(5),
				Ended: secs(6)})
			j.Command(Command{Op: Flush, Backend: "c", OK: true, Begun: secs(7), Ended: secs(8)})
		}, []Answer{at(1, 0, "a"), at(12, 1, "b")}, nil},
		{"another user was moved to a backend that was flushed then", func(j *Judge) {
			j.Command(Command{Op: Move, User: "w", Backend: "c", OK: true, Begun: secs(5),
				Ended: secs(6)})
			j.Command(Command{Op: Flush, Backend: "c", OK: true, Begun: secs(7), Ended: secs(8)})
		}, []Answer{at(1, 0, "a"), at(12, 1, "b")}, []string{"G2"}},
		{"another backend was flushed", func(j *Judge) {
			j.Command(Command{Op: Flush, Backend: "b", OK: true, Begun: secs(5), Ended: secs(6)})
		}, []Answer{at(1, 0, "a"), at(9, 1, "b")}, []string{"G2"}},
		{"down, so not prolonged", func(j *Judge) {
			j.Command(Command{Op: Down, Backend: "a", OK: true, Begun: secs(2), Ended: secs(2)})
		}, []Answer{at(1, 0, "a"), at(40, 0, "a"), at(80, 1, "b")}, nil},

		{"decided before a stop, and said after it", func(j *Judge) { movedInAStop(j) },
			[]Answer{at(1, 1, "a"), at(30, 0, "b"), late(3.9, 40.1, 1, "a"), at(66, 2, "b")}, nil},
		{"decided after a stop, by what was so before", func(j *Judge) { movedInAStop(j) },
			[]Answer{at(1, 1, "a"), at(30, 0, "b"), at(67, 1, "a")}, []string{"G2"}},
		{"died with its last answer", func(j *Judge) { j.Down(0, secs(1.5), secs(9)) },
			[]Answer{at(1, 0, "a"), at(12, 1, "b")}, nil},
		{"died long after", func(j *Judge) { j.Down(0, secs(8), secs(12)) },
			[]Answer{at(1, 0, "a"), at(12, 1, "b")}, []string{"G2"}},
		{"came back without it, though others had it", func(j *Judge) {
			j.Down(1, secs(8), secs(12))
		}, []Answer{at(1, 0, "a"), at(13, 1, "b")}, []string{"G2"}},
		{"all died, it was on disk", func(j *Judge) {
			for d := range 3 {
				j.Down(d, secs(8), secs(12))
			}
		}, []Answer{at(1, 0, "a"), at(13, 1, "b")}, []string{"G2"}},
		{"all died at once, and the last answer did not prolong", func(j *Judge) {
			for d := range 3 {
				j.Down(d, secs(50.1), secs(60))
			}
		}, []Answer{at(1, 0, "a"), at(50, 1, "a"), at(75, 1, "b")}, nil},
		{"all died at once, and an answer of before did", func(j *Judge) {
			for d := range 3 {
				j.Down(d, secs(50.1), secs(60))
			}
		}, []Answer{at(1, 0, "a"), at(40, 2, "a"), at(50, 1, "a"), at(75, 1, "b")},
			[]string{"G2"}},
		{"all died at once, it was not on disk yet", func(j *Judge) {
			for d := range 3 {
				j.Down(d, secs(2), secs(12))
			}
		}, []Answer{at(1, 0, "a"), at(13, 1, "b")}, nil},
		{"all died and lost their disks", func(j *Judge) {
			for d := range 3 {
				j.Down(d, secs(8), secs(12))
			}
			j.Wiped(secs(8))
		}, []Answer{at(1, 0, "a"), at(13, 1, "b")}, nil},
		{"hung just then", func(j *Judge) { j.Hung(0, secs(1.2), secs(9)) },
			[]Answer{at(1, 0, "a"), at(8, 1, "b")}, nil},
		{"hung, and answers what it knew before", func(j *Judge) { j.Hung(1, secs(5), secs(15)) },
			[]Answer{at(1, 0, "a"), at(15.1, 1, "b")}, []string{"G2"}},

		{"apart", func(j *Judge) { j.Apart(1, secs(3), secs(20)) },
			[]Answer{at(10, 0, "a"), at(11, 1, "b"), at(12, 1, "b"), at(13, 0, "a")}, nil},
		{"two of one side", func(j *Judge) { j.Apart(2, secs(3), secs(20)) },
			[]Answer{at(10, 0, "a"), at(11, 1, "b")}, []string{"G2"}},
		{"they agree on one", func(j *Judge) { j.Apart(1, secs(3), secs(20)) },
			[]Answer{at(10, 0, "a"), at(11, 1, "b"), at(46, 0, "b"), at(47, 1, "b"),
				at(48, 2, "b")}, nil},
		{"they do not agree", func(j *Judge) { j.Apart(1, secs(3), secs(20)) },
			[]Answer{at(10, 0, "a"), at(11, 1, "b"), at(46, 0, "b"), at(47, 1, "a"),
				at(48, 2, "a")}, []string{"G2"}},
		{"known before they were apart", func(j *Judge) { j.Apart(1, secs(30), secs(40)) },
			[]Answer{at(10, 0, "a"), at(20, 1, "b")}, []string{"G2"}},

		{"a failure in peace", nil, []Answer{{User: "u", Error: "x", Asked: secs(50),
			Answered: secs(51)}}, []string{"G4"}},
		{"a failure in trouble", func(j *Judge) { j.Down(1, secs(40), secs(45)) },
			[]Answer{{User: "u", Error: "x", Asked: secs(50), Answered: secs(51)}}, nil},
		{"a wait without end", nil, []Answer{{User: "u", Backend: "a", Asked: secs(1),
			Answered: secs(40)}}, []string{"G4"}},
	} {
		j := NewJudge(DefaultLimits(time.Minute), []string{"d1", "d2", "d3"}, true)
		if test.happens != nil {
			test.happens(j)
		}
		for _, a := range test.answers {
			j.Answer(a)
		}
		var got []string
		for _, b := range j.Look() {
			got = append(got, b.Rule)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// What was answered before one look counts at the next.
func TestLooks(t *testing.T) {
	j := NewJudge(DefaultLimits(time.Minute), []string{"d1", "d2"}, false)
	j.Answer(at(1, 0, "a"))
	if b := j.Look(); len(b) > 0 {
		t.Error(b)
	}
	j.Answer(at(8, 1, "b"))
	if b := j.Look(); len(b) != 1 {
		t.Errorf("breaches %v, want one", b)
	}
	if j.Counts.Answers != 2 {
		t.Errorf("%+v", j.Counts)
	}
}

// Tables have what was acknowledged, or what may have been done since.
func TestTables(t *testing.T) {
	update := func(begun float64, value string, ok bool) Command {
		return Command{Op: Update, Backend: "a", Value: value, OK: ok, Begun: secs(begun),
			Ended: secs(begun + 1)}
	}
	lossy := update(5, "7", true)
	lossy.Lossy = true
	for _, test := range []struct {
		name     string
		commands []Command
		wiped    float64
		d1, d2   Backend
		want     []string
	}{
		{"as configured", nil, 0, Backend{"100", false}, Backend{"100", false}, nil},
		{"they differ", nil, 0, Backend{"100", false}, Backend{"100", true}, []string{"G1", "G5"}},
		{"acknowledged", []Command{update(1, "5", true)}, 0, Backend{"5", false},
			Backend{"5", false}, nil},
		{"acknowledged and lost", []Command{update(1, "5", true)}, 0, Backend{"100", false},
			Backend{"100", false}, []string{"G5", "G5"}},
		{"in doubt", []Command{update(1, "5", true), update(3, "6", false)}, 0,
			Backend{"6", false}, Backend{"6", false}, nil},
		{"neither", []Command{update(1, "5", true), update(3, "6", false)}, 0,
			Backend{"100", false}, Backend{"100", false}, []string{"G5", "G5"}},
		{"overwritten", []Command{update(1, "5", true), update(3, "6", true)}, 0,
			Backend{"5", false}, Backend{"5", false}, []string{"G5", "G5"}},
		{"on no disk", []Command{update(1, "5", true), lossy}, 0, Backend{"5", false},
			Backend{"5", false}, nil},
		{"all disks were emptied", []Command{update(1, "5", true)}, 9, Backend{"100", false},
			Backend{"100", false}, nil},
		{"and a command came after", []Command{update(1, "5", true), update(10, "6", true)}, 9,
			Backend{"100", false}, Backend{"100", false}, []string{"G5", "G5"}},
		{"down", []Command{{Op: Down, Backend: "a", OK: true, Begun: 1, Ended: 2}}, 0,
			Backend{"100", true}, Backend{"100", true}, nil},
		{"up again", []Command{{Op: Down, Backend: "a", OK: true, Begun: 1, Ended: 2},
			{Op: Up, Backend: "a", OK: true, Begun: 3, Ended: 4}}, 0, Backend{"100", true},
			Backend{"100", true}, []string{"G5", "G5"}},
		{"another backend", []Command{{Op: Update, Backend: "b", Value: "5", OK: true}}, 0,
			Backend{"5", false}, Backend{"5", false}, []string{"G5", "G5"}},
	} {
		j := NewJudge(DefaultLimits(time.Minute), []string{"d1", "d2"}, true)
		for _, c := range test.commands {
			j.Command(c)
		}
		if test.wiped > 0 {
			j.Wiped(secs(test.wiped))
		}
		var got []string
		for _, b := range j.Tables(secs(20), map[string]map[string]Backend{
			"d1": {"a": test.d1}, "d2": {"a": test.d2},
		}, map[string]Backend{"a": {"100", false}}) {
			got = append(got, b.Rule)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// At the end of a turn all answer the same.
func TestFinal(t *testing.T) {
	got := Final(secs(5), map[string]map[string]string{
		"u": {"d1": "a", "d2": "a", "d3": "a"}, "w": {"d1": "a", "d2": "b", "d3": "a"}, "x": {},
	})
	if len(got) != 1 || got[0].Users[0] != "w" {
		t.Errorf("%v", got)
	}
}
