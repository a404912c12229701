package mesh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/mesh/replica"
	"directormesh/mesh/wire"
)

// noting returns what a node that counts writes to its log.
func noting(t *testing.T, write func(n *Node)) (lines []map[string]any, n *Node) {
	t.Helper()
	lines = logged(t, zerolog.DebugLevel, func(logging *Node) {
		n = logging
		var err error
		if n.metrics, err = newMetrics(nil, n); err != nil {
			t.Fatal(err)
		}
		write(n)
	})
	return lines, n
}

// What does not pass the gate is counted by its reason, and said by how bad it is. What we closed
// ourselves is neither.
func TestRefusalsAreNoted(t *testing.T) {
	from := net.TCPAddrFromAddrPort(testAddr(9))
	for _, test := range []struct {
		err    error
		reason dropReason
		level  string
	}{
		{errNotMemberlist, dropProtocol, "warn"},
		{errOtherMesh, dropOtherMesh, "error"},
		{fmt.Errorf("reading: %w", errKey), dropEncrypted, "error"},
		{io.EOF, dropSilent, ""},
		{net.ErrClosed, dropNothing, ""},
		{fmt.Errorf("read: %w", io.ErrClosedPipe), dropNothing, ""},
	} {
		lines, n := noting(t, func(n *Node) { n.noteRefusal("packet", from, test.err) })
		for d := dropNothing + 1; d < dropReasons; d++ {
			want := 0.0
			if d == test.reason {
				want = 1
			}
			if got := counted(t, n.metrics.drops[d]); got != want {
				t.Errorf("%v: %g counted as %s, want %g", test.err, got, d, want)
			}
		}
		if test.level == "" {
			if len(lines) > 0 {
				t.Errorf("%v: said %v", test.err, lines)
			}
			continue
		}
		if len(lines) != 1 || lines[0]["level"] != test.level ||
			lines[0]["message"] != "packet refused" || lines[0]["addr"] != from.String() {
			t.Errorf("%v: %v, want one line at level %s", test.err, lines, test.level)
		}
	}
}

// Trouble of each sort has lines of its own; one sort repeated has one.
func TestRefusalsAreToldApart(t *testing.T) {
	from := net.TCPAddrFromAddrPort(testAddr(9))
	lines, _ := noting(t, func(n *Node) {
		for range 2 {
			n.noteRefusal("packet", from, errOtherMesh)
			n.noteRefusal("packet", from, errKey)
			n.noteRefusal("connection", from, errKey)
		}
	})
	if len(lines) != 3 {
		t.Errorf("%d lines, want 3: %v", len(lines), lines)
	}
}

// A stream that could not be opened is counted, and said unless somebody else says it.
func TestFailedHandshakesAreNoted(t *testing.T) {
	refused := &handshakeError{Reason: reasonRefused, Err: &refusal{Refuse: new(wire.Refuse)}}
	for _, test := range []struct {
		name   string
		err    error
		addr   string
		reason reason // reasons: none is counted
		level  string
		says   string
	}{
		{"unreachable", errors.New("no route"), "10.0.0.9:1", reasons, "debug",
			"stream cannot be opened"},
		{"closed here", &handshakeError{Reason: reasonKey, Err: net.ErrClosed}, "10.0.0.9:1",
			reasons, "debug",
			"stream cannot be opened"},
		{"refused", refused, "10.0.0.9:1", reasonRefused, "", ""},
		{"not allowed", &handshakeError{Reason: reasonNotAllowed}, "10.0.0.9:1", reasonNotAllowed,
			"", ""},
		{"nonsense", &handshakeError{Reason: reasonProtocol}, "10.0.0.9:1", reasonProtocol, "error",
			"connection from a stranger closed"},
		{"timeout", &handshakeError{Reason: reasonTimeout}, "10.0.0.2:1", reasonTimeout, "warn",
			"peer does not open its stream; does it hang?"},
		{"host without port", &handshakeError{Reason: reasonTimeout}, "10.0.0.2", reasonTimeout,
			"warn",
			"peer does not open its stream; does it hang?"},
		{"key", &handshakeError{Reason: reasonKey}, "10.0.0.9:1", reasonKey, "error",
			"director refused"},
	} {
		lines, n := noting(t, func(n *Node) {
			n.links = map[string]*link{"d2": {name: "d2", addr: testAddr(2)}}
			n.noteHandshake("", test.addr, false, test.err)
		})
		for r := range reasons {
			want := 0.0
			if r == test.reason {
				want = 1
			}
			if got := counted(t, n.metrics.handshakes[r]); got != want {
				t.Errorf("%s: %g counted as %s, want %g", test.name, got, r.label(), want)
			}
		}
		if (len(lines) == 0) != (test.level == "") {
			t.Errorf("%s: %v", test.name, lines)
		} else if len(lines) > 0 && (len(lines) > 1 || lines[0]["level"] != test.level ||
			lines[0]["message"] != test.says || lines[0]["addr"] != test.addr) {
			t.Errorf("%s: %v, want %q at level %s", test.name, lines, test.says, test.level)
		}
	}
}

// Hosts that are refused are told apart, the ports of one are not, and neither are strangers.
func TestHandshakesAreToldApart(t *testing.T) {
	key, late := &handshakeError{Reason: reasonKey}, &handshakeError{Reason: reasonTimeout}
	for _, test := range []struct {
		name  string
		note  func(n *Node)
		lines int
	}{
		{"two hosts", func(n *Node) {
			n.noteHandshake("", "10.0.0.8:1", false, key)
			n.noteHandshake("", "10.0.0.9:1", false, key)
		}, 2},
		{"two ports", func(n *Node) {
			n.noteHandshake("", "10.0.0.9:1", false, key)
			n.noteHandshake("", "10.0.0.9:2", false, key)
		}, 1},
		{"strangers", func(n *Node) {
			n.noteHandshake("", "10.0.0.8:1", false, late)
			n.noteHandshake("", "10.0.0.9:1", false, late)
		}, 1},
		{"dialled", func(n *Node) {
			n.noteHandshake("", "10.0.0.8:1", true, late)
			n.noteHandshake("", "10.0.0.9:1", true, late)
		}, 2},
	} {
		if lines, _ := noting(t, test.note); len(lines) != test.lines {
			t.Errorf("%s: %d lines, want %d: %v", test.name, len(lines), test.lines, lines)
		}
	}
}

// A line of the core's has its level. Trouble that repeats word for word is written once, and other
// lines each time.
func TestLevelsOfCoreLines(t *testing.T) {
	field := func(v any) []replica.Field { return []replica.Field{{Key: "k", Value: v}} }
	lines := logged(t, zerolog.DebugLevel, func(n *Node) {
		for range 2 {
			for _, level := range []replica.LogLevel{
				replica.LogError, replica.LogWarn, replica.LogInfo, replica.LogDebug,
			} {
				text := fmt.Sprint("of level ", level)
				n.writeLine(replica.Log{Level: level, Text: text, Fields: field(1)})
			}
		}
		n.writeLine(replica.Log{Level: replica.LogWarn, Text: "other", Fields: field(1)})
		n.writeLine(replica.Log{Level: replica.LogWarn, Text: "other", Fields: field(2)})
	})
	var got []string
	for _, l := range lines {
		got = append(got, fmt.Sprint(l["level"]))
	}
	want := []string{"error", "warn", "info", "debug", "info", "debug", "warn", "warn"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
}

// memberlist's lines lose their level and its name, and get a level of ours.
func TestLevelsOfMemberlistsLines(t *testing.T) {
	for _, test := range []struct {
		in    string
		level zerolog.Level
		text  string
	}{
		{"[DEBUG] memberlist: a\n", zerolog.DebugLevel, "a"},
		{"[INFO] memberlist: a", zerolog.InfoLevel, "a"},
		{" [WARN] memberlist: a", zerolog.WarnLevel, "a"},
		{"[ERR] memberlist: a", zerolog.WarnLevel, "a"},
		{"[ERROR] memberlist: a", zerolog.WarnLevel, "a"},
		{"[ERROR] a", zerolog.WarnLevel, "a"},
		{"a [DEBUG]", zerolog.WarnLevel, "a [DEBUG]"},
	} {
		if level, text := lineLevel(test.in); level != test.level || text != test.text {
			t.Errorf("%q: %v, %q; want %v, %q", test.in, level, text, test.level, test.text)
		}
	}
}

// Lines about the same trouble begin with the same words, whatever names and numbers are in them.
func TestKindsOfMemberlistsLines(t *testing.T) {
	for in, want := range map[string]string{
		"Failed to send UDP ping: write udp":    "Failed to send UDP",
		"Push/Pull with d2 failed: EOF":         "Push/Pull with failed: EOF",
		"Suspect 'd' has \"d\" failed, no acks": "Suspect has failed, no",
		"one two":                               "one two",
		"":                                      "",
	} {
		if got := kindOfLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Each line of memberlist's that is known has its level and text, and what it says is lost counts.
// counted.
func TestKnownLines(t *testing.T) {
	for _, k := range knownLines {
		lines, n := noting(t, func(n *Node) {
			for range 2 {
				in := "[ERR] memberlist: before " + k.part + " after\n"
				if size, err := (logBridge{n}).Write([]byte(in)); size != len(in) || err != nil {
					t.Errorf("%s: %d, %v", k.part, size, err)
				}
			}
		})
		if k.drop != dropNothing && counted(t, n.metrics.drops[k.drop]) != 2 {
			t.Errorf("%s is not counted", k.part)
		}
		want := 1 // trouble is said once
		switch k.level {
		case zerolog.TraceLevel:
			want = 0
		case zerolog.DebugLevel:
			want = 2
		}
		if len(lines) != want || want > 0 && (lines[0]["message"] != k.text ||
			lines[0]["level"] != k.level.String() || lines[0]["detail"] == "") {
			t.Errorf("%s: %v, want %d of %s %q", k.part, lines, want, k.level, k.text)
		}
	}
}

// What an operator and a metric read of the reasons is there once each.
func TestWordsOfReasons(t *testing.T) {
	var words []string
	for r := range reasons {
		words = append(words, r.String(), r.label())
	}
	for d := dropNothing + 1; d < dropReasons; d++ {
		words = append(words, "drop "+d.String())
	}
	slices.Sort(words)
	if got := len(slices.Compact(slices.Clone(words))); got != len(words) || slices.Contains(words,
		"") {
		t.Errorf("a word is empty or there twice: %q", words)
	}
}

// The error of a stream says what is known, and unwraps what came.
func TestHandshakeErrors(t *testing.T) {
	for _, test := range []struct {
		err  *handshakeError
		want string
	}{
		{&handshakeError{Reason: reasonKey}, "peer uses another encryption key"},
		{&handshakeError{Reason: reasonMesh, Mesh: "m"},
			`peer belongs to another mesh: its mesh name is "m"`},
		{&handshakeError{Reason: reasonProtocol, Err: io.EOF},
			"peer does not speak the director protocol: the connection broke off"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if errors.Is(test.err, io.EOF) != (test.err.Err == io.EOF) {
			t.Errorf("%v unwraps to %v", test.err, errors.Unwrap(test.err))
		}
	}
}
