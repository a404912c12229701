package check

import (
	"testing"
	"time"
)

// Who was in touch with a director that is cut off now has heard of it, in whatever life of the
// other one, for as long as it remembers that.
func TestUnheardOf(t *testing.T) {
	const now = 40 * time.Hour
	for _, test := range []struct {
		name         string
		sent, former time.Duration
		want         bool
	}{
		{"never", never, never, true},
		{"lately", now - time.Hour, never, false},
		{"lately, in another life", never, now - time.Hour, false},
		{"a day ago", now - forgottenAfter, never, false},
		{"longer ago", now - forgottenAfter - 1, now - forgottenAfter - 1, true},
		{"in touch", now - time.Millisecond, never, false},
	} {
		c := newContacts(rules)
		a, b := c.of("d1"), c.of("d2")
		for _, d := range c.directors {
			d.alive, d.met = true, true
		}
		c.links[a][b].sent, c.links[a][b].former = test.sent, test.former
		if got := c.unheardOf(now, a, b); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
