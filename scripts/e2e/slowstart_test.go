//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestSlowStart brings a backend into use over six seconds, and kills the director that writes the
// steps in their midst: all directors show the same, new users go there little by little, and it
// ends in time.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	const over, silence = 6 * time.Second, 7 * time.Second
	m := startMesh(t, 3, "--mail-servers", "192.0.2.1-192.0.2.2", "--slow-start", over.String())
	d1, d2, d3 := m.directors[0], m.directors[1], m.directors[2]
	must(t, d2, "down", "192.0.2.2")
	must(t, d3, "up", "192.0.2.2")
	began := time.Now()
	for _, d := range m.directors {
		if table := must(t, d, "status"); !strings.Contains(table, "up, starting at 25%") {
			t.Errorf("%s at first:\n%s", d.name, table)
		}
	}
	names, there := users("early", 2000), 0
	answers := lookupMany(t, d2, names)
	for _, user := range names {
		if answers[user] == "192.0.2.2" {
			there++
		}
	}
	if there < 200 || there > 600 { // 20 % of them
		t.Errorf("%d of %d users went to a backend that starts slowly", there, len(names))
	}
	within(t, over/2, func() error {
		if table := must(t, d2, "status"); !strings.Contains(table, "up, starting at 50%") {
			return fmt.Errorf("after a third of the time:\n%s", table)
		}
		return nil
	})
	d1.kill()
	within(t, time.Until(began.Add(over+silence)), func() error {
		for _, d := range m.directors[1:] {
			if table := must(t, d, "status"); strings.Contains(table, "starting") {
				return fmt.Errorf("%s in the end:\n%s", d.name, table)
			}
		}
		return nil
	})
	if took := time.Since(began); took < over {
		t.Errorf("it took %v, not %v", took, over)
	}
	for user, backend := range lookupMany(t, d3, names) {
		if backend != answers[user] {
			t.Errorf("%s went from %s to %s", user, answers[user], backend)
		}
	}
	checkSame(t, m.directors[1:])
}
