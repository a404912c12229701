package mono

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMomentsAndLengths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		half := rapid.Int64Range(math.MinInt64/2, math.MaxInt64/2)
		at, d := Time(half.Draw(t, "at")), time.Duration(half.Draw(t, "length"))
		later := at.Add(d)
		if got := later.Sub(at); got != d {
			t.Errorf("%v after %v is %v, which is %v after it", d, at, later, got)
		}
		if got := later.Add(-d); got != at {
			t.Errorf("%v before %v is %v, want %v", d, later, got, at)
		}
		if (later > at) != (d > 0) || (later == at) != (d == 0) {
			t.Errorf("%v after %v is %v", d, at, later)
		}
		if got, want := fmt.Sprint(at), fmt.Sprint(at.Sub(0)); got != want {
			t.Errorf("prints %q, want %q", got, want)
		}
	})
}
