package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// maxEvent bounds one event: it may name a thousand users or directors.
const maxEvent = 1 << 20

// Events calls each for every event that the query asks for, until each returns an error, which
// Events then returns. When the director ends the stream, as it does when it stops, that is an
// *UnreachableError, unless only what has happened already was asked for.
func (c *Client) Events(ctx context.Context, q EventQuery, each func(Event) error) error {
	r, err := c.send(ctx, http.MethodGet, "/v1/events", q.values(), nil)
	if err != nil {
		return err
	}
	defer r.body.Close()
	events := bufio.NewScanner(r.body)
	events.Buffer(make([]byte, 0, 4<<10), maxEvent)
	events.Split(splitEvents)
	for events.Scan() {
		data := eventData(events.Bytes())
		if data == nil {
			continue
		}
		var e Event
		if json.Unmarshal(data, &e) != nil {
			return &ProtocolError{Addr: c.addr, Reason: "its answer has no events of a director"}
		}
		if err := each(e); err != nil {
			return err
		}
	}
	switch err := events.Err(); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &UnreachableError{Addr: c.addr, Err: err}
	case q.Once:
		return nil
	}
	return &UnreachableError{Addr: c.addr, Err: io.EOF}
}

// splitEvents splits a stream of server-sent events at empty lines. What comes behind the last one
// is no whole event.
func splitEvents(data []byte, _ bool) (advance int, token []byte, err error) {
	if i := bytes.Index(data, []byte("\n\n")); i >= 0 {
		return i + 2, data[:i+1], nil
	}
	return 0, nil, nil
}

// eventData returns the data of a server-sent event, nil for one without.
func eventData(event []byte) (data []byte) {
	for line := range bytes.Lines(event) {
		line = bytes.TrimRight(line, "\r\n")
		if text, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(data, bytes.TrimPrefix(text, []byte(" "))...)
		}
	}
	return data
}
