package loglimit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func TestLimiter(t *testing.T) {
	var l Limiter
	start := time.Unix(0, 0)
	type answer struct {
		Suppressed int
		OK         bool
	}
	var got []answer
	const s = time.Second
	for _, at := range []time.Duration{
		0, 1, 2 * s, 10 * s, 11 * s, 20 * s, 30 * s, 40 * s, 69 * s, 70 * s,
	} {
		n, ok := l.Allow("x", start.Add(at))
		got = append(got, answer{n, ok})
	}
	want := []answer{
		{0, true}, {0, false}, {0, false}, {2, true}, {0, false}, {0, false}, {2, true}, {0, false},
		{0, false}, {2, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	lines := 0
	for at := range 24 * time.Hour / s {
		if _, ok := l.Allow("every second", start.Add(at*s)); ok {
			lines++
		}
	}
	if most := int(24*time.Hour/Rarely) + 10; lines > most {
		t.Errorf("%d lines in a day about one trouble, want at most %d", lines, most)
	}
	if _, ok := l.Allow("every second", start.Add(48*time.Hour)); !ok {
		t.Error("no line a day later")
	}
	if _, ok := l.Allow("every second", start.Add(48*time.Hour+Every)); !ok {
		t.Error("trouble that begins anew does not begin with short pauses")
	}
	l = Limiter{}
	for i := range 2 * maxTroubles {
		l.Allow(fmt.Sprint(i), start)
	}
	if len(l.troubles) != maxTroubles {
		t.Errorf("%d kinds of trouble are remembered, want %d", len(l.troubles), maxTroubles)
	}
	l.Forget(start.Add(time.Hour))
	if len(l.troubles) != 0 {
		t.Errorf("%d kinds of trouble are remembered an hour later", len(l.troubles))
	}
}

// TestLogger checks that lines are written as Allow says, and that one tells how many were not.
func TestLogger(t *testing.T) {
	var out strings.Builder
	var l Limiter
	log := zerolog.New(&out)
	start := time.Unix(0, 0)
	for _, at := range []time.Duration{0, time.Second, 2 * time.Second, Every} {
		l.Logger(log, "x", start.Add(at)).Warn().Msg("trouble")
	}
	want := `{"level":"warn","message":"trouble"}
{"level":"warn","suppressed":2,"message":"trouble"}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
