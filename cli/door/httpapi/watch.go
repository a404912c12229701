package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"directormesh/cli/api"
	"directormesh/ring"
)

// watchInterval is how often a watched flush is looked at.
const watchInterval = 200 * time.Millisecond

// watch answers GET /v1/flushes/watch: a line whenever one of the flushes has changed. Those that
// were there when the watching began are watched, until all of them have ended.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) error {
	wanted, err := watchTarget(r)
	if err != nil {
		return err
	}
	seen := map[api.FlushID]api.Flush{}
	for _, f := range s.director.Flushes().Flushes {
		if wanted(f) {
			seen[flushID(f)] = api.Flush{}
		}
	}
	if len(seen) == 0 && r.URL.Query().Has("id") {
		return api.Errorf(api.CodeNotFound, "this director knows of no such flush")
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	encoder := json.NewEncoder(w)
	controller := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	for {
		present := map[api.FlushID]bool{}
		running := false
		for _, f := range s.director.Flushes().Flushes {
			id := flushID(f)
			before, watched := seen[id]
			if !watched {
				continue
			}
			present[id] = true
			running = running || !f.Ended()
			if reflect.DeepEqual(before, f) {
				continue
			}
			seen[id] = f
			if err := encoder.Encode(f); err != nil {
				return err
			}
		}
		for id, last := range seen {
			if !present[id] && last.Director != "" && !last.Ended() {
				last.Lost = true // forgotten here while it ran: nothing more will be heard
				seen[id] = last
				if err := encoder.Encode(last); err != nil {
					return err
				}
			}
		}
		deadline(w, streamTimeout)
		if err := controller.Flush(); err != nil {
			return err
		}
		if !running {
			return nil
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

func flushID(f api.Flush) api.FlushID { return api.FlushID{Director: f.Director, ID: f.ID} }

// watchTarget reads which flushes are meant.
func watchTarget(r *http.Request) (func(api.Flush) bool, error) {
	query, err := parameters(r, "director", "id", "backend")
	if err != nil {
		return nil, err
	}
	switch {
	case query.Has("id") != query.Has("director"), query.Has("id") && query.Has("backend"):
		return nil, api.Errorf(api.CodeBadRequest,
			"give director and id of one flush, or a backend, or nothing for all")
	case query.Has("id"):
		id, err := strconv.ParseUint(query.Get("id"), 10, 64)
		if err != nil {
			return nil, api.Errorf(api.CodeBadRequest, "flush id %q is not a number",
				query.Get("id"))
		}
		want := api.FlushID{Director: query.Get("director"), ID: id}
		return func(f api.Flush) bool { return flushID(f) == want }, nil
	case query.Has("backend"):
		addr, err := ring.ParseAddr(query.Get("backend"))
		if err != nil {
			return nil, api.Errorf(api.CodeBadRequest, "backend: %v", err)
		}
		return func(f api.Flush) bool { return f.Backend.Addr == addr && !f.Ended() }, nil
	}
	return func(f api.Flush) bool { return !f.Ended() }, nil
}
