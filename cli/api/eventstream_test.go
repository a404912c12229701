package api

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scanEvents returns the data of all whole events.
func scanEvents(stream []byte) (all []string) {
	events := bufio.NewScanner(bytes.NewReader(stream))
	events.Buffer(make([]byte, 0, 16), maxEvent)
	events.Split(splitEvents)
	for events.Scan() {
		if data := eventData(events.Bytes()); data != nil {
			all = append(all, string(data))
		}
	}
	return all
}

// Server-sent events are told apart by empty lines; comments have no data, and what breaks off is
// no event.
func TestSplitEvents(t *testing.T) {
	for stream, want := range map[string][]string{
		"":                                      nil,
		":\n\n":                                 nil,
		":\n\nid: 1\nevent: peer\ndata: {}\n\n": {"{}"},
		"data: {\ndata: }\n\n":                  {"{}"},
		"data:{}\n\ndata: 2\n\n":                {"{}", "2"},
		"data: {}\n\ndata: half":                {"{}"},
		"data: {}\n":                            nil,
		"\n\n\n\ndata: 1\r\n\n":                 {"1"},
	} {
		if diff := cmp.Diff(want, scanEvents([]byte(stream))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", stream, diff)
		}
	}
}

// Whatever answers, reading its events ends, and makes nothing longer than it was.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(":\n\nid: a-1\nevent: peer\ndata: {\"id\":\"a-1\",\"kind\":\"peer\"}\n\n"))
	f.Add([]byte("data: {\n\ndata: {\"missed\":-1}\n\n"))
	f.Add(bytes.Repeat([]byte("\n"), 300))
	f.Fuzz(func(t *testing.T, stream []byte) {
		length := 0
		for _, data := range scanEvents(stream) {
			length += len(data)
			var e Event
			_ = json.Unmarshal([]byte(data), &e)
		}
		if length > len(stream) {
			t.Errorf("%d bytes of %d", length, len(stream))
		}
	})
}
