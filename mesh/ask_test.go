package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"directormesh/mesh/history"
	"directormesh/mesh/meshtest/netsim"
	"directormesh/mesh/mono"
	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// heard is what directors answered, by name.
func heard(answers []Answer) map[string]string {
	all := make(map[string]string)
	for _, a := range answers {
		text := string(a.Body)
		if len(a.Body) > 100 {
			text = fmt.Sprint(len(a.Body), " bytes")
		}
		if a.Err != nil {
			text = "error: " + a.Err.Error()
		}
		all[a.Director] = text
	}
	return all
}

// Every director answers for itself, whoever asks; one that is slow, that fails, that says too much
// or is of an older release costs its own answer, and no more time than there is.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		nodes := make(map[string]*Node)
		for i, name := range []string{"d1", "d2", "d3", "d4"} {
			nodes[name], _ = named(t, network, name, byte(i+1))
		}
		time.Sleep(3 * time.Second)
		large := bytes.Repeat([]byte("x"), 5<<20)
		for name, n := range nodes {
			n.Handle("echo", func(_ context.Context, question []byte) ([]byte, error) {
				return append([]byte(name+" "), question...), nil
			})
			n.Handle("large", func(context.Context, []byte) ([]byte, error) { return large, nil })
			n.Handle("nothing", func(context.Context, []byte) ([]byte, error) { return nil, nil })
		}
		nodes["d2"].Handle("odd", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return []byte("late"), nil
		})
		nodes["d3"].Handle("odd", func(context.Context, []byte) ([]byte, error) {
			return nil, errors.New("the disk failed")
		})
		nodes["d1"].Handle("odd", func(context.Context, []byte) ([]byte, error) {
			return make([]byte, MaxAnswer+1), nil
		})
		for topic, want := range map[string]map[string]string{
			"echo": {"d1": "d1 ?", "d2": "d2 ?", "d3": "d3 ?", "d4": "d4 ?"},
			"large": {
				"d1": "5242880 bytes", "d2": "5242880 bytes", "d3": "5242880 bytes",
				"d4": "5242880 bytes",
			},
			"nothing": {"d1": "", "d2": "", "d3": "", "d4": ""},
			"odd": {
				"d1": "error: its answer has more than 16777216 bytes",
				"d2": "error: it did not answer within 5s, or is of an older release",
				"d3": "error: the disk failed",
				"d4": `error: it does not know about "odd"`,
			},
		} {
			for _, name := range []string{"d1", "d4"} {
				began := time.Now()
				got := heard(nodes[name].Ask(t.Context(), topic, []byte("?")))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s asked by %s (-want +got):\n%s", topic, name, diff)
				}
				if took := time.Since(began); took > answerWithin+100*time.Millisecond {
					t.Errorf("%s asked by %s took %v", topic, name, took)
				}
			}
		}
		time.Sleep(time.Second)
		for name, n := range nodes {
			n.asks.mu.Lock()
			if len(n.asks.waits) > 0 || len(n.asks.served) > 0 {
				t.Errorf("%s: %d wait, %d are served", name, len(n.asks.waits), len(n.asks.served))
			}
			n.asks.mu.Unlock()
		}
	})
}

// A director that is away is named at once, and one that left is not.
func TestAskWithoutSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		three, _ := named(t, network, "d3", 3)
		for _, n := range []*Node{one, two, three} {
			n.Handle("name", func(context.Context, []byte) ([]byte, error) {
				return []byte(n.cfg.Name), nil
			})
		}
		time.Sleep(3 * time.Second)
		if err := two.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		began := time.Now()
		want := map[string]string{"d1": "d1", "d2": "error: it cannot be reached", "d3": "d3"}
		if diff := cmp.Diff(want, heard(one.Ask(t.Context(), "name", nil))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		op := replica.SetDirectorRemoved{Addr: testAddr(2), Removed: true}
		if _, err := one.Do(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		delete(want, "d2")
		if diff := cmp.Diff(want, heard(one.Ask(t.Context(), "name", nil))); diff != "" {
			t.Errorf("without the removed one (-want +got):\n%s", diff)
		}
		if err := three.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		delete(want, "d3")
		if diff := cmp.Diff(want, heard(one.Ask(t.Context(), "name", nil))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := one.Ask(ctx, "name", nil)
		if len(got) != 1 {
			t.Errorf("asked by nobody: %+v", got)
		}
	})
}

// A peer is not served more than a few questions at a time.
func TestAskBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		two, _ := named(t, network, "d2", 2)
		for _, n := range []*Node{one, two} {
			n.Handle("slow", func(ctx context.Context, _ []byte) ([]byte, error) {
				time.Sleep(time.Second)
				return []byte("slow"), nil
			})
		}
		answers := make(chan Answer, maxServed+1)
		for range maxServed + 1 {
			go func() { answers <- one.Ask(t.Context(), "slow", nil)[1] }()
		}
		busy := 0
		for range maxServed + 1 {
			if a := <-answers; a.Err != nil && a.Err.Error() == errBusy.Error() {
				busy++
			} else if a.Err != nil {
				t.Error(a.Err)
			}
		}
		if busy != 1 {
			t.Errorf("%d questions were refused", busy)
		}
	})
}

// Parts of answers that nobody waits for, of another director, out of order or too many do no harm.
func TestOddParts(t *testing.T) {
	part := func(peer string, id uint64, index uint32, last bool, body int) func(a *asking) {
		return func(a *asking) {
			a.take(peer, &wire.AnswerPart{
				ID: id, Index: index, Last: last, Body: make([]byte, body),
			})
		}
	}
	for name, test := range map[string]struct {
		parts []func(a *asking)
		want  string
	}{
		"whole": {[]func(*asking){part("d2", 1, 0, false, 5), part("d2", 1, 1, true, 2)}, "7"},
		"not of that director": {
			[]func(*asking){part("d3", 1, 0, true, 5), part("d2", 1, 0, true, 2)}, "2",
		},
		"of no question":    {[]func(*asking){part("d2", 2, 0, true, 5)}, "open"},
		"the first missing": {[]func(*asking){part("d2", 1, 1, true, 5)}, errAnswerGap.Error()},
		"twice": {
			[]func(*asking){part("d2", 1, 0, false, 5), part("d2", 1, 0, true, 5)},
			errAnswerGap.Error(),
		},
		"too much": {
			[]func(*asking){
				part("d2", 1, 0, false, MaxAnswer), part("d2", 1, 1, true, 1),
			}, errAnswerSize.Error(),
		},
		"behind the end": {
			[]func(*asking){part("d2", 1, 0, true, 1), part("d2", 1, 1, true, 1)}, "1",
		},
	} {
		w := &asked{peer: "d2", done: make(chan Answer, 1)}
		a := &asking{waits: map[uint64]*asked{1: w}}
		for _, f := range test.parts {
			f(a)
		}
		got := "open"
		select {
		case answer := <-w.done:
			got = fmt.Sprint(len(answer.Body))
			if answer.Err != nil {
				got = answer.Err.Error()
			}
		default:
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// What was noted at any director is told at each, once: who gave which command, where a user was
// and why.
func TestHistoryOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		var nodes []*Node
		for i, name := range []string{"d1", "d2", "d3"} {
			n, _ := named(t, network, name, byte(i+1), func(cfg *Config) {
				cfg.Backends = append(cfg.Backends, ring.Backend{
					Addr: netip.MustParseAddr("192.0.2.2"), VHosts: 100,
				})
			})
			nodes = append(nodes, n)
		}
		time.Sleep(3 * time.Second)
		const user = ring.UserHash(0x12345678)
		from, err := nodes[1].Lookup(t.Context(), "", user)
		if err != nil {
			t.Fatal(err)
		}
		to := netip.MustParseAddr("192.0.2.1")
		if to == from {
			to = netip.MustParseAddr("192.0.2.2")
		}
		time.Sleep(3 * time.Second)
		_, err = nodes[0].Do(t.Context(), replica.Move{Hash: user, Backend: to, Wait: true})
		if err != nil {
			t.Fatal(err)
		}
		nodes[0].NoteAdmin(&wire.AdminNote{
			Who: "uid 0 pid 7", Action: "move", Took: 2000,
			Details: []wire.Detail{{Name: "user_hash", Value: fmt.Sprint(uint32(user))}},
		})
		moved := nodes[0].MeshTime()
		time.Sleep(time.Minute)
		_, err = nodes[2].Do(t.Context(), replica.Forget{Addr: to})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		forgotten := nodes[0].MeshTime()
		time.Sleep(time.Second)
		again, err := nodes[2].Lookup(t.Context(), "", user)
		if err != nil {
			t.Fatal(err)
		}
		if again != from {
			t.Fatalf("on %v at first, and on %v at last", from, again)
		}
		time.Sleep(3 * time.Second)
		var first string
		for _, n := range nodes {
			answers, failed, err := n.AskHistory(t.Context(), wire.HistoryQuery{
				User: true, Hash: user,
			})
			if err != nil || len(failed) > 0 || len(answers) != 3 {
				t.Fatalf("%s: %v, %v", n.cfg.Name, failed, err)
			}
			merged := history.Merge(answers)
			var lines []string
			if a := merged.Events; !slices.ContainsFunc(a, func(e history.Event) bool {
				return e.Admin != nil && e.At < moved.Add(-1500*time.Millisecond)
			}) {
				t.Errorf("the command is not noted with the time of its beginning")
			}
			for _, e := range merged.Of(user) {
				asked := ""
				if a := history.AskedFor(merged.Events, e.Event); a != nil {
					asked = a.Admin.Who
				}
				lines = append(lines, fmt.Sprint(e.Reason, " ", e.From, " ", e.To, " ", e.By, " ",
					e.Seen, " ", asked))
			}
			want := []string{
				fmt.Sprintf("login invalid IP %v d2 [d2] ", from),
				fmt.Sprintf("move %v %v d1 [d1 d2 d3] uid 0 pid 7", from, to),
				fmt.Sprintf("forgotten %v invalid IP  [d1 d2 d3] ", to),
				fmt.Sprintf("forgotten %v %v d3 [d1 d2 d3] ", to, from),
			}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("at %s (-want +got):\n%s", n.cfg.Name, diff)
			}
			var rows []wire.Block
			for _, a := range answers {
				rows = append(rows, a.Found.Rows...)
			}
			if len(rows) != 3 {
				t.Errorf("at %s: %d rows", n.cfg.Name, len(rows))
			}
			all := fmt.Sprint(lines)
			if got := merged.Stays(user, rows, moved, n.cfg.Expire); len(got) != 1 ||
				got[0].Certainty != history.There || got[0].Backend != to {
				t.Errorf("moved: %+v", got)
			}
			if got := merged.Stays(user, rows, forgotten, n.cfg.Expire); len(got) != 1 ||
				got[0].Certainty != history.Nowhere {
				t.Errorf("forgotten: %+v", got)
			}
			if got := merged.Stays(user, rows, n.MeshTime(), n.cfg.Expire); len(got) != 1 ||
				got[0].Certainty != history.There || got[0].Backend != from {
				t.Errorf("at last: %+v", got)
			}
			if first == "" {
				first = all
			} else if all != first {
				t.Errorf("%s says\n%s, and d1\n%s", n.cfg.Name, all, first)
			}
		}
	})
}

// What is asked about the history may be anything.
func TestOddHistoryQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := netsim.New(1, netsim.Faults{Delay: time.Millisecond})
		one, _ := named(t, network, "d1", 1)
		for _, question := range [][]byte{nil, []byte("?"), encoded(t, &wire.Beat{})} {
			if a := one.Ask(t.Context(), history.Topic, question); a[0].Err == nil {
				t.Errorf("%q is answered with %q", question, a[0].Body)
			}
		}
		one.input(func(c *replica.Core, _ mono.Time) {
			if c.Say("d9", &wire.Question{}) {
				t.Error("a director that is not there was asked")
			}
		})
	})
}
