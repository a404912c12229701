package mesh

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// stuckPipe is a connection whose packets do not get through.
type stuckPipe struct {
	net.Conn
	size int
}

func (p *stuckPipe) Stuck() int { return p.size }

// What is stuck is asked before the connection is closed, and of the transport's connections too.
func TestStreamTellsWhatIsStuck(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	conn := &ownedConn{Conn: &stuckPipe{ours, 1488}, t: &transport{}}
	o := newOutStream("d2", &secureStream{conn: conn})
	o.close(errors.New("silence"))
	o.close(errors.New("again"))
	if got := o.stuckAt(); got != 1488 {
		t.Errorf("%d bytes are stuck, want 1488", got)
	}
	if got := (&ownedConn{Conn: ours, t: &transport{}}).Stuck(); got != 0 {
		t.Errorf("%d bytes are stuck in a pipe", got)
	}
}

// A size is to blame when one stream after the other ends with large packets stuck: not one alone,
// nor beats that get lost.
func TestStuckRow(t *testing.T) {
	var row stuckRow
	for i, test := range []struct {
		size int
		want bool
	}{
		{1488, false}, {1488, true}, {1488, true}, {0, false}, {1488, false}, {140, false},
		{1488, false}, {700, true}, {largeSegment, true}, {largeSegment - 1, false},
	} {
		if got := row.ended(test.size); got != test.want {
			t.Errorf("stream %d, %d bytes stuck: %v", i, test.size, got)
		}
	}
}

func TestStuckIsSaid(t *testing.T) {
	lines := logged(t, zerolog.InfoLevel, func(n *Node) {
		for range 3 {
			n.noteStuck(&link{name: "d2"}, 1488, 6*time.Second)
		}
	})
	if len(lines) != 1 || lines[0]["peer"] != "d2" || lines[0]["packet_bytes"] != 1488.0 {
		t.Errorf("lines %v, want one", lines)
	}
}
