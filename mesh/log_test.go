package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"directormesh/mesh/replica"
)

// logged returns what a node writes to its log, one map a line, at this level and above.
func logged(t *testing.T, level zerolog.Level, write func(n *Node)) []map[string]any {
	t.Helper()
	var buf bytes.Buffer
	write(&Node{log: zerolog.New(&buf).Level(level)})
	var lines []map[string]any
	for dec := json.NewDecoder(&buf); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestLogBridge(t *testing.T) {
	for _, test := range []struct {
		in             string
		level, message string // "" if nothing is logged at info
	}{
		{"[DEBUG] memberlist: Stream connection from=10.0.0.1:4", "", ""},
		{"[DEBUG] memberlist: Initiating push/pull sync with: d2 10.0.0.2:9090", "", ""},
		{"[DEBUG] memberlist: Failed to send to d2", "", ""},
		{"[INFO] memberlist: Suspect d2 has failed, no acks received", "info",
			"peer does not answer probes"},
		{"[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message " +
			"from=10.0.0.1:9",
			"error", "packet refused: it is not encrypted with a key of this director"},
		{"[ERR] memberlist: failed to receive: no installed keys could decrypt the message " +
			"from=10.0.0.1:9",
			"error", "connection refused: it is not encrypted with a key of this director"},
		{"[ERR] memberlist: Failed to send UDP ping: x", "warn", "packet cannot be sent to a peer"},
		{"[ERROR] memberlist: Failed to compress payload: x", "warn",
			"trouble with the failure detector"},
		{"Err: Could not set the deadline: x", "", ""},
		{"[WARN] memberlist: handler queue full, dropping message (3)", "warn",
			"packets come faster than they are handled"},
		{"[ERR] memberlist: Conflicting address for d1. Mine: 10.0.0.1:1 Theirs: " +
			"10.0.0.2:1 Old state: 0", "", ""},
	} {
		lines := logged(t, zerolog.InfoLevel, func(n *Node) {
			if _, err := (logBridge{n}).Write([]byte(test.in + "\n")); err != nil {
				t.Fatal(err)
			}
		})
		if test.level == "" {
			if len(lines) != 0 {
				t.Errorf("%s: %v, want nothing", test.in, lines)
			}
			continue
		}
		if len(lines) != 1 || lines[0]["level"] != test.level ||
			lines[0]["message"] != test.message {
			t.Errorf("%s: %v, want %s %q", test.in, lines, test.level, test.message)
		}
	}
}

// What memberlist says of a library's or the system's words reaches nobody in Go's.
func TestLogBridgeIsPlain(t *testing.T) {
	for _, test := range []struct{ in, detail, addr string }{
		{"[ERR] memberlist: Push/Pull with d2 failed: dial tcp 10.0.0.2:9090: i/o timeout",
			"Push/Pull with d2 failed: no answer in time", ""},
		{"[ERR] memberlist: Failed to read remote state: EOF from=10.0.0.9:4711",
			"Failed to read remote state: the connection broke off", "10.0.0.9:4711"},
		{"[ERR] memberlist: Failed to decode ping request: msgpack decode error [pos 3]: EOF " +
			"from=10.0.0.9:4711", "Failed to decode ping request: it cannot be decoded",
			"10.0.0.9:4711"},
		{"[ERR] memberlist: Failed to send from=10.0.0.9 to nobody",
			"Failed to send from=10.0.0.9 to nobody", ""},
	} {
		lines := logged(t, zerolog.InfoLevel, func(n *Node) {
			var err error
			if n.metrics, err = newMetrics(prometheus.NewRegistry(), n); err != nil {
				t.Fatal(err)
			}
			if _, err := (logBridge{n}).Write([]byte(test.in + "\n")); err != nil {
				t.Fatal(err)
			}
		})
		addr, named := "", false
		if len(lines) == 1 {
			addr, named = lines[0]["addr"].(string)
		}
		if len(lines) != 1 || lines[0]["detail"] != test.detail || addr != test.addr ||
			named != (addr != "") {
			t.Errorf("%s: %v", test.in, lines)
		}
	}
}

// A connection that we closed was counted then, with its cause: memberlist's line about it is no
// second one.
func TestLogBridgeCountsOnce(t *testing.T) {
	for line, want := range map[string]float64{
		"failed to receive: read tcp 10.0.0.1:9090->10.0.0.9:1: " +
			"use of closed network connection": 0,
		"failed to receive: EOF": 1,
	} {
		lines := logged(t, zerolog.InfoLevel, func(n *Node) {
			var err error
			if n.metrics, err = newMetrics(prometheus.NewRegistry(), n); err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Fprintf(
				logBridge{n},
				"[ERR] memberlist: %s from=10.0.0.9:1\n",
				line,
			); err != nil {
				t.Fatal(err)
			}
			if got := counted(t, n.metrics.drops[dropUndecodable]); got != want {
				t.Errorf("%s: counted %g times, want %g", line, got, want)
			}
		})
		if len(lines) != int(want) {
			t.Errorf("%s: logged %v", line, lines)
		}
	}
}

func TestLogBridgeIsLimited(t *testing.T) {
	lines := logged(t, zerolog.InfoLevel, func(n *Node) {
		for i := range 1000 {
			_, err := fmt.Fprintf(logBridge{n},
				"[ERR] memberlist: Decrypt packet failed: no key from=10.0.0.%d:%d\n", i%256, i)
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if len(lines) != 1 {
		t.Errorf("1000 lines about one trouble made %d", len(lines))
	}
}

func TestCoreLines(t *testing.T) {
	lines := logged(t, zerolog.DebugLevel, func(n *Node) {
		n.writeLine(replica.Log{Level: replica.LogWarn, Text: "peer failed",
			Fields: []replica.Field{
				{Key: "peer", Value: "d2"}, {Key: "late", Value: 1500 * time.Millisecond},
				{Key: "addr", Value: testAddr(2)},
				{Key: "error", Value: fmt.Errorf("why: %w", io.EOF)}, {Key: "users", Value: 7},
			}})
	})
	want := []map[string]any{{"level": "warn", "message": "peer failed", "peer": "d2",
		"late_ms": 1500.0, "addr": "10.0.0.2:9090", "error": "why: the connection broke off",
		"users": 7.0}}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Whom this director knows is no stranger: neither by name, nor by the address that it dialled or
// has a link to.
func TestStrangersAreUnknown(t *testing.T) {
	late := &handshakeError{Reason: reasonTimeout}
	known := map[string]*link{"d2": {name: "d2", addr: testAddr(2)}}
	for _, test := range []struct {
		peer, addr string
		dialled    bool
		level      string
	}{
		{"", "10.0.0.9:4711", false, "error"},
		{"", "10.0.0.9:9090", true, "warn"},
		{"d2", "10.0.0.9:4711", false, "warn"},
		{"", "10.0.0.2:4711", false, "warn"},
	} {
		lines := logged(t, zerolog.DebugLevel, func(n *Node) {
			n.links = known
			var err error
			if n.metrics, err = newMetrics(prometheus.NewRegistry(), n); err != nil {
				t.Fatal(err)
			}
			n.noteHandshake(test.peer, test.addr, test.dialled, late)
		})
		if len(lines) != 1 || lines[0]["level"] != test.level {
			t.Errorf("%+v: %v, want one line at level %s", test, lines, test.level)
		}
	}
}
