package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"directormesh/cli/api"
)

// beatInterval is how often a stream of events says something, if nothing happens: then who reads
// it, and all that is in between, know that it is alive.
const beatInterval = 15 * time.Second

// watchEvents answers GET /v1/events: server-sent events, for as long as the client reads.
func (s *Server) watchEvents(w http.ResponseWriter, r *http.Request) error {
	q, err := eventQuery(r)
	if err != nil {
		return err
	}
	reader := s.events.Open(q)
	defer reader.Close()
	controller := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	beat := time.NewTicker(beatInterval)
	defer beat.Stop()
	// A browser that was sent nothing yet does not say that it is connected.
	buffer, more := reader.Read([]byte(":\n\n"))
	for {
		deadline(w, streamTimeout)
		if len(buffer) > 0 {
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			if err := controller.Flush(); err != nil {
				return err
			}
		}
		buffer = buffer[:0]
		if more != nil && q.Once {
			return nil
		}
		if more != nil {
			select {
			case <-more:
			case <-beat.C:
				buffer = append(buffer, ":\n\n"...)
			case <-r.Context().Done():
				return nil // the client has had enough, or this director stops
			}
		}
		buffer, more = reader.Read(buffer)
	}
}

// eventQuery reads which events are meant.
func eventQuery(r *http.Request) (q api.EventQuery, err error) {
	query, err := parameters(r, "kinds", "last", "after", "follow")
	if err != nil {
		return q, err
	}
	if q.Kinds, err = eventKinds(query); err != nil {
		return q, err
	}
	if query.Has("last") {
		q.Last, err = strconv.Atoi(query.Get("last"))
		if err != nil || q.Last < 0 || q.Last > api.MaxLastEvents {
			return q, api.Errorf(api.CodeBadRequest, "last %q is not a number from 0 to %d",
				query.Get("last"), api.MaxLastEvents)
		}
	}
	switch query.Get("follow") {
	case "no":
		q.Once = true
	case "", "yes":
	default:
		return q, api.Errorf(api.CodeBadRequest, "follow %q is not yes or no", query.Get("follow"))
	}
	// What browsers send when they connect again knows better than the address.
	q.After = query.Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		q.After = id
	}
	return q, nil
}

func eventKinds(query url.Values) (kinds []string, err error) {
	if !query.Has("kinds") {
		return nil, nil
	}
	all := api.EventKinds()
	for kind := range strings.SplitSeq(query.Get("kinds"), ",") {
		if !slices.Contains(all, kind) {
			return nil, api.Errorf(api.CodeBadRequest,
				"there is no kind %q of events; there are %s", kind, strings.Join(all, ", "))
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}
