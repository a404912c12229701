//go:build e2e

package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPods is the life of the pods of kubernetes.yaml: they find each other by the service's name,
// one dies and comes back with another address, all are replaced one after the other, also with
// empty volumes, and all are lost at once. Users stay where they are, what was acknowledged holds,
// and a pod is ready when, and only when, it is one of the mesh. That others stay ready meanwhile
// is what the disruption budget of one pod rests on.
func TestPods(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, p := range c.pods { // in parallel, as the manifest wants it
		p.start()
	}
	for _, p := range c.pods {
		c.awaitReady(p)
	}
	s := &story{cluster: c, homes: lookupMany(t, c.pods[0].process, users("known", 300))}
	last := c.pods[len(c.pods)-1]
	must(t, last.process, "update", "10.12.90.12", "50")
	must(t, last.process, "remove", "10.12.90.19")
	must(t, last.process, "add", "10.12.90.30")
	for _, user := range users("known", 5) { // who then are not where they hash
		must(t, last.process, "move", "--wait", user, "10.12.90.30")
	}
	s.homes = lookupMany(t, last.process, users("known", 300))
	s.table = table(t, last.process)
	s.goesOn("the start")

	// Nobody sees at once that a host is lost: the service still has the pod's address.
	c.pods[1].dies()
	c.awaitOthers(c.pods[1], 2*time.Second)
	c.pods[1].start()
	c.awaitReady(c.pods[1])
	s.goesOn("a pod has died")

	for _, empty := range []bool{false, true} {
		for _, p := range slices.Backward(c.pods) { // the order of a StatefulSet
			p.isDeleted()
			if empty {
				p.losesVolume()
			}
			p.start()
			c.awaitReady(p)
		}
		s.goesOn(fmt.Sprintf("all were replaced, with empty volumes: %v", empty))
	}

	pause(t, 3*time.Second) // mappings are kept within a second or two
	for _, p := range c.pods {
		p.dies()
	}
	for _, p := range c.pods {
		p.start()
	}
	for _, p := range c.pods {
		c.awaitReady(p)
	}
	s.goesOn("all were lost")
}

// awaitReady waits until the probe says that a pod is ready, and demands that it is. All pods that
// were ready must be so meanwhile.
func (c *cluster) awaitReady(p *pod) {
	c.t.Helper()
	began := time.Now()
	var before []string // what it said
	within(c.t, podLimit, func() error {
		c.othersAreReady(p)
		status, text := p.probe("/readyz")
		if status == 200 {
			return nil
		}
		if len(before) == 0 || before[len(before)-1] != text {
			before = append(before, text)
		}
		if status, text := p.probe("/healthz"); status != 0 && status != 200 {
			c.t.Errorf("%s does not live: %d %s", p.name, status, text)
		}
		return fmt.Errorf("%s: %d %s", p.name, status, text)
	})
	c.t.Logf("%s is ready after %v, before it said %q", p.name,
		time.Since(began).Round(10*time.Millisecond), before)
	p.ready = true
	c.names.set(p.name, p.addr.Addr())
	self, err := selfOf(c.t, p.process)
	if _, text := p.probe("/readyz"); err != nil || !self.Synced || self.Alone || !ready(text) {
		c.t.Errorf("%s is ready and is not: %+v, %v; %s", p.name, self, err, text)
	}
}

// ready says whether a probe's text is that of a director of a mesh. Behind a comma it may name one
// that was there before this director ended, and is not back yet.
func ready(text string) bool {
	return strings.HasPrefix(text, "ready") && !strings.Contains(text, "alone")
}

// awaitOthers demands for some time that all others are ready.
func (c *cluster) awaitOthers(p *pod, d time.Duration) {
	c.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		c.othersAreReady(p)
	}
}

func (c *cluster) othersAreReady(than *pod) {
	c.t.Helper()
	for _, p := range c.pods {
		if p == than || !p.ready || p.cmd == nil {
			continue
		}
		status, text := p.probe("/readyz")
		for range 2 { // the kubelet takes three probes in a row that get no answer in time
			if status == 0 {
				status, text = p.probe("/readyz")
			}
		}
		if status != 200 || !ready(text) {
			c.t.Fatalf("%s is not ready any more: %d %s", p.name, status, text)
		}
	}
}

// story is what the users and operators of a cluster know of it.
type story struct {
	*cluster
	homes map[string]string // user to backend
	table string
}

// goesOn demands that all pods are one mesh at the addresses that they have now, with the table and
// the users that there were.
func (s *story) goesOn(when string) {
	s.t.Helper()
	var directors []*process
	var want []netip.Addr
	for _, p := range s.pods {
		directors, want = append(directors, p.process), append(want, p.addr.Addr())
	}
	s.awaitSynced(10*time.Second, directors...)
	for _, p := range s.pods {
		var got []netip.Addr
		for _, d := range peers(s.t, p.process) {
			got = append(got, d.IP.Addr)
		}
		slices.SortFunc(got, netip.Addr.Compare)
		slices.SortFunc(want, netip.Addr.Compare)
		if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
			s.t.Errorf("%s: directors at %s (-want +got):\n%s", when, p.name, diff)
		}
		if got := table(s.t, p.process); got != s.table {
			s.t.Errorf("%s: the table of %s:\n%swas:\n%s", when, p.name, got, s.table)
		}
		homes := lookupMany(s.t, p.process, users("known", 300))
		if diff := cmp.Diff(s.homes, homes); diff != "" {
			s.t.Errorf("%s: users at %s (-before +now):\n%s", when, p.name, diff)
		}
	}
	checkSame(s.t, directors)
}
