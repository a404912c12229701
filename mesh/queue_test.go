package mesh

import (
	"bytes"
	"strings"
	"testing"
)

func TestGossipQueues(t *testing.T) {
	var q gossipQueues
	q.init(1000, func() int { return 5 })
	if dropped := q.prune(); dropped != 0 {
		t.Errorf("pruning unused queues dropped %d", dropped)
	}
	q.forward([]byte("other"))
	q.forward(make([]byte, 1001))
	q.local([]byte("own"))
	if got := q.forwarded.NumQueued(); got != 1 {
		t.Errorf("%d messages are passed on, one that fits no packet among them", got)
	}
	got := q.get(3, 1000)
	if len(got) != 2 || string(got[0]) != "own" || string(got[1]) != "other" {
		t.Errorf("got %q, want our own first and nothing too long", got)
	}
	if got := q.get(3, 3+len("own")); len(got) != 1 || string(got[0]) != "own" {
		t.Errorf("with room for one: %q, want our own", got)
	}
	if dropped := q.prune(); dropped != 0 || len(q.get(3, 1000)) != 2 {
		t.Errorf("pruning queues that are short dropped %d", dropped)
	}
	if broadcast("new").Invalidates(broadcast("old")) {
		t.Error("a message takes the place of another")
	}
	for i := range 2 * maxGossip {
		q.local(bytes.Repeat([]byte{byte(i)}, 10))
	}
	if dropped := q.prune(); dropped < maxGossip || q.own.NumQueued() != maxGossip {
		t.Errorf("pruning dropped %d and left %d, want %d left",
			dropped, q.own.NumQueued(), maxGossip)
	}
}

func TestMemberlistLabel(t *testing.T) {
	long := strings.Repeat("mesh", 30)
	seen := make(map[string]string)
	for _, mesh := range []string{
		"", "a", "mesh", long, long + "x", long + "y",
		strings.Repeat("m", maxLabel-len(labelPrefix)),
	} {
		label := memberlistLabel(mesh)
		if whole := labelPrefix + mesh; len(whole) <= maxLabel && label != whole {
			t.Errorf("%q: label %q", mesh, label)
		}
		if len(label) > maxLabel || len(label) == 0 {
			t.Errorf("%q: label of %d bytes", mesh, len(label))
		}
		if other, ok := seen[label]; ok {
			t.Errorf("%q and %q have the same label", mesh, other)
		}
		seen[label] = mesh
	}
}
